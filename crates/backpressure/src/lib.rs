//! Backpressure for async Rust: bounded buffers with a stated policy, a signal that says how close to the edge you are, paced
//! batches, graceful drain, and numbers that tell what happened.
//!
//! This crate only gathers the others under one name. Each stands on its own:
//!
//! | you have … | take | from |
//! |---|---|---|
//! | many producers and something that writes batches | [`BackpressureController`] | `backpressure-controller` |
//! | producers and a consumer in tasks of their own | [`channel()`] | `backpressure-channel` |
//! | a stream that is faster than its consumer | `.backpressure(cfg)`, `.micro_batch(cfg)` of [`BackpressureStreamExt`] | `backpressure-stream` |
//! | a sink or a service that is slower than its producer | `.bounded(cfg)` of [`BackpressureSinkExt`], [`ServiceSink`] | `backpressure-sink` |
//! | a server that must stay useful under too much load | [`ShedLayer`] | `backpressure-tower` |
//! | single calls that could be one batched call | [`BatchLayer`] | `backpressure-tower` |
//! | several parts that have to end within one grace period | `Shutdown`, with the feature `shutdown` | `backpressure-shutdown` |
//! | a runtime, a lock and a clock of your own | [`BoundedBuffer`], [`BatchAccumulator`], [`FlushPacer`], [`Recorder`] | `backpressure-core` |
//!
//! Whatever holds items has a [`Gauge`]: its [`State`] is one of `Normal`, `Elevated`, `Critical`, `Blocked` and
//! `Draining`, its [`Snapshot`] accounts for every item. Whatever is full does what its [`Strategy`] says.

pub use backpressure_core::*;

#[cfg(feature = "channel")]
#[doc(inline)]
pub use backpressure_channel::{self as channel, Receiver, SendError, Sender, Sent, channel};
#[cfg(feature = "controller")]
#[doc(inline)]
pub use backpressure_controller::{self as controller, BackpressureController, DrainReport, FlushError, FlushOutcome};

#[cfg(feature = "shutdown")]
#[doc(inline)]
pub use backpressure_shutdown::{self as shutdown, Shutdown};
#[cfg(feature = "sink")]
#[doc(inline)]
pub use backpressure_sink::{self as sink, BackpressureSink, BackpressureSinkExt, ServiceSink};
#[cfg(feature = "stream")]
#[doc(inline)]
pub use backpressure_stream::{self as stream, BackpressureStreamExt};
#[cfg(feature = "tower")]
#[doc(inline)]
pub use backpressure_tower::{self as tower, BatchLayer, ShedLayer};

/// What most programs need.
pub mod prelude {
    pub use backpressure_core::{BackpressureConfig, DropReason, Gauge, Snapshot, State, Strategy};

    #[cfg(feature = "channel")]
    pub use backpressure_channel::{Receiver, SendError, Sender, Sent, channel};
    #[cfg(feature = "controller")]
    pub use backpressure_controller::{BackpressureController, DrainReport, FlushError, FlushOutcome};
    #[cfg(feature = "sink")]
    pub use backpressure_sink::{BackpressureSink, BackpressureSinkExt, ServiceSink};
    #[cfg(feature = "stream")]
    pub use backpressure_stream::BackpressureStreamExt;
    #[cfg(feature = "tower")]
    pub use backpressure_tower::{BatchLayer, ShedLayer};
}

/// The README's examples compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
