//! What gauges, recorders and reporters promise to whoever reads and waits.

mod admission;
mod changed;
mod counts;
mod metrics;
mod part;
mod races;
mod times;
#[cfg(feature = "stream")]
mod watch;
mod work;
