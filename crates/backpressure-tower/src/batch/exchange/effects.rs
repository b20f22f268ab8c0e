//! What is left to do once the lock of the exchange is released.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

use backpressure_core::Reporter;

/// Whom to wake, and whether to tell that the state has changed.
#[derive(Default)]
#[must_use = "wakes are lost if this is not applied"]
pub(crate) struct Effects {
    pub(super) changed: bool,
    pub(super) worker: Option<Waker>,
    pub(crate) others: Vec<Waker>,
}

impl Effects {
    /// Wakes and notifies. Never under the lock.
    #[inline]
    pub(crate) fn apply(mut self, reporter: &Reporter) {
        self.flush(reporter);
    }

    /// The same; nothing is left to do then.
    #[inline]
    pub(crate) fn flush(&mut self, reporter: &Reporter) {
        if self.changed || self.worker.is_some() || !self.others.is_empty() {
            self.flush_all(reporter);
        }
    }

    #[inline(never)]
    fn flush_all(&mut self, reporter: &Reporter) {
        if mem::take(&mut self.changed) {
            reporter.notify();
        }
        wake_all(self.worker.take().into_iter().chain(self.others.drain(..)));
    }

    /// Takes over what another one has to do.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.changed |= mem::take(&mut other.changed);
        self.worker = self.worker.take().or_else(|| other.worker.take());
        self.others.append(&mut other.others);
    }
}

/// Wakes all of them, even where one panics. The first panic goes on after that.
fn wake_all(mut wakers: impl Iterator<Item = Waker>) {
    let mut panic = None;
    while let Err(next) = catch_unwind(AssertUnwindSafe(|| wakers.by_ref().for_each(Waker::wake))) {
        panic.get_or_insert(next);
    }
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Fragile(AtomicUsize, bool);

    impl Wake for Fragile {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
            assert!(!self.1, "as told");
        }
    }

    #[test]
    fn w4_all_are_woken_even_where_one_panics_and_the_panic_goes_on() {
        let tasks = [false, true, false, true].map(|panics| Arc::new(Fragile(AtomicUsize::new(0), panics)));
        let wakers = tasks.iter().map(|task| Arc::clone(task).into());
        assert!(catch_unwind(AssertUnwindSafe(|| wake_all(wakers))).is_err());
        assert!(tasks.iter().all(|task| task.0.load(Ordering::SeqCst) == 1));
    }
}
