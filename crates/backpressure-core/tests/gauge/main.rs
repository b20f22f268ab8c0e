//! What gauges, recorders and reporters promise to whoever reads and waits.

mod changed;
mod counts;
mod metrics;
mod part;
mod races;
mod signal;
mod times;
#[cfg(feature = "stream")]
mod watch;
