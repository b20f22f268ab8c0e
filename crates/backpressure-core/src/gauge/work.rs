//! The work of a part, written by its own thread and read from others.
//!
//! Two words are written at every edge, by plain atomic operations: what the part says that it does, and how many producers
//! wait for it. Only once somebody asks is a [`Timed`] made, and only then do edges read the clock. What follows from the words,
//! the part's own and those of the parts that it feeds, is found out at each edge anew, under one lock: so the last look is
//! right, in whatever order the edges come.
//!
//! The words are `Relaxed`, for each is the whole of what it says, and nothing else is read on its account. What is between a word and
//! the edge that follows from it is ordered by the lock: a thread writes its word before it takes the lock, so of two edges the later
//! one sees the words of both. What is written under the lock is read through the [`Sequence`], which has its own orders and models.
//! One order is left open: a part may write its word while another thread makes the [`Timed`], each missing the other. Then no edge
//! comes, and the next look finds the word to differ from the one that was taken, and makes up for the edge, by then's clock. So too if
//! a producer begins to wait just as the part that it waits for begins to be timed: what feeds that counts as not blocked until the next
//! edge of either.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::calls::Calls;
use super::clock::Clock;
use crate::flow::{Activity, Work, WorkClock, WorkTimes};
use crate::ledger::Sequence;
use backpressure_rt::lock;
use backpressure_rt::sync::{AtomicU64, AtomicUsize, Mutex, OnceLock, Ordering};

/// A part that has told nothing yet.
const UNTOLD: u64 = u64::MAX;

/// What a part says about its time, and all that follows from it.
#[derive(Debug)]
pub(crate) struct WorkCells {
    signs: Arc<Signs>,
    clock: Clock,
    timed: OnceLock<Arc<Timed>>,
}

#[derive(Debug)]
struct Signs {
    /// What the part says; of one that admits calls it follows from those.
    told: AtomicU64,
    calls: Option<Arc<dyn Calls>>,
    /// Producers that wait for room.
    waiting: AtomicUsize,
}

/// The time that is taken.
#[derive(Debug)]
struct Timed {
    signs: Arc<Signs>,
    clock: Clock,
    epoch: Instant,
    edges: Mutex<Edges>,
    /// Those that feed this part, to be told when producers begin and cease to wait.
    feeders: Mutex<Vec<Weak<Timed>>>,
    sequence: Sequence,
    /// What was read from the signs at the last edge, and what followed.
    told: AtomicU64,
    activity: AtomicU64,
    since: AtomicU64,
    spent: [AtomicU64; Work::ALL.len()],
}

/// What only an edge looks at.
#[derive(Debug)]
struct Edges {
    clock: WorkClock,
    /// The parts that this one feeds.
    next: Vec<Arc<Signs>>,
}

impl WorkCells {
    pub(super) fn new(clock: Clock, calls: Option<Arc<dyn Calls>>) -> Self {
        let signs = Signs { told: AtomicU64::new(UNTOLD), calls, waiting: AtomicUsize::new(0) };
        Self { signs: Arc::new(signs), clock, timed: OnceLock::new() }
    }

    /// From now on the part does this. One caller at a time.
    #[inline]
    pub(crate) fn tell(&self, activity: Activity) {
        self.tell_bits(activity.to_bits());
    }

    /// The same, of an activity in one word.
    #[inline]
    pub(super) fn tell_bits(&self, bits: u64) {
        self.signs.told.store(bits, Ordering::Relaxed);
        self.edge();
    }

    /// Calls came, or went, and it matters.
    #[inline]
    pub(crate) fn edge(&self) {
        if let Some(timed) = self.timed.get() {
            timed.edge(None);
        }
    }

    pub(super) fn producer_waits(&self) {
        if self.signs.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.tell_feeders();
        }
    }

    pub(super) fn producer_waited(&self) {
        if self.signs.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.tell_feeders();
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.signs.waiting.load(Ordering::Relaxed)
    }

    fn tell_feeders(&self) {
        let Some(timed) = self.timed.get() else { return };
        let feeders: Vec<_> = lock(&timed.feeders).iter().filter_map(Weak::upgrade).collect();
        feeders.iter().for_each(|feeder| feeder.edge(None));
    }

    pub(super) fn time(&self) {
        self.timed();
    }

    pub(super) fn feeds(&self, next: &Self) {
        let (timed, next_timed) = (self.timed(), next.timed());
        let mut feeders = lock(&next_timed.feeders);
        feeders.retain(|feeder| feeder.strong_count() > 0);
        feeders.push(Arc::downgrade(timed));
        drop(feeders);
        timed.edge(Some(&next.signs));
    }

    fn timed(&self) -> &Arc<Timed> {
        self.timed.get_or_init(|| Arc::new(Timed::new(Arc::clone(&self.signs), self.clock)))
    }

    /// The times by `now`; `None` if nobody has asked for them, and of a part that has told nothing.
    pub(super) fn read(&self, now: Instant) -> Option<WorkTimes> {
        self.timed.get()?.read(now)
    }
}

impl Signs {
    fn told(&self) -> u64 {
        match &self.calls {
            Some(calls) => Activity::busy(calls.in_flight().min(1), 1).to_bits(),
            None => self.told.load(Ordering::Relaxed),
        }
    }
}

impl Timed {
    fn new(signs: Arc<Signs>, clock: Clock) -> Self {
        let now = clock();
        let told = signs.told();
        let activity = Activity::from_bits(told).unwrap_or(Activity::IDLE);
        Self {
            signs,
            clock,
            epoch: now,
            edges: Mutex::new(Edges { clock: WorkClock::new(now, activity), next: Vec::new() }),
            feeders: Mutex::new(Vec::new()),
            sequence: Sequence::new(),
            told: AtomicU64::new(told),
            activity: AtomicU64::new(activity.to_bits()),
            since: AtomicU64::new(0),
            spent: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Something may have changed, if only which parts it feeds.
    #[inline(never)]
    fn edge(&self, feeds: Option<&Arc<Signs>>) {
        let mut edges = lock(&self.edges);
        edges.next.extend(feeds.map(Arc::clone));
        let told = self.signs.told();
        let is_held_up = edges.next.iter().any(|next| next.waiting.load(Ordering::Relaxed) > 0);
        let activity = Activity::from_bits(told).unwrap_or(Activity::IDLE).held_up(is_held_up);
        if activity == edges.clock.activity() && told == self.told.load(Ordering::Relaxed) {
            return;
        }
        let now = (self.clock)();
        if self.told.load(Ordering::Relaxed) == UNTOLD {
            edges.clock = WorkClock::new(now, activity);
        }
        edges.clock.enter(now, activity);
        let (since, spent) = edges.clock.base();
        self.sequence.write(|| {
            self.told.store(told, Ordering::Relaxed);
            self.activity.store(activity.to_bits(), Ordering::Relaxed);
            self.since.store(nanos(since.saturating_duration_since(self.epoch)), Ordering::Relaxed);
            for (cell, work) in self.spent.iter().zip(Work::ALL) {
                cell.store(nanos(spent.time(work)), Ordering::Relaxed);
            }
        });
    }

    fn read(&self, now: Instant) -> Option<WorkTimes> {
        // An edge that came as the timing began may have seen none of it.
        if self.signs.told() != self.told.load(Ordering::Relaxed) {
            self.edge(None);
        }
        let (told, activity, since, spent) = self.sequence.read(|| {
            let spent = self.spent.each_ref().map(|cell| cell.load(Ordering::Relaxed));
            let [told, activity, since] =
                [&self.told, &self.activity, &self.since].map(|cell| cell.load(Ordering::Relaxed));
            (told, activity, since, spent)
        });
        Activity::from_bits(told)?;
        let running = nanos(now.saturating_duration_since(self.epoch)).saturating_sub(since);
        let spent = WorkTimes::from_array(spent.map(Duration::from_nanos));
        Some(spent.and(Activity::from_bits(activity)?, Duration::from_nanos(running)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
