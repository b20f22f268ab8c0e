//! A slot, held.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backpressure_core::State;
use backpressure_core::limit::Outcome;

use super::shared::Shared;

/// One of the slots of a [`Limiter`](super::Limiter), taken by a call. Dropping it gives the slot back.
///
/// A call that is answered says how it went, with [`finish`](Self::finish), or with [`answered`](Self::answered) if the
/// slot is to be held on after the answer: until the end of a response's body, say. One that is dropped without an answer
/// counts as cancelled, or as failed while panicking; it makes no latency.
#[must_use = "dropping a permit gives its slot back"]
pub struct Permit {
    limiter: Arc<Shared>,
    /// When the call was admitted, if it is timed, in nanoseconds of the limiter's own.
    started: Option<NonZeroU64>,
    notes: Notes,
}

/// What is known of a call, in one word: a permit is moved several times before it comes to rest, and a processor stalls
/// when it has to copy at once what was written in pieces.
#[derive(Clone, Copy)]
struct Notes(u64);

impl Notes {
    const NONE: Self = Self(0);

    /// From admission to the first poll of the work, in nanoseconds; 0 before.
    const DELAY: u64 = u32::MAX as u64;

    /// Whether it was answered before it is dropped.
    const SENDING: u64 = 1 << 32;

    /// Whether the call is one of the reserve.
    const RESERVED: u64 = 1 << 33;

    const OUTCOMES: [(u64, Outcome); 3] =
        [(1 << 34, Outcome::Success), (2 << 34, Outcome::Overload), (3 << 34, Outcome::Ignored)];

    #[inline]
    const fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    fn outcome(self) -> Option<Outcome> {
        Self::OUTCOMES.into_iter().find(|(bits, _)| self.0 & (3 << 34) == *bits).map(|(_, outcome)| outcome)
    }

    /// Only the first outcome counts. Answers whether this is it.
    #[inline]
    fn ended(&mut self, outcome: Outcome) -> bool {
        let is_first = !self.has(3 << 34);
        if is_first {
            self.0 |= match outcome {
                Outcome::Success => 1 << 34,
                Outcome::Overload => 2 << 34,
                Outcome::Ignored => 3 << 34,
            };
        }
        is_first
    }
}

/// A place among the calls of the reserve.
#[derive(Debug)]
pub(crate) struct Reserved(Option<Arc<Shared>>);

impl Reserved {
    /// Unless there are so many calls of the reserve already.
    pub(super) fn new(limiter: &Arc<Shared>, most: usize) -> Option<Self> {
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        let taken = limiter.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Self(Some(Arc::clone(limiter))))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(limiter) = &self.0 {
            limiter.reserved.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The times of a call that is timed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) started: NonZeroU64,
    pub(super) delay: Duration,
}

/// What became of a call that was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Success,
    Overload,
    Ignored,
    Cancelled,
    Panicked,
}

impl Permit {
    #[inline]
    pub(super) const fn new(limiter: Arc<Shared>, started: Option<NonZeroU64>) -> Self {
        Self { limiter, started, notes: Notes::NONE }
    }

    /// The work begins now: what has passed since the call was admitted is the delay of whoever schedules it.
    ///
    /// Only the first call counts. Without one, the work has begun at once.
    #[inline]
    pub fn began(&mut self) {
        if let (Some(started), false) = (self.started, self.notes.has(Notes::DELAY)) {
            let delay = self.limiter.nanos((self.limiter.clock)()).get().saturating_sub(started.get());
            self.notes.0 |= delay.clamp(1, Notes::DELAY);
        }
    }

    /// The permit of a call of the reserve, which it is until it gives its slot back.
    pub(crate) fn reserved(mut self, place: Option<Reserved>) -> Self {
        if place.is_some_and(|mut place| place.0.take().is_some()) {
            self.notes.0 |= Notes::RESERVED;
        }
        self
    }

    /// Its times, once.
    #[inline]
    fn take_timing(&mut self) -> Option<Timing> {
        let delay = Duration::from_nanos(self.notes.0 & Notes::DELAY);
        self.started.take().map(|started| Timing { started, delay })
    }

    /// The work is done: records how it went and how long it took, and keeps the slot. Only the first call counts.
    pub fn answered(&mut self, outcome: Outcome) {
        if self.notes.ended(outcome) {
            self.notes.0 |= Notes::SENDING;
            let timing = self.take_timing();
            self.limiter.answered(outcome.into(), timing);
        }
    }

    /// The state of the limiter.
    pub fn state(&self) -> State {
        self.limiter.signal.state()
    }

    /// The work is done, and the slot is free.
    #[inline]
    pub fn finish(mut self, outcome: Outcome) {
        self.notes.ended(outcome);
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        let fate = match self.notes.outcome() {
            Some(outcome) => outcome.into(),
            None if std::thread::panicking() => Fate::Panicked,
            None => Fate::Cancelled,
        };
        if self.notes.has(Notes::RESERVED) {
            self.limiter.reserved.fetch_sub(1, Ordering::Relaxed);
        }
        let timing = self.take_timing();
        self.limiter.depart(fate, timing, self.notes.has(Notes::SENDING));
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("outcome", &self.notes.outcome()).finish_non_exhaustive()
    }
}

impl From<Outcome> for Fate {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Overload => Self::Overload,
            Outcome::Ignored => Self::Ignored,
        }
    }
}
