//! The instruments of a part: its state, its counters, and the tasks that watch it.
//!
//! They are shared and atomic, because a gauge is read from other threads while the buffer works. One [`Recorder`] writes (it
//! lives beside the buffer, under the same lock), any number of [`Reporter`]s settle what the consumer took, any number of
//! [`Gauge`]s read. Writing costs plain stores to one cache line; time comes from the function the shell hands in, and is read
//! only where an instrument that somebody reads needs it.

mod age;
mod bounds;
mod call_times;
mod calls;
mod clock;
mod fill;
mod flushes;
#[expect(clippy::module_inception, reason = "a gauge among its instruments")]
mod gauge;
mod health;
mod lazy;
mod metrics;
mod recorder;
mod reporter;
mod shared;
mod snapshot;
mod tally;
mod times;
mod watch;
mod watchers;
mod work;

pub use call_times::CallTimes;
pub(crate) use calls::Calls;
pub use clock::Clock;
pub use flushes::Flushed;
pub use gauge::Gauge;
pub use health::{Health, Vitals};
pub use recorder::{Moved, Recorder};
pub use reporter::Reporter;
pub(crate) use shared::Shared;
pub use snapshot::{FlushStats, Snapshot};
pub use tally::Tally;
pub use watch::Changed;
#[cfg(feature = "stream")]
pub use watch::Watch;
