//! Tasks that wait for a rare event.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use backpressure_rt::sync::Mutex;
use backpressure_rt::{lock, wake_all};

/// Wakes everybody who registered since it last notified.
pub(crate) struct Notify(Mutex<Tasks>);

#[derive(Default)]
struct Tasks {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

/// Somebody who may register again and again, and is forgotten when it goes away.
pub(crate) struct Listener {
    notify: Arc<Notify>,
    number: u64,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Tasks::default()))
    }

    /// The event must be looked for again afterwards.
    pub(crate) fn register(&self, waker: &Waker) {
        // Cloned before the lock: that calls the waker's own code.
        let waker = waker.clone();
        let mut tasks = lock(&self.0);
        if !tasks.wakers.values().any(|known| known.will_wake(&waker)) {
            let number = tasks.number();
            tasks.wakers.insert(number, waker);
        }
    }

    pub(crate) fn listen(self: &Arc<Self>) -> Listener {
        Listener { notify: Arc::clone(self), number: lock(&self.0).number() }
    }

    /// Never under a lock.
    pub(crate) fn notify_all(&self) {
        let wakers = std::mem::take(&mut lock(&self.0).wakers);
        wake_all(wakers.into_values());
    }
}

impl Tasks {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Listener {
    /// The event must be looked for again afterwards. The latest waker is the one that is woken.
    pub(crate) fn register(&self, waker: &Waker) {
        let waker = waker.clone();
        let before = lock(&self.notify.0).wakers.insert(self.number, waker);
        drop(before);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let waker = lock(&self.notify.0).wakers.remove(&self.number);
        drop(waker);
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notify")
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("number", &self.number).finish_non_exhaustive()
    }
}
