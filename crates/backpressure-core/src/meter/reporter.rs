//! What happens outside the buffer's lock: refusals, outcomes, waits and flushes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lazy::LazyLatencies;
use super::shared::Shared;
use crate::batch::FlushReason;
use crate::offer::DropReason;
use crate::state::State;
use crate::sync::{AtomicU64, Ordering};

/// Reports what happens to items outside the buffer. Cheap to clone; every call is a few atomic additions.
#[derive(Debug, Clone)]
pub struct Reporter {
    shared: Arc<Shared>,
}

/// A flush that was answered, for the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// When the answer came.
    pub at: Instant,
    /// How long it took.
    pub latency: Duration,
    /// How many items the batch had.
    pub items: usize,
    /// Why the batch was closed.
    pub reason: FlushReason,
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
        let level = &self.shared.level;
        level.state() == State::Blocked && level.is_full(&self.shared.ledger.handed)
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
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A producer that waited stopped waiting, for whatever reason.
    pub fn producer_waited(&self) {
        self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// A producer's wait ended at `now`, after this long: it was let in, gave up, or was told that nothing is taken any more.
    pub fn producer_wait(&self, now: Instant, waited: Duration) {
        self.shared.waits.record(now, waited);
    }

    /// A batch was answered.
    pub fn flushed(&self, flush: Flushed) {
        self.shared.flushes.record(flush);
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

#[derive(Debug)]
pub(super) struct FlushCells {
    pub(super) causes: [AtomicU64; FlushReason::ALL.len()],
    pub(super) items: AtomicU64,
    pub(super) last: AtomicU64,
    pub(super) interval: AtomicU64,
    pub(super) batch_items: AtomicU64,
    pub(super) latencies: LazyLatencies,
}

impl FlushCells {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            causes: std::array::from_fn(|_| zero()),
            items: zero(),
            last: zero(),
            interval: zero(),
            batch_items: zero(),
            latencies: LazyLatencies::default(),
        }
    }

    fn record(&self, flush: Flushed) {
        self.causes[flush.reason as usize].fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(flush.items as u64, Ordering::Relaxed);
        self.last.store(nanos(flush.latency), Ordering::Relaxed);
        self.latencies.record(flush.at, flush.latency);
    }

    fn pace(&self, interval: Duration, batch_items: usize) {
        self.interval.store(nanos(interval), Ordering::Relaxed);
        self.batch_items.store(batch_items as u64, Ordering::Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
