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

use std::hint::spin_loop;
use std::sync::{PoisonError, TryLockError};

/// How often to look for a lock again, after pauses of 1, 2, 4… spins: about ten microseconds in all.
const PATIENCE: u32 = if cfg!(backpressure_loom) { 0 } else { 8 };

/// Something on a cache line of its own: whoever writes it slows down nobody who reads something else.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Padded<T>(pub(crate) T);

/// Locks whatever a panicking holder left: no invariant here spans a call that can panic.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    try_lock(mutex).unwrap_or_else(|| wait_for(mutex))
}

/// Locks here are held for a fraction of a microsecond, so they are worth waiting for: where threads go to sleep over a mutex
/// of std's, each unlocking becomes a system call. In between whoever has it keeps it in its cache.
#[cold]
#[inline(never)]
fn wait_for<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for round in 0..PATIENCE {
        (0..1 << round).for_each(|_| spin_loop());
        if let Some(guard) = try_lock(mutex) {
            return guard;
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, and whether it had to be waited for.
#[cfg(feature = "batch")]
#[inline]
pub(crate) fn lock_in_company<T>(mutex: &Mutex<T>) -> (MutexGuard<'_, T>, bool) {
    try_lock(mutex).map_or_else(|| (wait_for(mutex), true), |guard| (guard, false))
}

/// Locks unless somebody else does.
#[inline]
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
