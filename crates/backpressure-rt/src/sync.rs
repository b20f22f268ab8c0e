//! The synchronisation primitives of the workspace: std's, or loom's when its models run.

#[cfg(not(backpressure_loom))]
pub use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence},
};

#[cfg(backpressure_loom)]
pub use crate::once::OnceLock;
#[cfg(backpressure_loom)]
pub use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence},
};

/// Lets the other threads run in a spin loop.
#[cold]
pub fn pause() {
    #[cfg(not(backpressure_loom))]
    std::thread::yield_now();
    #[cfg(backpressure_loom)]
    loom::thread::yield_now();
}
