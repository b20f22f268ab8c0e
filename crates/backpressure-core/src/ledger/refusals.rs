//! The count of refused offers, kept by the threads that made them.
//!
//! To refuse an offer takes a few loads, so one atomic addition to count it would cost more than all the rest. A thread
//! that is refused therefore has a lane of its own, if there is one left, and adds to it with a plain load and a plain
//! store: nobody else ever writes there. The others share one, and add atomically. Only the first lane is always there. The rest
//! is made once a second thread is refused.

use backpressure_rt::sync::{AtomicU64, AtomicUsize, OnceLock, Ordering};
use backpressure_rt::{known_thread_number, thread_number};

/// How many threads after the first may have a lane.
const LANES: usize = 8;

/// The owner of a lane that nobody has yet.
const NOBODY: usize = usize::MAX;

/// On a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Lane {
    /// The number of the thread that alone writes here, if it is somebody's.
    owner: AtomicUsize,
    counts: Refused<AtomicU64>,
}

/// What became of offers that never entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused<N> {
    /// The item went back to its producer.
    pub(super) rejected: N,
    /// It was discarded, for want of room.
    pub(super) overflow: N,
}

#[derive(Debug)]
pub(super) struct Refusals {
    /// Of the thread that was refused first.
    first: Lane,
    others: OnceLock<Box<Others>>,
}

#[derive(Debug)]
struct Others {
    lanes: [Lane; LANES],
    /// For those who have no lane.
    rest: Lane,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self { first: Lane::new(), others: OnceLock::new() }
    }

    /// So many more of those that `pick` picks.
    #[inline]
    pub(super) fn count(&self, items: u64, pick: impl Fn(&Refused<AtomicU64>) -> &AtomicU64) {
        let me = known_thread_number();
        match self.lane(me) {
            Some(lane) if lane.owner.load(Ordering::Relaxed) == me => add(pick(&lane.counts), items),
            _ => self.count_elsewhere(items, pick),
        }
    }

    /// The lane that this thread has, if it has one.
    #[inline]
    fn lane(&self, me: usize) -> Option<&Lane> {
        if self.first.owner.load(Ordering::Relaxed) == me {
            return Some(&self.first);
        }
        self.others.get().map(|others| &others.lanes[me % LANES])
    }

    /// The same for a thread that does not have a lane, yet or ever.
    #[cold]
    #[inline(never)]
    fn count_elsewhere(&self, items: u64, pick: impl Fn(&Refused<AtomicU64>) -> &AtomicU64) {
        let me = thread_number();
        if self.first.belongs_to(me) {
            return add(pick(&self.first.counts), items);
        }
        let others = self.others.get_or_init(|| Box::new(Others::new()));
        let lane = &others.lanes[me % LANES];
        if lane.belongs_to(me) {
            add(pick(&lane.counts), items);
        } else {
            // Release: pairs with the loads in `read`.
            pick(&others.rest.counts).fetch_add(items, Ordering::Release);
        }
    }

    pub(super) fn read(&self) -> Refused<u64> {
        let others = self.others.get();
        let lanes =
            || others.into_iter().flat_map(|others| others.lanes.iter().chain([&others.rest])).chain([&self.first]);
        // Acquire: pairs with the store in `add` and the addition of those without a lane.
        Refused {
            rejected: lanes().map(|lane| lane.counts.rejected.load(Ordering::Acquire)).sum(),
            overflow: lanes().map(|lane| lane.counts.overflow.load(Ordering::Acquire)).sum(),
        }
    }
}

impl Others {
    fn new() -> Self {
        Self { lanes: std::array::from_fn(|_| Lane::new()), rest: Lane::new() }
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
        let counted = |lane: &Lane| lane.counts.rejected.load(Ordering::Relaxed);
        let others = refusals.others.get().unwrap();
        let of_one: u64 = others.lanes.iter().chain([&refusals.first]).map(counted).sum();
        assert!(others.lanes.iter().all(|lane| counted(lane) <= 1) && counted(&refusals.first) == 1);
        assert_eq!(of_one + counted(&others.rest), 2 * LANES as u64);
    }

    #[test]
    fn one_thread_alone_needs_the_first_lane_only() {
        let refusals = Refusals::new();
        (0..3).for_each(|_| refusals.count(2, |refused| &refused.overflow));
        assert!(refusals.others.get().is_none());
        assert_eq!(refusals.read(), Refused { rejected: 0, overflow: 6 });
    }
}
