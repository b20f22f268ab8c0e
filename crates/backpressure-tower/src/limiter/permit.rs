//! A permit: a slot that is held.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use backpressure_core::limit::Outcome;
use backpressure_core::{AdmissionState, State};

use super::call_timing::CallTiming;
use super::fate::Fate;
use super::open_stream::OpenStream;
use super::shared::Shared;
use crate::overloaded::{Overloaded, ShedReason};

/// One of the slots of a [`Limiter`](super::Limiter), taken by a call. Dropping it gives the slot back.
///
/// A call that is answered says how it went, with [`finish`](Self::finish), or with [`answered`](Self::answered) if the
/// slot is to be held on after the answer: until the end of a response's body, say. One that is dropped without an answer
/// counts as cancelled, or as failed while panicking; it makes no latency.
#[must_use = "dropping a permit gives its slot back"]
pub struct Permit {
    limiter: Arc<Shared>,
    call_timing: CallTiming,
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

impl Permit {
    /// The permit of a call that has just taken a slot.
    #[inline]
    pub(super) fn new(limiter: Arc<Shared>, taken: AdmissionState) -> Self {
        let mut permit = Self { limiter, call_timing: CallTiming::default() };
        if permit.limiter.is_noted(taken.admitted_bits(), taken) {
            permit.note(taken.admitted_bits(), None, taken);
        }
        permit
    }

    /// The permit of a call that was served a slot, maybe a while ago.
    #[inline]
    pub(super) fn served(limiter: Arc<Shared>, number: u64, since: Option<NonZeroU64>) -> Self {
        let seen = limiter.signal.slots();
        let mut permit = Self { limiter, call_timing: CallTiming::default() };
        if permit.limiter.is_noted(number, seen) {
            permit.note(number, since, seen);
        }
        permit
    }

    /// The permit of a call of this class.
    pub(super) const fn of_class(mut self, class: u8) -> Self {
        self.call_timing.classify(class);
        self
    }

    /// Takes the time, if it is timed, and a look at what is going on. That may run a
    /// [`Limit`](backpressure_core::limit::Limit) that is not ours: the slot is held already, so it is given back whatever
    /// happens.
    #[inline(never)]
    fn note(&mut self, number: u64, since: Option<NonZeroU64>, seen: AdmissionState) {
        if self.limiter.is_timed(number) {
            let now = self.limiter.time();
            self.call_timing.start(since.unwrap_or(now).get());
        }
        self.limiter.has_taken(seen);
    }

    /// The call is made only now: the time since it was admitted says nothing about it.
    #[inline]
    pub(crate) fn restart(&mut self) {
        if self.call_timing.is_timed() {
            self.call_timing.start(self.limiter.now().get());
        }
    }

    /// The work begins now: what has passed since the call was admitted is the delay of whoever schedules it.
    ///
    /// Only the first call counts. Without one, the work has begun at once.
    #[inline]
    pub fn began(&mut self) {
        if self.call_timing.is_to_begin() {
            self.call_timing.begin(self.limiter.now().get());
        }
    }

    /// The permit of a call of the reserve, which it is until it gives its slot back.
    pub(crate) fn reserved(mut self, place: Option<Reserved>) -> Self {
        if place.is_some_and(|mut place| place.0.take().is_some()) {
            self.call_timing.reserve();
        }
        self
    }

    /// The work is done: records how it went and how long it took, and keeps the slot. Only the first call counts.
    pub fn answered(&mut self, outcome: Outcome) {
        if self.call_timing.end(outcome.into()) {
            self.call_timing.send();
            let timing = self.call_timing.take_timing();
            self.limiter.answered(outcome.into(), timing, self.call_timing.class());
        }
    }

    /// The answer is a stream, which may go on for long: the slot is free, and the stream is one of the
    /// [`max_streams`](super::Limiter::max_streams) until it is dropped.
    ///
    /// A call that has not been [answered](Self::answered) is a success.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] if as many streams are open as may be. The slot is free then, too, and the call counts as shed for
    /// [`ShedReason::Streams`] rather than as delivered; as failed or timed out, if that was its outcome.
    pub fn into_stream(mut self) -> Result<OpenStream, Overloaded> {
        self.call_timing.end(Fate::Success);
        let opened = OpenStream::open(&self.limiter);
        if opened.is_err() && !self.call_timing.fate().is_some_and(Fate::is_overload) {
            self.limiter.refusals.count(ShedReason::Streams);
            self.limiter.signal.refused();
        }
        opened
    }

    /// The state of the limiter.
    pub fn state(&self) -> State {
        self.limiter.signal.state()
    }

    /// The work is done, and the slot is free.
    #[inline]
    pub fn finish(mut self, outcome: Outcome) {
        self.call_timing.end(outcome.into());
    }

    /// The call ends this way, unless it has ended already, and the slot is free.
    pub(super) fn end(mut self, fate: Fate) {
        self.call_timing.end(fate);
    }

    /// The call is refused after all, before it is made, and the slot is free.
    pub(super) fn refuse(mut self, reason: ShedReason) -> Overloaded {
        let _ = self.call_timing.take_timing();
        self.call_timing.end(Fate::Ignored);
        self.limiter.refusals.count_unmade(reason);
        self.limiter.signal.refused();
        self.limiter.overloaded(reason)
    }

    /// The slot was taken back: there is nothing to give.
    pub(super) fn disown(mut self) {
        self.call_timing = CallTiming::DISOWNED;
    }

    pub(super) fn limiter(&self) -> &Shared {
        &self.limiter
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        let fate = match self.call_timing.fate() {
            Some(fate) => fate,
            None if self.call_timing.is_sending() => return,
            None if std::thread::panicking() => Fate::Panicked,
            None => Fate::Cancelled,
        };
        if self.call_timing.is_reserved() {
            self.limiter.reserved.fetch_sub(1, Ordering::Relaxed);
        }
        let timing = self.call_timing.take_timing();
        self.limiter.depart(fate, timing, self.call_timing.is_sending(), self.call_timing.class());
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("call_timing", &self.call_timing).finish_non_exhaustive()
    }
}
