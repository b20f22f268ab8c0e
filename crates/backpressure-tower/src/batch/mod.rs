//! Many single calls, one batched call.
//!
//! ```text
//!  handles        the desk (one short lock)      the engine
//!  poll_ready ──▶ places, line ◀───────────────┐
//!  call ──┬─────▶ inbox ──────────────────────▶ lanes ──▶ batches ──▶ inner service
//!         └─▶ a door ──▲                                    │
//!  future ◀─────── a page ◀──────────────────────────────── in flight ◀─┘
//!  drop ────────▶ gone ──────────────────────▶ (forgotten wherever they are)
//! ```
//!
//! [`Lanes`](lanes::Lanes) decides who travels together and when, [`Batches`](batches::Batches) knows who is on the way; both
//! are plain values of the engine's. Nothing that runs user code is under the lock of the [desk](desk::Desk).
//!
//! The desk knows what is to become of a call. The answer itself does not pass through it: 64 calls share a [page](page::Page),
//! where it waits for its caller. When threads get in each other's way at the desk, calls are left at a
//! [door](doors::Doors) instead, one for each of a few threads, and are fetched by whoever opens the desk next.
//!
//! One task at a time runs the [engine](engine::Engine): the worker or, as long as there is no more than one call, that call's
//! own task, which then leads. So does the task that leaves the last call for which a door is open: it sees to those who
//! called on its thread, which is where they are woken, so that threads have little to do with each other. While the engine
//! is not run it lies at the desk. It is taken from there and put back under the lock that says who is to be woken.

mod answers;
mod batches;
mod builder;
mod clock;
mod dedup;
mod desk;
mod doors;
mod drain;
mod engine;
mod erased;
mod error;
mod flights;
mod future;
mod gate;
mod keys;
mod lanes;
mod layer;
mod links;
mod page;
mod places;
mod pledge;
mod service;
mod shared;
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
