//! The synchronisation primitives of the limiter and the batcher: std's, or loom's when its models run.

#[cfg(not(backpressure_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

#[cfg(backpressure_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

pub(crate) use backpressure_core::{lock, try_lock};

/// Something on a cache line of its own: whoever writes it slows down nobody who reads something else.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Padded<T>(pub(crate) T);

/// The same as [`lock`], and whether it had to be waited for.
#[cfg(feature = "batch")]
#[inline]
pub(crate) fn lock_in_company<T>(mutex: &Mutex<T>) -> (MutexGuard<'_, T>, bool) {
    try_lock(mutex).map_or_else(|| (lock(mutex), true), |guard| (guard, false))
}
