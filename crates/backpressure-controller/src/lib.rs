//! Many producers in front of one flush target, with batches, retries, drain and a report.
//!
//! ```text
//!  push ─┐                 ┌ full batch: at once ──────────┐   Service<Vec<T>>   ┌ delivered
//!  push ─┼─▶ bounded ──────┤                               ├──▶ n in flight ────┼ failed: retry · bisect · on_failed
//!  push ─┘   buffer        └ partial: after the interval ──┘                     └ drain deadline: handed back
//! ```
//!
//! [`BackpressureController::push`] puts an item into a bounded [channel](backpressure_channel). The
//! strategy says what happens when it is full. One task takes batches out of it: a full batch at once, a
//! partial batch after an interval that follows the latency of the flushes. The flush target is any
//! [`tower_service::Service`] over `Vec<T>`, or an async closure.
//!
//! * An item leaves the buffer only when its flush starts, so the buffer's bound and state are true.
//!   What is outside the buffer, batches that wait for a retry included, is bounded by batch size ×
//!   concurrency.
//! * A flush succeeds or fails as a whole, or names the items that failed. Only those are retried,
//!   unless their [verdict](Verdict) forbids it, and no sooner than it says. Bisection isolates an item
//!   that fails its whole batch.
//! * A flush that fails or panics costs only its own batch. To get its items back,
//!   [keep copies](FlushBuilder::keep_copies). Items that the controller drops may panic in their
//!   `Drop`. Items that a flush target or a hook drops are theirs: two panics in the drop of one `Vec`
//!   abort the process.
//! * [`flush`](BackpressureController::flush) is a barrier. [`drain`](BackpressureController::drain)
//!   ends the work by a deadline, with a report that hands back what was not delivered. When the last
//!   handle is dropped, the rest is flushed.
//!
//! ```
//! use std::time::Duration;
//! use backpressure_controller::{BackpressureController, FlushError};
//! use backpressure_core::BackpressureConfig;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = BackpressureConfig::builder().capacity(1_000).batch_items(100).build()?;
//! let controller = BackpressureController::builder(config)
//!     .flush_fn(async |batch: Vec<u64>| {
//!         println!("writing {} items", batch.len());
//!         Ok::<_, std::io::Error>(())
//!     })
//!     .concurrency(2)
//!     .retry([Duration::from_millis(10), Duration::from_millis(100)])
//!     .on_failed(|items, error: FlushError<_>| eprintln!("{} items failed: {error}", items.len()))
//!     .spawn()?;
//!
//! for n in 0..250 {
//!     controller.push(n).await?;
//! }
//! let report = controller.drain(Duration::from_secs(5)).await;
//! assert!(report.is_complete());
//! assert_eq!(controller.snapshot().counts.delivered, 250);
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod attempt;
mod barrier;
mod builder;
mod careful;
mod check;
mod command;
mod complete;
mod controller;
mod does;
mod drain;
#[cfg(feature = "serde")]
mod external;
mod flush_fn;
mod halves;
mod handle;
mod home;
mod hooks;
mod in_flight;
mod keyed;
mod orders;
mod outcome;
mod remains;
mod retries;
mod schedule;
mod spawn;
#[cfg(feature = "tracing")]
mod trace;
mod verdict;
mod worker;

pub use builder::{ControllerBuilder, FlushBuilder};
pub use controller::BackpressureController;
pub use drain::{DrainReport, Unflushed};
#[cfg(feature = "serde")]
pub use external::FlushConfig;
pub use flush_fn::FlushFn;
pub use handle::ControllerHandle;
pub use home::{Anywhere, Here, Home};
pub use outcome::{FailedItem, FlushError, FlushOutcome};
pub use verdict::Verdict;

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
