//! The comparison behind every state, in any unit.

use crate::State;

/// The first value of `Elevated`, `Critical` and `Blocked`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thresholds<N> {
    pub(crate) low: N,
    pub(crate) high: N,
    pub(crate) full: N,
}

impl<N: Copy + PartialOrd> Thresholds<N> {
    /// The state of `value`; `Blocked` if it compares with nothing, as NaN does.
    #[inline]
    pub(crate) fn classify(&self, value: N) -> State {
        if value < self.low {
            State::Normal
        } else if value < self.high {
            State::Elevated
        } else if value < self.full {
            State::Critical
        } else {
            State::Blocked
        }
    }

    pub(crate) fn map<M>(self, mut unit: impl FnMut(N) -> M) -> Thresholds<M> {
        Thresholds { low: unit(self.low), high: unit(self.high), full: unit(self.full) }
    }
}

/// Two sets of thresholds, the falling ones nowhere above the rising ones: between the two a state stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Band<N> {
    pub(crate) rising: Thresholds<N>,
    pub(crate) falling: Thresholds<N>,
}

impl<N: Copy + PartialOrd> Band<N> {
    /// The state after `current` at `value`: at least what it rises to, at most what it has not yet fallen from.
    #[inline]
    pub(crate) fn next(&self, current: State, value: N) -> State {
        if current == State::Draining {
            return State::Draining;
        }
        current.min(self.falling.classify(value)).max(self.rising.classify(value))
    }

    pub(crate) fn map<M>(self, mut unit: impl FnMut(N) -> M) -> Band<M> {
        Band { rising: self.rising.map(&mut unit), falling: self.falling.map(unit) }
    }
}
