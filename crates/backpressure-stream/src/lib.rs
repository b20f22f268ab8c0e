//! Backpressure and batches for any [`Stream`](futures_core::Stream).
//!
//! ```text
//!            reads ahead   ┌────────────────┐     ┌──────────────────────────────┐
//!  upstream ──────────────▶│ backpressure   │────▶│ micro_batch                  │────▶ consumer
//!            no room:      │ capacity,      │     │ size │ weight │ linger │ quiet│ Vec<T>
//!            not polled,   │ strategy       │     └──────────────────────────────┘
//!            or discarded  └───────┬────────┘
//!                                Gauge: Normal · Elevated · Critical · Blocked · Draining
//! ```
//!
//! | method | the consumer is slow | the upstream is slow |
//! |---|---|---|
//! | [`backpressure`](BackpressureStreamExt::backpressure) | items wait in a bounded buffer, then the strategy decides | items pass |
//! | [`conflate`](BackpressureStreamExt::conflate) | items are merged into one | items pass |
//! | [`coalesce`](BackpressureStreamExt::coalesce) | chunks of bytes are merged into frames, and the upstream waits | chunks pass |
//! | [`micro_batch`](BackpressureStreamExt::micro_batch) | the upstream waits | a batch goes when its first item has waited long enough |
//! | [`micro_batch_by`](BackpressureStreamExt::micro_batch_by) | likewise | likewise, for every key |
//! | [`try_micro_batch`](BackpressureStreamExt::try_micro_batch) | likewise | likewise; an error closes the batch and follows it |
//!
//! Every adapter works inside the consumer's own poll, does a bounded amount of work in one poll, and is polled by nobody
//! but its consumer: a slow consumer slows the upstream down. [`Backpressure::spawn`] is for those who want the intake to
//! go on meanwhile. Nothing is lost without being counted and handed to a hook, and what an adapter holds can be taken out
//! of it. After its end, or a panic, the upstream is not polled again.
//!
//! ```
//! use std::time::Duration;
//! use backpressure_core::{BackpressureConfig, BatchConfig};
//! use backpressure_stream::BackpressureStreamExt;
//! use futures_util::{StreamExt, stream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), backpressure_core::ConfigError> {
//! let config = BackpressureConfig::builder().capacity(1000).build()?;
//! let batches = BatchConfig::builder().max_items(100).linger(Duration::from_millis(20)).build()?;
//!
//! let buffered = stream::iter(0..250).backpressure(config);
//! let gauge = buffered.gauge();
//! let sizes: Vec<usize> = buffered.micro_batch(batches).map(|batch| batch.len()).collect().await;
//! assert_eq!(sizes, [100, 100, 50]);
//! assert_eq!(gauge.snapshot().counts.delivered, 250);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! * `time` (default): the batches and `coalesce`, timed by tokio's clock.
//! * `rt`: [`Backpressure::spawn`].
//!
//! Without either, no runtime is needed.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod backpressure;
#[cfg(feature = "time")]
mod batch;
#[cfg(feature = "time")]
mod coalesce;
mod conflate;
mod delegate;
mod ext;
mod forward;
#[cfg(feature = "time")]
mod handle;
#[cfg(feature = "time")]
mod micro_batch;
#[cfg(feature = "time")]
mod micro_batch_by;
mod queue;
#[cfg(feature = "rt")]
mod spawned;
#[cfg(feature = "time")]
mod try_micro_batch;
mod upstream;

pub use backpressure::Backpressure;
#[cfg(feature = "time")]
pub use coalesce::Coalesce;
pub use conflate::Conflate;
pub use ext::BackpressureStreamExt;
pub use forward::{ForwardError, ForwardInto};
#[cfg(feature = "time")]
pub use handle::MicroBatchHandle;
#[cfg(feature = "time")]
pub use micro_batch::MicroBatch;
#[cfg(feature = "time")]
pub use micro_batch_by::MicroBatchBy;
#[cfg(feature = "rt")]
pub use spawned::Spawned;
#[cfg(feature = "time")]
pub use try_micro_batch::TryMicroBatch;

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
