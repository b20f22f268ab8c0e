//! The decisions of backpressure, as plain state machines.
//!
//! Everything here is a state machine that is told what happened and answers what to do. Nothing here waits, locks, spawns,
//! logs or reads a clock: time is an [`Instant`](std::time::Instant) argument, and a `now` that repeats or goes backwards is
//! harmless. Nothing panics after construction. The crates `backpressure-channel` and `backpressure-controller` are shells
//! around these values; a shell of your own can be, too.
//!
//! ```text
//!   offer ──▶ BoundedBuffer ──pop──▶ BatchAccumulator ──▶ batch       FlushPacer   how long a partial batch may wait
//!             │ Strategy            │ size · weight                   BatchSizer   how large a batch should be
//!             │ Offer: the truth    │ linger · quiet                      ▲
//!             ▼                                                           └── latency of each flush
//!          Recorder ──▶ Gauge ──▶ State · Snapshot · Health · metrics
//! ```
//!
//! * **How close to the edge?** [`State`], from a utilization by [`Watermarks`]; [`StateMachine`] adds hysteresis and dwell.
//! * **What when it is full?** [`Strategy`], carried out by [`BoundedBuffer`], answered truthfully by [`Offer`].
//! * **What is in an item?** A [`Weigh`]t, a [`Priority`], and a fate to be told of: the [`Hooks`] of a shell.
//! * **How much in how much time?** [`TimedCapacity`]: a bound on the delay.
//! * **When to flush, and how much?** [`BatchAccumulator`], [`FlushPacer`], [`BatchSizer`].
//! * **Which bytes in one frame?** [`Coalescer`].
//! * **Which items keep their order?** Those of one key, by [`KeyedOrder`], while batches of other keys go on.
//! * **How many calls at once?** [`limit`], with who goes first and how long the others may wait.
//! * **What happened?** [`Recorder`] and [`Reporter`] write, [`Gauge`] reads, [`Snapshot`] accounts for every item.
//!   What a drain came to is [`Drained`].
//! * **Other bounds while it is in use?** [`BoundedBuffer::reconfigure`]; [`BufferHandle`] leaves them for a part's task.
//!
//! Gauges and handles are the exception to "plain values": they are used from other threads, so they are shared. Gauges are
//! atomic, and take their time from a [function](Clock) that the shell supplies.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod admission;
mod batch;
mod bound_marks;
mod boxed;
mod buffer;
mod capacity;
mod coalesce;
mod config;
mod drained;
mod error;
#[cfg(feature = "serde")]
mod external;
mod flow;
mod gauge;
mod handle;
mod histogram;
mod hooks;
mod instrument;
mod key_hash;
mod keyed;
mod ledger;
pub mod limit;
mod machine;
mod metric;
mod offer;
mod pacer;
mod refusal;
mod sizer;
mod state;
mod strategy;
mod thresholds;
mod watermarks;
mod weigh;
mod within;

pub use batch::{Batch, BatchAccumulator, BatchConfig, BatchConfigBuilder, ClosedBatches, FlushReason};
pub use bound_marks::BoundMarks;
pub use boxed::BoxedError;
pub use buffer::{BoundedBuffer, Tag};
pub use capacity::Capacity;
pub use coalesce::{Coalescer, Filler};
pub use config::{BackpressureConfig, BackpressureConfigBuilder};
pub use drained::Drained;
pub use error::ConfigError;
/// For the configurations of the other crates.
#[cfg(feature = "serde")]
#[doc(hidden)]
pub use external::{duration, some_duration};
pub use flow::{Activity, Bottleneck, Cause, RecentWork, Stage, Work, WorkClock, WorkShares, WorkTimes, bottleneck};
#[cfg(feature = "stream")]
pub use gauge::Watch;
pub use gauge::{CallTimes, Changed, Clock, FlushStats, Flushed, Gauge, Health, Recorder, Reporter, Snapshot, Vitals};
pub use handle::BufferHandle;
pub use histogram::{LatencyHistogram, RecentLatencies};
pub use hooks::{Hooks, Weigher};
pub use instrument::{Instrument, Reading};
pub use keyed::{Key, KeyId, KeyedBatch, KeyedOrder, Keyer};
pub use ledger::Counts;
pub use machine::{StateMachine, Transition};
pub use metric::{Durations, Family, Metric, MetricKind, MetricValue};
pub use offer::{DropReason, Evicted, Offer};
pub use pacer::FlushPacer;
pub use refusal::{Refusal, Refused};
pub use sizer::BatchSizer;
pub use state::State;
pub use strategy::{Oversize, Priority, Strategy};
pub use watermarks::Watermarks;
pub use weigh::Weigh;
pub use within::TimedCapacity;
/// For the shells of this workspace.
#[doc(hidden)]
pub use {
    admission::{AdmissionMeter, AdmissionState},
    gauge::{Moved, Tally},
};

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
