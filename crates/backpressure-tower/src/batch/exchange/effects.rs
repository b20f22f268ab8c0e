//! The effects that are carried out once the lock of the exchange is released.

use std::mem;
use std::task::Waker;

use backpressure_core::Reporter;
use backpressure_rt::{Relay, wake_all};

/// Whom to wake, and whether to tell that the state has changed.
#[derive(Default)]
#[must_use = "wakes are lost if this is not applied"]
pub(crate) struct Effects {
    pub(super) changed: bool,
    pub(super) worker: Option<Waker>,
    pub(crate) others: Vec<Waker>,
}

impl Effects {
    /// Wakes and notifies, all of them even where one panics. Nothing is left to do then. Never under the lock.
    #[inline]
    pub(crate) fn flush(&mut self, reporter: &Reporter) {
        if self.changed || self.worker.is_some() || !self.others.is_empty() {
            self.flush_all(reporter);
        }
    }

    /// Wakes and notifies, where there is something to do.
    #[inline(never)]
    fn flush_all(&mut self, reporter: &Reporter) {
        let mut relay = Relay::new();
        if mem::take(&mut self.changed) {
            relay.call(|| reporter.notify());
        }
        relay.call(|| wake_all(self.worker.take().into_iter().chain(self.others.drain(..))));
        relay.resume();
    }
}
