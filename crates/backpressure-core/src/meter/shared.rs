//! What recorder, reporters and gauges share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::age::AgeMarks;
use super::calls::Calls;
use super::lazy::LazyLatencies;
use super::ledger::Ledger;
use super::recorder::Clock;
use super::reporter::FlushCells;
use super::sequence::Sequence;
use super::tally::Handed;
use super::watch::Watchers;
use crate::config::BackpressureConfig;
use crate::state::State;
use crate::strategy::Strategy;
use crate::sync::{AtomicU8, AtomicU64, AtomicUsize, Mutex, Ordering};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ledger: Ledger,
    pub(super) level: Level,
    pub(super) times: StateTimes,
    pub(super) watchers: Watchers,
    pub(super) age: Mutex<AgeMarks>,
    pub(super) waiting: AtomicUsize,
    pub(super) waits: LazyLatencies,
    pub(super) flushes: FlushCells,
    pub(super) strategy: Strategy,
    pub(super) clock: Clock,
    /// In a part without a buffer, the calls that the ledger knows nothing of.
    pub(super) calls: Option<Arc<Calls>>,
}

impl Shared {
    pub(super) fn new(config: &BackpressureConfig, clock: Clock, tracked: bool) -> Self {
        Self {
            ledger: Ledger::new(tracked),
            level: Level::new(config),
            times: StateTimes::new(clock()),
            watchers: Watchers::new(),
            age: Mutex::new(AgeMarks::default()),
            waiting: AtomicUsize::new(0),
            waits: LazyLatencies::default(),
            flushes: FlushCells::new(),
            strategy: config.strategy(),
            clock,
            calls: None,
        }
    }

    /// These instruments for a part without a buffer.
    pub(super) fn counting(self, calls: Arc<Calls>) -> Self {
        Self { calls: Some(calls), ..self }
    }

    pub(super) fn capacity(&self) -> usize {
        self.calls.as_ref().map_or(self.level.capacity, |calls| calls.capacity())
    }

    pub(super) fn utilization(&self) -> f64 {
        self.calls.as_ref().map_or_else(|| self.level.utilization(&self.ledger.handed), |calls| calls.utilization())
    }
}

/// How full the buffer is.
#[derive(Debug)]
pub(super) struct Level {
    state: AtomicU8,
    /// Slots held, and those given back of items that the consumer has counted.
    held: AtomicU64,
    weight: AtomicUsize,
    pub(super) capacity: usize,
    pub(super) max_weight: Option<usize>,
}

impl Level {
    fn new(config: &BackpressureConfig) -> Self {
        Self {
            state: AtomicU8::new(State::Normal.as_u8()),
            held: AtomicU64::new(0),
            weight: AtomicUsize::new(0),
            capacity: config.capacity(),
            max_weight: config.max_weight(),
        }
    }

    #[inline]
    pub(super) fn hold(&self, held: u64) {
        self.held.store(held, Ordering::Release);
    }

    #[inline]
    pub(super) fn store(&self, held: u64, weight: usize) {
        self.hold(held);
        if self.max_weight.is_some() {
            self.weight.store(weight, Ordering::Relaxed);
        }
    }

    fn enter(&self, state: State) {
        self.state.store(state.as_u8(), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn state(&self) -> State {
        State::from_u8(self.state.load(Ordering::Relaxed)).unwrap_or(State::Draining)
    }

    /// The slots held. They are read before the count: none is missing in it that made room for one of them.
    #[inline]
    fn held(&self, handed: &Handed) -> u64 {
        let held = self.held.load(Ordering::Acquire);
        held.saturating_sub(handed.count())
    }

    /// Whether every slot is held.
    #[inline]
    pub(super) fn is_full(&self, handed: &Handed) -> bool {
        self.held(handed) >= self.capacity as u64
    }

    pub(super) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    fn utilization(&self, handed: &Handed) -> f64 {
        let items = self.held(handed) as f64 / self.capacity as f64;
        self.max_weight.map_or(items, |max| items.max(self.weight() as f64 / max as f64))
    }
}

/// The time spent in each state, counted from the first look at it: before, a change of state costs no clock read.
#[derive(Debug)]
pub(super) struct StateTimes {
    epoch: Instant,
    /// Around the state and all that changes with it.
    sequence: Sequence,
    /// When counting began, in nanoseconds after the epoch plus one; 0 before.
    started: AtomicU64,
    /// When the state last changed, in nanoseconds after the epoch.
    since: AtomicU64,
    spent: [AtomicU64; State::ALL.len()],
    transitions: AtomicU64,
}

impl StateTimes {
    fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            sequence: Sequence::new(),
            started: AtomicU64::new(0),
            since: AtomicU64::new(0),
            spent: std::array::from_fn(|_| AtomicU64::new(0)),
            transitions: AtomicU64::new(0),
        }
    }

    pub(super) fn start(&self, now: Instant) {
        let _ = self.started.compare_exchange(0, self.nanos(now) + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Makes `level` go from one state to another. Called by the recorder alone.
    pub(super) fn edge(&self, level: &Level, left: State, entered: State, clock: Clock) {
        let started = self.started.load(Ordering::Relaxed) != 0;
        let now = started.then(|| self.nanos(clock()));
        self.sequence.write(|| {
            level.enter(entered);
            self.transitions.store(self.transitions.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            if let Some(now) = now {
                let spent = &self.spent[usize::from(left.as_u8())];
                let time = now.saturating_sub(self.last_edge());
                spent.store(spent.load(Ordering::Relaxed).saturating_add(time), Ordering::Relaxed);
                self.since.store(now, Ordering::Relaxed);
            }
        });
    }

    pub(super) fn transitions(&self) -> u64 {
        self.transitions.load(Ordering::Relaxed)
    }

    /// The time spent in each state by `now`, of which `level` is in its current state since the last change.
    pub(super) fn read(&self, level: &Level, now: Instant) -> [Duration; State::ALL.len()] {
        let (mut spent, current, last_edge) = self.sequence.read(|| {
            let spent: [u64; State::ALL.len()] = std::array::from_fn(|i| self.spent[i].load(Ordering::Relaxed));
            (spent, level.state(), self.last_edge())
        });
        let current = &mut spent[usize::from(current.as_u8())];
        *current = current.saturating_add(self.nanos(now).saturating_sub(last_edge));
        spent.map(Duration::from_nanos)
    }

    fn last_edge(&self) -> u64 {
        self.since.load(Ordering::Relaxed).max(self.started.load(Ordering::Relaxed).saturating_sub(1))
    }

    fn nanos(&self, at: Instant) -> u64 {
        let nanos = u64::try_from(at.saturating_duration_since(self.epoch).as_nanos());
        nanos.unwrap_or(u64::MAX).min(u64::MAX - 1)
    }
}
