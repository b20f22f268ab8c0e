//! Many single calls, one batched call.
//!
//! ```text
//!  handles        the desk (one short lock)      the worker (one task)
//!  poll_ready ──▶ places, line ◀───────────────┐
//!  call ────────▶ inbox ──────────────────────▶ lanes ──▶ batches ──▶ inner service
//!  future ◀─────── answers ◀───────────────────────────── in flight ◀─┘
//!  drop ────────▶ gone ──────────────────────▶ (forgotten wherever they are)
//! ```
//!
//! [`Lanes`](lanes::Lanes) decides who travels together and when, [`Batches`](batches::Batches) knows who is on the way; both
//! are plain values of the worker's. Nothing that runs user code is under the lock of the [desk](desk::Desk).

mod answers;
mod batches;
mod builder;
mod clock;
mod dedup;
mod desk;
mod drain;
mod error;
mod flights;
mod future;
mod gate;
mod keys;
mod lanes;
mod layer;
mod links;
mod places;
mod pledge;
mod service;
mod shared;
mod sync;
mod timer;
mod waiters;
mod worker;

pub use answers::Answers;
pub use builder::{BatchLayerBuilder, Fallback};
pub use drain::{BatchDrain, BatchDrainReport};
pub use error::BatchError;
pub use future::BatchFuture;
pub use layer::BatchLayer;
pub use service::Batch;
pub use worker::BatchWorker;
