//! The instrument corner: what happened, how close to the edge, and who wants to know.
//!
//! Everything else in this crate is a plain value. These are shared and atomic, because a gauge is read from other threads
//! while the buffer works. One [`Recorder`] writes (it lives beside the buffer, under the same lock), any number of
//! [`Reporter`]s settle what the consumer took, any number of [`Gauge`]s read. Writing costs plain stores to one cache
//! line; time comes from the function the shell hands in, and is read only where an instrument that somebody reads needs
//! it. A part that holds no buffer has a [`Signal`]: one word to admit calls by, which is also what its gauges read.

mod age;
mod calls;
mod counts;
mod gauge;
mod health;
mod lazy;
mod ledger;
mod metrics;
mod packed;
mod recorder;
mod refusals;
mod reporter;
mod sequence;
mod shared;
mod signal;
mod slots;
mod snapshot;
mod tally;
mod thread;
mod watch;

pub use counts::Counts;
pub use gauge::Gauge;
pub use health::{Health, Vitals};
pub use metrics::{Metric, MetricKind};
pub use recorder::{Clock, Moved, Recorder};
pub use reporter::{Flushed, Reporter};
pub use signal::Signal;
pub use slots::Slots;
pub use snapshot::{FlushStats, Snapshot};
pub use tally::Tally;
pub use thread::thread_number;
pub use watch::Changed;
#[cfg(feature = "stream")]
pub use watch::Watch;
