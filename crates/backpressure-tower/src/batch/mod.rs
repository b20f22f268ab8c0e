//! Batched calls: many single calls, one call of the inner service.
//!
//! ```text
//!  handles             the exchange (one short lock)     the runner
//!  poll_ready ───────▶ permits ◀────────────────────┐
//!  call ──┬──────────▶ inbox ───────────────────────▶ lanes ──▶ batches ──▶ inner service
//!         └─▶ a shard ──▲                                                         │
//!  future ◀─────────── a slot ◀────────────────────────────────── in flight ◀─────┘
//!  drop ─────────────▶ gone ────────────────────────▶ (forgotten wherever they are)
//! ```
//!
//! Three rooms, of which each knows those below it and none above:
//!
//! * [runner] calls the inner service. One task at a time runs it: the worker or, where that spares a trip through the
//!   scheduler, a caller.
//! * [exchange] is where callers and the runner meet. Nothing that runs user code is under its lock.
//! * [plan] decides who travels together and when, and knows who is on the way. It is made of plain values.

mod answers;
mod builder;
mod drain;
mod error;
mod exchange;
mod future;
mod handle;
mod layer;
mod plan;
mod runner;
mod service;
#[cfg(all(test, not(backpressure_loom)))]
mod tests;

pub use answers::Answers;
pub use builder::BatchLayerBuilder;
pub use drain::{BatchDrain, BatchDrainReport};
pub use error::BatchError;
pub use future::BatchFuture;
pub use handle::BatchHandle;
pub use layer::BatchLayer;
pub use plan::{BatcherConfig, Fallback};
pub use runner::worker::BatchWorker;
pub use service::Batch;
