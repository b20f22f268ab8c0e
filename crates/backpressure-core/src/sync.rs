//! The synchronisation primitives of the instruments: std's, or loom's when its models run.

#[cfg(not(backpressure_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence},
};

#[cfg(backpressure_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence},
};

/// Lets the other threads run in a spin loop.
#[cold]
pub(crate) fn pause() {
    #[cfg(not(backpressure_loom))]
    std::thread::yield_now();
    #[cfg(backpressure_loom)]
    loom::thread::yield_now();
}
