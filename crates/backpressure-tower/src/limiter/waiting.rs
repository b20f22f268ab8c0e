//! Those who wait for a slot: how they join, are served, and leave.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use backpressure_core::limit::Level;
use backpressure_core::{DropReason, Slots};

use super::permit::Permit;
use super::queue::{Key, Patience, Queue, Verdict};
use super::shared::Shared;
use super::ticket::{Entry, Ticket};
use crate::overloaded::{Overloaded, ShedReason};
use crate::sync::{MutexGuard, Ordering, lock};

impl Shared {
    /// Admits a call, or lets it wait.
    #[inline]
    pub(super) fn enter(self: &Arc<Self>, level: Level, patience: Option<Duration>) -> Result<Entry, Overloaded> {
        match self.admit(level) {
            Ok(permit) => Ok(Entry::Admitted(permit)),
            Err((_, ShedReason::Limit)) if self.has_queue => self.enter_queue(level, patience),
            Err((seen, reason)) => Err(self.refuse(seen, reason)),
        }
    }

    #[inline(never)]
    fn enter_queue(self: &Arc<Self>, level: Level, patience: Option<Duration>) -> Result<Entry, Overloaded> {
        let now = (self.clock)();
        let own = patience.and_then(|patience| now.checked_add(patience));
        self.felt();
        self.join(now, level, Patience::Since(now, own), None)
    }

    /// Admits a call, or lets it wait as long as it takes.
    pub(super) fn wait(self: &Arc<Self>, level: Level) -> Result<Entry, Overloaded> {
        match self.admit(level) {
            Ok(permit) => Ok(Entry::Admitted(permit)),
            Err((seen, ShedReason::Draining)) => Err(self.refuse(seen, ShedReason::Draining)),
            Err(_) => self.join(self.queue_time(), level, Patience::Endless, None),
        }
    }

    /// [`wait`](Self::wait) for a call of the default level that found no slot the short way, and a waker to be woken.
    pub(super) fn wait_by(self: &Arc<Self>, waker: Waker) -> Result<Entry, Overloaded> {
        let level = Level::default();
        self.levels.offered(level);
        self.join(self.queue_time(), level, Patience::Endless, Some(waker))
    }

    fn join(
        self: &Arc<Self>,
        now: Instant,
        level: Level,
        patience: Patience,
        waker: Option<Waker>,
    ) -> Result<Entry, Overloaded> {
        let mut queue = lock(&self.queue);
        // Who is ahead has announced it already, and nobody retracts that without the lock.
        let seen = if queue.len() == 0 { self.signal.announce_waiting() } else { self.signal.slots() };
        if let Some(reason) = self.objection(&queue, seen, now, patience) {
            self.retract_if_empty(&queue);
            drop(queue);
            return Err(self.refuse(seen, reason));
        }
        // A slot that came free before the announcement is not handed on to anybody. Look again, unless others are ahead.
        if queue.len() == 0 {
            let taken = self.signal.take(ShedReason::Limit, |seen| self.levels.permits(level, seen));
            if let Ok(taken) = taken {
                self.signal.retract_waiting();
                drop(queue);
                return Ok(Entry::Admitted(self.permit(taken)));
            }
        }
        let key = queue.join(now, level, patience, waker);
        self.signal.queued();
        self.count_waiting(&queue);
        Ok(Entry::Queued(Ticket::new(Arc::clone(self), key)))
    }

    fn objection(&self, queue: &Queue, seen: Slots, now: Instant, patience: Patience) -> Option<ShedReason> {
        if seen.is_draining() {
            return Some(ShedReason::Draining);
        }
        let Patience::Since(_, own) = patience else { return None };
        if queue.len() >= queue.bound(seen.limit()) {
            return Some(ShedReason::QueueFull);
        }
        let left = own?.saturating_duration_since(now).as_secs_f64();
        let throughput = self.refusals.throughput();
        let residence = f64::from_bits(self.residence.load(Ordering::Relaxed));
        let wait = if throughput > 0.0 { queue.len() as f64 / throughput } else { 0.0 };
        (left <= wait + residence).then_some(ShedReason::Deadline)
    }

    /// Gives the slots that are free to those who wait.
    pub(super) fn hand_on(&self) {
        let now = self.queue_time();
        while let Some(waker) = self.serve_next(now) {
            waker.into_iter().for_each(Waker::wake);
            let left = self.signal.slots();
            if !left.has_waiters() || left.in_flight() >= left.limit() {
                return;
            }
        }
    }

    /// Serves whoever is next; `None` if nobody is, or there is no slot.
    fn serve_next(&self, now: Instant) -> Option<Option<Waker>> {
        let mut queue = lock(&self.queue);
        let Some((key, level)) = queue.next(now) else {
            self.signal.retract_waiting();
            return None;
        };
        let verdict = match queue.overdue(key, now) {
            Some(reason) => Verdict::Refused(reason),
            None => match self.signal.take_queued(ShedReason::Limit, |seen| self.levels.permits(level, seen)) {
                Ok(_) => Verdict::Admitted(self.has_queue.then_some(now)),
                Err((_, ShedReason::Limit)) => return None,
                Err((_, reason)) => Verdict::Refused(reason),
            },
        };
        Some(self.serve(&mut queue, now, key, verdict))
    }

    fn serve(&self, queue: &mut MutexGuard<'_, Queue>, now: Instant, key: Key, verdict: Verdict) -> Option<Waker> {
        let waker = queue.serve(now, key, verdict);
        if let Verdict::Refused(reason) = verdict {
            self.returned(reason);
        }
        self.left(queue);
        waker
    }

    /// Refuses everybody who waits.
    pub(super) fn dismiss(&self) {
        let now = self.queue_time();
        loop {
            let mut queue = lock(&self.queue);
            let Some(key) = queue.any() else { break };
            let waker = self.serve(&mut queue, now, key, Verdict::Refused(ShedReason::Draining));
            drop(queue);
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// The permit of a caller that was served a slot.
    pub(super) fn served(self: &Arc<Self>, key: Key, since: Option<Instant>) -> Permit {
        self.permit_since(since, key.number(), self.signal.slots())
    }

    /// What has become of a caller that waits. If nothing has, its waker is the one that is woken.
    pub(super) fn poll_verdict(&self, key: Key, cx: &Context<'_>) -> Poll<Verdict> {
        let now = self.queue_time();
        let mut queue = lock(&self.queue);
        if let Some(verdict) = queue.take_verdict(key) {
            return Poll::Ready(verdict);
        }
        if let Some(reason) = queue.overdue(key, now) {
            let waker = queue.leave(now, key);
            self.returned(reason);
            self.left(&queue);
            drop(queue);
            drop(waker);
            return Poll::Ready(Verdict::Refused(reason));
        }
        if queue.is_known(key, cx.waker()) {
            return Poll::Pending;
        }
        drop(queue);
        // Cloned before the lock and dropped after it: both call the waker's own code.
        let waker = cx.waker().clone();
        let mut queue = lock(&self.queue);
        let surplus = queue.refresh(key, waker);
        let verdict = if surplus.is_ok() { None } else { queue.take_verdict(key) };
        drop(queue);
        drop(surplus);
        verdict.map_or(Poll::Pending, Poll::Ready)
    }

    /// A caller that waits goes away. What has become of it meanwhile, if anything.
    pub(super) fn leave(self: &Arc<Self>, key: Key) -> Option<Verdict> {
        let now = self.queue_time();
        let mut queue = lock(&self.queue);
        let verdict = queue.take_verdict(key);
        let waker = queue.leave(now, key);
        if waker.is_some() {
            self.signal.discarded(DropReason::Closed);
            self.left(&queue);
        }
        drop(queue);
        drop(waker);
        verdict
    }

    /// Somebody does not wait any more.
    fn left(&self, queue: &MutexGuard<'_, Queue>) {
        self.count_waiting(queue);
        self.retract_if_empty(queue);
    }

    fn retract_if_empty(&self, queue: &Queue) {
        if queue.len() == 0 {
            self.signal.retract_waiting();
        }
    }

    fn count_waiting(&self, queue: &Queue) {
        self.waiting.store(queue.len(), Ordering::Relaxed);
    }

    /// Counts a refusal of a call that waited.
    fn returned(&self, reason: ShedReason) {
        self.refusals.count(reason);
        self.signal.returned();
    }

    /// The time, where the queue has a rule that wants to know it.
    fn queue_time(&self) -> Instant {
        if self.has_queue { (self.clock)() } else { self.epoch }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The share of the room to wait that is taken.
    pub(super) fn waiting_share(&self) -> f64 {
        match self.waiting() {
            0 => 0.0,
            waiting => waiting as f64 / lock(&self.queue).bound(self.signal.slots().limit()).max(1) as f64,
        }
    }
}
