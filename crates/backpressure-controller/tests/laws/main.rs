//! The promises of the controller. The name of a test starts with the number of the law it shows, where there is one.

#[path = "../support/mod.rs"]
mod support;

mod barrier;
mod batches;
mod bombs;
mod breakage;
mod demand;
mod drain;
mod drops;
mod ends;
mod expiry;
mod failures;
mod fair;
mod keyed;
mod local;
mod pacing;
mod reconfigure;
mod stuck;
mod tower_layers;
mod truth;
mod types;
mod verdicts;
mod wakes;
mod within;
