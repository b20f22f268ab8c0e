//! The time spent in each state.

use std::time::{Duration, Instant};

use backpressure_rt::sync::{AtomicU64, Ordering};

use super::clock::Clock;
use super::fill::Fill;
use crate::ledger::Sequence;
use crate::state::State;

/// The time spent in each state, counted from the first look at it: before, a change of state costs no clock read.
#[derive(Debug)]
pub(crate) struct StateTimes {
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
    pub(super) fn new(epoch: Instant) -> Self {
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

    /// Whether somebody has looked.
    pub(super) fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed) != 0
    }

    /// Makes `fill` go from one state to another. Called by the recorder alone.
    pub(crate) fn edge(&self, fill: &Fill, left: State, entered: State, clock: Clock) {
        let now = self.has_started().then(|| self.nanos(clock()));
        self.sequence.write(|| {
            fill.enter(entered);
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

    /// The time spent in each state by `now`, of which `fill` is in its current state since the last change.
    pub(super) fn read(&self, fill: &Fill, now: Instant) -> [Duration; State::ALL.len()] {
        let (mut spent, current, last_edge) = self.sequence.read(|| {
            let spent: [u64; State::ALL.len()] = std::array::from_fn(|i| self.spent[i].load(Ordering::Relaxed));
            (spent, fill.state(), self.last_edge())
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
