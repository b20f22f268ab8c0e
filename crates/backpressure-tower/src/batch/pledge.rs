//! How a caller knows, without the lock, that its waker stands and will be woken.

use std::task::Waker;

use crate::sync::{AtomicU64, Ordering};

/// Counts the times that answers came in for a page. Written under the lock, before any waker is taken out to be woken.
#[derive(Debug)]
pub(super) struct Landings {
    count: AtomicU64,
}

/// That a waker was stored when so many answers had come in.
///
/// As long as the count is the same, the stored waker has not been taken. So it is alive, and a waker of the same address is
/// the same waker; when it is woken, that is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pledge {
    landings: u64,
    waker: Address,
}

/// Which waker it is, as long as that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address(usize, usize);

impl Landings {
    pub(super) fn new() -> Self {
        Self { count: AtomicU64::new(0) }
    }

    /// Answers come in. Only under the lock.
    pub(super) fn advance(&self) {
        self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// That this waker has been stored. Only under the lock that it was stored under.
    #[inline]
    pub(super) fn pledge(&self, waker: Address) -> Pledge {
        Pledge { landings: self.count.load(Ordering::Relaxed), waker }
    }

    /// Whether this waker is the one that was stored, and will be woken.
    #[inline]
    pub(super) fn holds(&self, pledge: Pledge, waker: &Waker) -> bool {
        pledge.waker == Address::of(waker) && self.count.load(Ordering::Acquire) == pledge.landings
    }
}

impl Address {
    pub(super) fn of(waker: &Waker) -> Self {
        Self(waker.data() as usize, std::ptr::from_ref(waker.vtable()) as usize)
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn w1_a_pledge_holds_for_the_waker_that_was_stored_and_until_answers_come_in() {
        let (landings, stored, other) = (Landings::new(), Waker::from(Arc::new(Task)), Waker::from(Arc::new(Task)));
        let pledge = landings.pledge(Address::of(&stored));
        assert!(landings.holds(pledge, &stored) && landings.holds(pledge, &stored.clone()));
        assert!(!landings.holds(pledge, &other));
        landings.advance();
        assert!(!landings.holds(pledge, &stored));
    }
}
