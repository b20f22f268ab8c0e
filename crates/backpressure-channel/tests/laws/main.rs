//! The promises of the channel, one test each. The name of a test starts with the number of the law it shows.

#[path = "../support/mod.rs"]
mod support;

mod blocking;
#[cfg(feature = "tokio")]
mod budget;
mod cancellation;
mod conservation;
mod demand;
mod ends;
#[cfg(feature = "tokio")]
mod expiry;
mod fair;
mod full;
mod hooks;
mod kept;
mod many;
mod numbers;
mod order;
mod panics;
#[cfg(feature = "tokio")]
mod patience;
mod reconfigure;
mod reentry;
mod sink;
mod strategies;
mod transparency;
mod wakes;
#[cfg(feature = "tokio")]
mod within;
