//! The reporter: refusals, outcomes, waits and flushes, reported outside the buffer's lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::flushes::Flushed;
use super::shared::Shared;
use crate::batch::FlushReason;
use crate::flow::Activity;
use crate::offer::DropReason;
use crate::state::State;

/// Reports what happens to items outside the buffer. Cheap to clone; every call is a few atomic additions.
#[derive(Debug, Clone)]
pub struct Reporter {
    shared: Arc<Shared>,
}

impl Reporter {
    pub(super) const fn of(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Whether no slot is free and the part is open, so that an offer meets the strategy: for a shell that wants to know
    /// before it takes its lock.
    ///
    /// Whatever happened before this is called is seen, a slot that was given back as well as a close. What happens
    /// meanwhile may not be.
    #[inline]
    pub fn is_full(&self) -> bool {
        let fill = &self.shared.fill;
        fill.state() == State::Blocked && fill.is_full(&self.shared.ledger.handed)
    }

    /// An offered item was handed back to its producer.
    #[inline]
    pub fn rejected(&self) {
        self.rejected_many(1);
    }

    /// This many offered items were handed back to their producer.
    #[inline]
    pub fn rejected_many(&self, items: usize) {
        self.shared.ledger.reject(items as u64);
    }

    /// An offered item was lost before it was queued.
    #[inline]
    pub fn refused(&self, reason: DropReason) {
        self.refused_many(reason, 1);
    }

    /// This many offered items were lost before they were queued.
    #[inline]
    pub fn refused_many(&self, reason: DropReason, items: usize) {
        self.shared.ledger.refuse(reason, items as u64);
    }

    /// The consumer has dealt with this many of the items it took. Only for a tracked [`Recorder`](super::Recorder): an
    /// untracked one has counted them already.
    pub fn delivered(&self, items: usize) {
        self.shared.ledger.deliver(items as u64);
    }

    /// This many of the items the consumer took were lost for `reason`. Only for a tracked
    /// [`Recorder`](super::Recorder).
    pub fn lost(&self, reason: DropReason, items: usize) {
        self.shared.ledger.lose(reason, items as u64);
    }

    /// A producer began to wait for room.
    pub fn producer_waits(&self) {
        self.shared.work.producer_waits();
    }

    /// A producer that waited stopped waiting, for whatever reason.
    pub fn producer_waited(&self) {
        self.shared.work.producer_waited();
    }

    /// A producer's wait ended at `now`, after this long: it was let in, gave up, or was told that nothing is taken any more.
    pub fn producer_wait(&self, now: Instant, waited: Duration) {
        self.shared.waits.record(now, waited);
    }

    /// From now on the part does this. It is for the edges, not for each item: a relaxed load and a store, unless
    /// [somebody asked](crate::Gauge::time_work) where the time goes; then the clock is read. One caller at a time.
    #[inline]
    pub fn works(&self, activity: impl Into<Activity>) {
        self.shared.work.tell(activity.into());
    }

    /// A batch was answered.
    pub fn flushed(&self, flush: Flushed) {
        self.shared.flushes.record(flush);
    }

    /// A batch was answered that was not timed: one of many that are answered faster than a clock is worth reading.
    #[doc(hidden)]
    pub fn flushed_untimed(&self, items: usize, reason: FlushReason) {
        self.shared.flushes.count(items, reason);
    }

    /// What the flushes are paced by from now on.
    pub fn paced(&self, interval: Duration, batch_items: usize) {
        self.shared.flushes.pace(interval, batch_items);
    }

    /// Starts counting the time in each state, which otherwise begins with the first snapshot.
    pub fn start_timing(&self, now: Instant) {
        self.shared.times.start(now);
    }

    /// Wakes whoever waits for a change of state. It calls wakers: never under a lock.
    pub fn notify(&self) {
        self.shared.watchers.notify();
    }
}
