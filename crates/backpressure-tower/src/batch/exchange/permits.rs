//! Permits for calls that wait for their batch, taken without the lock as long as nobody waits for one; and who does.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use backpressure_rt::sync::{AtomicUsize, Ordering};

/// How many permits are taken, and whether anybody waits, in one word: so whoever releases one either sees that somebody
/// waits, or has released it before the first who waits looked for the last time.
///
/// Every change acquires and releases: it pairs with the other changes, so that who gets a permit sees all that was done
/// before it was given back.
pub(crate) struct Permits {
    /// Permits taken, times two; plus one if somebody waits.
    word: AtomicUsize,
    /// The word from which on nothing is left, if nobody waits. More may be taken if it was lowered.
    full: AtomicUsize,
}

const WAITED_FOR: usize = 1;
const PERMIT: usize = 2;

impl Permits {
    /// So many permits, or half as many as can be counted.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { word: AtomicUsize::new(0), full: AtomicUsize::new(full(capacity)) }
    }

    /// So many permits from now on. Those that are taken stay good. Only under the lock of whoever waits.
    pub(super) fn set_capacity(&self, capacity: usize) {
        // Relaxed: those who wait look under the lock, and whoever comes later than this returns sees it by that.
        self.full.store(full(capacity), Ordering::Relaxed);
    }

    /// Takes permits, unless there are not as many, or somebody waits for them.
    #[inline]
    pub(crate) fn try_acquire(&self, permits: usize) -> bool {
        let is_free = |word: usize| word & WAITED_FOR == 0 && self.full().saturating_sub(word) / PERMIT >= permits;
        let taken = |word: usize| is_free(word).then(|| word + permits * PERMIT);
        // AcqRel: pairs with `release`; the permit comes after what its last holder did. Acquire where there is none: see whoever waits.
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).is_ok()
    }

    /// Takes a permit for the first who waits.
    pub(super) fn try_acquire_waiting(&self) -> bool {
        let taken = |word: usize| ((word & !WAITED_FOR) < self.full()).then(|| word + PERMIT);
        // AcqRel: pairs with `release`; the permit comes after what its last holder did. Acquire where there is none: see whoever waits.
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).is_ok()
    }

    /// Gives permits back. Answers whether somebody who waits is to be served.
    #[inline]
    pub(crate) fn release(&self, permits: usize) -> bool {
        // AcqRel: pairs with `try_acquire`, and with `start_waiting`: see the type.
        self.word.fetch_sub(permits * PERMIT, Ordering::AcqRel) & WAITED_FOR != 0
    }

    #[inline]
    fn full(&self) -> usize {
        self.full.load(Ordering::Relaxed)
    }

    /// From now on somebody waits: nobody else gets a permit.
    pub(super) fn start_waiting(&self) {
        // AcqRel: pairs with `release`. Either that sees who waits, or who waits sees the permit.
        self.word.fetch_or(WAITED_FOR, Ordering::AcqRel);
    }

    /// From now on nobody does.
    pub(super) fn stop_waiting(&self) {
        // AcqRel: keeps the chain of changes whole.
        self.word.fetch_and(!WAITED_FOR, Ordering::AcqRel);
    }
}

/// The word of so many permits, or of half as many as can be counted.
fn full(capacity: usize) -> usize {
    capacity.min(usize::MAX / PERMIT - 1) * PERMIT
}

/// Handles that wait for a permit, first come, first served.
///
/// Whoever joins keeps a key until it [leaves](Self::leave): first in line, then with a permit of its own. No waker is cloned,
/// woken or dropped in here: they are handed out for that.
#[derive(Default)]
pub(super) struct Waiters {
    next: usize,
    /// `None` once woken.
    line: BTreeMap<usize, Option<Waker>>,
    served: BTreeSet<usize>,
}

impl Waiters {
    /// Whether nobody is in line.
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Joins at the end of the line.
    pub(super) fn join(&mut self, waker: Waker) -> usize {
        self.next += 1;
        self.line.insert(self.next, Some(waker));
        self.next
    }

    /// Whether this key has been given a permit.
    pub(super) fn has_permit(&self, key: usize) -> bool {
        self.served.contains(&key)
    }

    /// Keeps the latest waker, and hands back the one it replaces.
    pub(super) fn refresh(&mut self, key: usize, waker: Waker) -> Option<Waker> {
        self.line.insert(key, Some(waker)).flatten()
    }

    /// Gives a permit to the first in line, and hands out its waker.
    pub(super) fn serve(&mut self) -> Option<Waker> {
        let (key, waker) = self.line.pop_first()?;
        self.served.insert(key);
        waker
    }

    /// Hands out the wakers of everyone in line, without serving them.
    pub(super) fn wakers(&mut self) -> Vec<Waker> {
        self.line.values_mut().filter_map(Option::take).collect()
    }

    /// Answers whether it had a permit, and its waker, to be dropped outside every lock.
    pub(super) fn leave(&mut self, key: usize) -> (bool, Option<Waker>) {
        (self.served.remove(&key), self.line.remove(&key).flatten())
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use super::*;

    #[test]
    fn d3_no_more_are_taken_than_there_are() {
        let permits = Permits::new(2);
        assert!(permits.try_acquire(1) && permits.try_acquire(1));
        assert!(!permits.try_acquire(1) && !permits.try_acquire_waiting());
        assert!(!permits.release(2));
        assert!(permits.try_acquire(1));
    }

    #[test]
    fn r2_r4_fewer_permits_take_none_away_and_give_none_until_they_fit() {
        let permits = Permits::new(3);
        assert!(permits.try_acquire(3));
        permits.set_capacity(1);
        for _ in 0..2 {
            assert!(!permits.release(1));
            assert!(!permits.try_acquire(1) && !permits.try_acquire_waiting());
        }
        assert!(!permits.release(1));
        assert!(permits.try_acquire(1) && !permits.try_acquire(1));
        permits.set_capacity(2);
        assert!(permits.try_acquire(1) && !permits.try_acquire(1));
    }

    #[test]
    fn o4_nobody_overtakes_those_who_wait() {
        let permits = Permits::new(2);
        assert!(permits.try_acquire(1));
        permits.start_waiting();
        assert!(!permits.try_acquire(1));
        assert!(permits.try_acquire_waiting());
        assert!(permits.release(1), "somebody is to be served");
        permits.stop_waiting();
        assert!(permits.try_acquire(1));
    }

    #[test]
    fn d6_the_largest_capacity_does_not_overflow() {
        let permits = Permits::new(usize::MAX);
        permits.start_waiting();
        assert!(permits.try_acquire_waiting() && permits.release(1));
    }

    #[test]
    fn o4_the_first_to_come_is_the_first_served_whoever_leaves_in_between() {
        for leaver in 0..4 {
            let mut waiters = Waiters::default();
            let keys: Vec<_> = (0..4).map(|_| waiters.join(Waker::noop().clone())).collect();
            assert!(!waiters.leave(keys[leaver]).0);
            for &key in keys.iter().filter(|&&key| key != keys[leaver]) {
                assert!(!waiters.has_permit(key));
                assert!(waiters.serve().is_some());
                assert!(waiters.has_permit(key));
            }
            assert!(waiters.is_empty() && waiters.serve().is_none());
        }
    }

    #[test]
    fn x1_members_that_come_and_go_leave_nothing_behind() {
        let mut waiters = Waiters::default();
        for _ in 0..1_000 {
            let (a, b) = (waiters.join(Waker::noop().clone()), waiters.join(Waker::noop().clone()));
            waiters.serve();
            assert!(waiters.leave(a).0);
            assert!(!waiters.leave(b).0);
        }
        assert!(waiters.line.is_empty() && waiters.served.is_empty());
    }
}
