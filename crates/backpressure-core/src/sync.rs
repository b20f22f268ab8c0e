//! The synchronisation primitives of the instruments: std's, or loom's when its models run.

#[cfg(not(backpressure_loom))]
pub(crate) use std::sync::{
    Mutex,
    atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering, fence},
};

#[cfg(backpressure_loom)]
pub(crate) use loom::sync::{
    Mutex,
    atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering, fence},
};

/// Lets the other threads run in a spin loop.
#[cold]
pub(crate) fn pause() {
    #[cfg(not(backpressure_loom))]
    std::thread::yield_now();
    #[cfg(backpressure_loom)]
    loom::thread::yield_now();
}

/// Locks whatever a panicking holder left: no invariant here spans a call that can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
