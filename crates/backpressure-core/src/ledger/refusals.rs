//! The count of refused offers, kept by the threads that made them.
//!
//! To refuse an offer takes a few loads, so one atomic addition to count it would cost more than all the rest. A thread
//! that is refused therefore has a lane of its own, if there is one left, and adds to it with a plain load and a plain
//! store: nobody else ever writes there. The others share one, and add atomically.

use backpressure_rt::sync::{AtomicU64, AtomicUsize, Ordering};
use backpressure_rt::{known_thread_number, thread_number};

/// How many threads may have a lane.
const LANES: usize = 8;

/// The owner of a lane that is nobody's.
const NOBODY: usize = usize::MAX;

/// Two counts on a cache line of their own.
#[derive(Debug)]
#[repr(align(64))]
struct Lane {
    /// The number of the thread that alone writes here, if it is somebody's.
    owner: AtomicUsize,
    counts: Refused<AtomicU64>,
}

/// What an offer may be refused by, where that is done without the lock of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused<N> {
    /// The item went back to its producer.
    pub(super) rejected: N,
    /// It was discarded, for want of room.
    pub(super) overflow: N,
}

#[derive(Debug)]
pub(super) struct Refusals {
    lanes: [Lane; LANES],
    /// For those who have no lane.
    rest: Lane,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self { lanes: std::array::from_fn(|_| Lane::new()), rest: Lane::new() }
    }

    /// So many more of those that `pick` picks.
    #[inline]
    pub(super) fn count(&self, items: u64, pick: impl Fn(&Refused<AtomicU64>) -> &AtomicU64) {
        let me = known_thread_number();
        let lane = &self.lanes[me % LANES];
        if lane.owner.load(Ordering::Relaxed) == me {
            add(pick(&lane.counts), items);
        } else {
            self.count_elsewhere(items, pick);
        }
    }

    /// The same for a thread that does not have the lane, yet or ever.
    #[cold]
    #[inline(never)]
    fn count_elsewhere(&self, items: u64, pick: impl Fn(&Refused<AtomicU64>) -> &AtomicU64) {
        let me = thread_number();
        let lane = &self.lanes[me % LANES];
        if lane.belongs_to(me) {
            add(pick(&lane.counts), items);
        } else {
            // Release: pairs with the loads in `read`.
            pick(&self.rest.counts).fetch_add(items, Ordering::Release);
        }
    }

    pub(super) fn read(&self) -> Refused<u64> {
        let lanes = || self.lanes.iter().chain([&self.rest]).map(|lane| &lane.counts);
        // Acquire: pairs with the store in `add` and the addition of those without a lane.
        Refused {
            rejected: lanes().map(|counts| counts.rejected.load(Ordering::Acquire)).sum(),
            overflow: lanes().map(|counts| counts.overflow.load(Ordering::Acquire)).sum(),
        }
    }
}

impl Lane {
    fn new() -> Self {
        let counts = Refused { rejected: AtomicU64::new(0), overflow: AtomicU64::new(0) };
        Self { owner: AtomicUsize::new(NOBODY), counts }
    }

    /// Whether this thread has the lane, or gets it.
    fn belongs_to(&self, thread: usize) -> bool {
        match self.owner.load(Ordering::Relaxed) {
            NOBODY => self.owner.compare_exchange(NOBODY, thread, Ordering::Relaxed, Ordering::Relaxed).is_ok(),
            owner => owner == thread,
        }
    }
}

/// For the one thread that writes to the cell.
#[inline]
fn add(cell: &AtomicU64, items: u64) {
    // Release: pairs with the loads in `read`; who sees the count sees what was done before the refusal.
    cell.store(cell.load(Ordering::Relaxed) + items, Ordering::Release);
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use super::*;

    #[test]
    fn m2_no_refusal_is_missed_although_there_are_more_threads_than_lanes() {
        const THREADS: u64 = 3 * LANES as u64;
        const EACH: u64 = 10_000;
        let refusals = Refusals::new();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        refusals.count(1, |refused| &refused.rejected);
                        refusals.count(1, |refused| &refused.overflow);
                    }
                });
            }
            let mut before = refusals.read();
            while before.rejected < THREADS * EACH {
                let now = refusals.read();
                assert!(now.rejected >= before.rejected && now.overflow >= before.overflow);
                before = now;
            }
        });
        assert_eq!(refusals.read(), Refused { rejected: THREADS * EACH, overflow: THREADS * EACH });
    }

    #[test]
    fn a_lane_stays_with_the_thread_that_had_it_first() {
        let refusals = Refusals::new();
        let count = || refusals.count(1, |refused| &refused.rejected);
        std::thread::scope(|scope| (0..2 * LANES).for_each(|_| assert!(scope.spawn(count).join().is_ok())));
        assert!(refusals.lanes.iter().all(|lane| lane.counts.rejected.load(Ordering::Relaxed) == 1));
        assert_eq!(refusals.rest.counts.rejected.load(Ordering::Relaxed), LANES as u64);
    }
}
