//! The tasks that wait for a change of state.

use std::fmt;
use std::task::Waker;

use backpressure_rt::sync::{AtomicUsize, Mutex, Ordering, fence};
use backpressure_rt::{lock, wake_all};

/// Those who wait for one buffer's state to change.
pub(crate) struct Watchers {
    count: AtomicUsize,
    wakers: Mutex<Vec<(u64, Waker)>>,
}

impl Watchers {
    pub(super) fn new() -> Self {
        Self { count: AtomicUsize::new(0), wakers: Mutex::new(Vec::new()) }
    }

    /// Keeps the latest waker of this watcher. The state must be looked at again afterwards.
    pub(super) fn register(&self, watcher: u64, waker: &Waker) {
        // Cloned before the lock and dropped after it: both call the waker's own code, which may come back here.
        let waker = waker.clone();
        let mut wakers = lock(&self.wakers);
        let replaced = match wakers.iter_mut().find(|(id, _)| *id == watcher) {
            Some((_, kept)) => Some(std::mem::replace(kept, waker)),
            None => {
                wakers.push((watcher, waker));
                None
            }
        };
        self.count.store(wakers.len(), Ordering::Relaxed);
        drop(wakers);
        drop(replaced);
        // SeqCst: pairs with the fence in `notify`: either this watcher sees the new state, or the notifier sees this watcher.
        fence(Ordering::SeqCst);
    }

    pub(super) fn forget(&self, watcher: u64) {
        let mut wakers = lock(&self.wakers);
        let gone = wakers.iter().position(|(id, _)| *id == watcher).map(|found| wakers.swap_remove(found));
        self.count.store(wakers.len(), Ordering::Relaxed);
        drop(wakers);
        drop(gone);
    }

    pub(crate) fn notify(&self) {
        // SeqCst: pairs with the fence in `register`.
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let woken = {
            let mut wakers = lock(&self.wakers);
            self.count.store(0, Ordering::Relaxed);
            std::mem::take(&mut *wakers)
        };
        wake_all(woken.into_iter().map(|(_, waker)| waker));
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").field("count", &self.count.load(Ordering::Relaxed)).finish()
    }
}
