//! Tasks that wait for an event that is rare.

use std::fmt;
use std::task::Waker;

use crate::sync::{Mutex, lock};

/// Wakes everybody who registered since it last rang.
pub(crate) struct Bell(Mutex<Vec<Waker>>);

impl Bell {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The event must be looked for again afterwards.
    pub(crate) fn register(&self, waker: &Waker) {
        // Cloned before the lock: that calls the waker's own code.
        let waker = waker.clone();
        let mut wakers = lock(&self.0);
        if !wakers.iter().any(|known| known.will_wake(&waker)) {
            wakers.push(waker);
        }
    }

    /// Never under a lock.
    pub(crate) fn ring(&self) {
        let wakers = std::mem::take(&mut *lock(&self.0));
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}
