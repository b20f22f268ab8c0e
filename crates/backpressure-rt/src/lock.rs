//! Taking a lock that many threads want.

use std::sync::{PoisonError, TryLockError};

use crate::sync::{Mutex, MutexGuard, pause};

/// How often to step back from a lock that is held, before each look at it. In a model once is as good as often.
const PATIENCE: &[u32] = if cfg!(backpressure_loom) { &[1, 1, 1] } else { &[4, 8, 16] };

/// Locks whatever a panicking holder left: for what no panic leaves half done.
#[inline]
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    try_lock(mutex).unwrap_or_else(|| wait_for(mutex))
}

/// The same, unless somebody else has locked it.
#[inline]
pub fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The same as [`lock`], and whether somebody else had it.
#[inline]
pub fn lock_contended<T>(mutex: &Mutex<T>) -> (MutexGuard<'_, T>, bool) {
    try_lock(mutex).map_or_else(|| (wait_for(mutex), true), |guard| (guard, false))
}

/// Steps back for a microsecond or a few, so that whoever has the lock can use it many times more with all that it guards in its
/// cache: two threads that take turns at each item are several times slower. Only then does it sleep, since where threads
/// sleep over a mutex of std's, each unlocking becomes a system call.
#[cold]
#[inline(never)]
fn wait_for<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for &steps in PATIENCE {
        (0..steps).for_each(|_| pause());
        if let Some(guard) = try_lock(mutex) {
            return guard;
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn whoever_waits_gets_it_in_the_end_however_long_it_is_held() {
        let mutex = Mutex::new(0);
        let (tx, rx) = mpsc::channel();
        thread::scope(|scope| {
            let held = lock(&mutex);
            assert!(try_lock(&mutex).is_none());
            for tx in [tx.clone(), tx] {
                let mutex = &mutex;
                scope.spawn(move || {
                    tx.send(()).unwrap();
                    *lock(mutex) += 1;
                });
            }
            assert_eq!(rx.iter().take(2).count(), 2);
            (0..100).for_each(|_| thread::yield_now());
            drop(held);
        });
        assert_eq!(*lock(&mutex), 2);
    }

    #[test]
    fn what_a_panicking_holder_left_is_locked() {
        let mutex = Mutex::new(7);
        let panicked = thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _guard = lock(&mutex);
                    panic!("a holder");
                })
                .join()
        });
        assert!(panicked.is_err());
        assert_eq!(*lock(&mutex), 7);
        assert_eq!(try_lock(&mutex).map(|guard| *guard), Some(7));
    }
}
