//! The synchronisation primitives of the channel: std's, or loom's when its models run.

#[cfg(not(backpressure_loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

#[cfg(backpressure_loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

use std::sync::{PoisonError, TryLockError};

/// How often to step back from a lock that is held, before each look at it.
const PATIENCE: &[u32] = if cfg!(backpressure_loom) { &[] } else { &[4, 8, 16] };

/// Locks whatever a panicking holder left.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    try_lock(mutex).unwrap_or_else(|| wait_for(mutex))
}

/// Steps back for a microsecond or a few, so that whoever has the lock can use it many times more with all that it guards in its
/// cache: two threads that take turns at each item are several times slower. Only then does it sleep, since where threads
/// sleep over a mutex of std's, each unlocking becomes a system call.
#[cold]
#[inline(never)]
fn wait_for<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for &steps in PATIENCE {
        (0..steps).for_each(|_| std::thread::yield_now());
        if let Some(guard) = try_lock(mutex) {
            return guard;
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[inline]
fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
