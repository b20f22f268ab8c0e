//! What a part does with its time, told by its own thread and read from others.
//!
//! Two things are written at every edge, by plain atomic operations: what the part says that it does, and how many producers
//! wait for it. Only once somebody asks is a [`Timed`] made, and only then do edges read the clock. What it says follows from both
//! words, its own and those of the parts that it feeds, at the instant at which it looks; as every edge makes it look, under
//! one lock, the last look is right whatever order they come in.

use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::clock::Clock;
use crate::flow::{Work, WorkClock, WorkTimes};
use crate::ledger::Sequence;
use backpressure_rt::lock;
use backpressure_rt::sync::{AtomicU8, AtomicU64, AtomicUsize, Mutex, Ordering};

/// A part that has told nothing yet.
const UNTOLD: u8 = u8::MAX;

/// What a part says about its time, and all that follows from it.
#[derive(Debug)]
pub(crate) struct WorkCells {
    signs: Arc<Signs>,
    clock: Clock,
    timed: OnceLock<Arc<Timed>>,
}

#[derive(Debug)]
struct Signs {
    work: AtomicU8,
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
    told: AtomicU8,
    work: AtomicU8,
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
    pub(super) fn new(clock: Clock) -> Self {
        let signs = Signs { work: AtomicU8::new(UNTOLD), waiting: AtomicUsize::new(0) };
        Self { signs: Arc::new(signs), clock, timed: OnceLock::new() }
    }

    /// From now on the part does this. One caller at a time.
    #[inline]
    pub(crate) fn tell(&self, work: Work) {
        self.signs.work.store(work as u8, Ordering::Relaxed);
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

impl Timed {
    fn new(signs: Arc<Signs>, clock: Clock) -> Self {
        let now = clock();
        let told = signs.work.load(Ordering::Relaxed);
        let work = work_of(told).unwrap_or_default();
        Self {
            signs,
            clock,
            epoch: now,
            edges: Mutex::new(Edges { clock: WorkClock::new(now, work), next: Vec::new() }),
            feeders: Mutex::new(Vec::new()),
            sequence: Sequence::new(),
            told: AtomicU8::new(told),
            work: AtomicU8::new(work as u8),
            since: AtomicU64::new(0),
            spent: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Something may have changed, if only the number of parts that it feeds.
    fn edge(&self, feeds: Option<&Arc<Signs>>) {
        let mut edges = lock(&self.edges);
        edges.next.extend(feeds.map(Arc::clone));
        let told = self.signs.work.load(Ordering::Relaxed);
        let is_held_up = edges.next.iter().any(|next| next.waiting.load(Ordering::Relaxed) > 0);
        let work = work_of(told).unwrap_or_default().held_up(is_held_up);
        if work == edges.clock.work() && told == self.told.load(Ordering::Relaxed) {
            return;
        }
        edges.clock.enter((self.clock)(), work);
        let (work, since, spent) = edges.clock.parts();
        self.sequence.write(|| {
            self.told.store(told, Ordering::Relaxed);
            self.work.store(work as u8, Ordering::Relaxed);
            self.since.store(nanos(since.saturating_duration_since(self.epoch)), Ordering::Relaxed);
            for (cell, work) in self.spent.iter().zip(Work::ALL) {
                cell.store(nanos(spent.time(work)), Ordering::Relaxed);
            }
        });
    }

    fn read(&self, now: Instant) -> Option<WorkTimes> {
        // An edge that came as the timing began may have seen none of it.
        if self.signs.work.load(Ordering::Relaxed) != self.told.load(Ordering::Relaxed) {
            self.edge(None);
        }
        let (told, work, since, mut spent) = self.sequence.read(|| {
            let spent: [u64; Work::ALL.len()] = std::array::from_fn(|i| self.spent[i].load(Ordering::Relaxed));
            let [told, work] = [&self.told, &self.work].map(|cell| cell.load(Ordering::Relaxed));
            (told, work, self.since.load(Ordering::Relaxed), spent)
        });
        work_of(told)?;
        let spent_so_far = &mut spent[usize::from(work)];
        let running = nanos(now.saturating_duration_since(self.epoch)).saturating_sub(since);
        *spent_so_far = spent_so_far.saturating_add(running);
        Some(WorkTimes::from_array(spent.map(Duration::from_nanos)))
    }
}

fn work_of(told: u8) -> Option<Work> {
    Work::ALL.get(usize::from(told)).copied()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
