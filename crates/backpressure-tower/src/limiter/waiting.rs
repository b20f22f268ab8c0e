//! The waiting callers: how they join, are served, and leave.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use backpressure_core::limit::Level;
use backpressure_core::{AdmissionState, DropReason};
use backpressure_rt::sync::{MutexGuard, Ordering};
use backpressure_rt::{Relay, lock};

use super::classes::Classes;
use super::permit::Permit;
use super::queue::{Key, Next, Patience, Queue};
use super::queued_call::{Entry, QueuedCall};
use super::seats::Verdict;
use super::shared::Shared;
use crate::overloaded::{Overloaded, ShedReason};

/// A call that is counted in its class, until it turns out that it does not get in. A limit that is not ours may panic.
struct InClass<'a>(&'a Shared, u8);

impl InClass<'_> {
    /// The call is in. Answers the number of its class.
    fn stay(self) -> u8 {
        let Self(_, class) = self;
        std::mem::forget(self);
        class
    }
}

impl Drop for InClass<'_> {
    fn drop(&mut self) {
        self.0.turn_back(self.1);
    }
}

impl Shared {
    /// Admits a call, or lets it wait.
    #[inline]
    pub(super) fn acquire(self: &Arc<Self>, level: Level, patience: Option<Duration>) -> Result<Entry, Overloaded> {
        match self.admit(level) {
            Ok(permit) => Ok(Entry::Admitted(permit)),
            Err((_, ShedReason::Limit)) if self.has_queue => self.enter_queue(level, patience),
            Err((seen, reason)) => Err(self.refuse(seen, reason)),
        }
    }

    /// The same for a call of the class with this key.
    #[inline(never)]
    pub(super) fn acquire_of(
        self: &Arc<Self>,
        key: u64,
        level: Level,
        patience: Option<Duration>,
    ) -> Result<Entry, Overloaded> {
        let class = self.enter_class(key).map_err(|reason| self.refuse(self.signal.slots(), reason))?;
        Ok(self.acquire(level, patience)?.of_class(class.stay()))
    }

    /// [`admit`](Self::admit) for a call of the class with this key.
    #[inline(never)]
    pub(super) fn admit_of(self: &Arc<Self>, key: u64, level: Level) -> Result<Permit, ShedReason> {
        let class = self.enter_class(key)?;
        let permit = self.admit(level).map_err(|(_, reason)| reason)?;
        Ok(permit.of_class(class.stay()))
    }

    /// [`wait`](Self::wait) for a call of the class with this key, which is refused if the class has as many as it may.
    #[inline(never)]
    pub(super) fn wait_of(self: &Arc<Self>, key: u64, level: Level) -> Result<Entry, Overloaded> {
        let class = self.enter_class(key).map_err(|reason| self.refuse(self.signal.slots(), reason))?;
        Ok(self.wait(level)?.of_class(class.stay()))
    }

    /// The call that comes for its slot is one of the class with this key. It is refused if the class has as many as it may.
    #[inline(never)]
    pub(super) fn classify(&self, permit: Permit, key: u64) -> Result<Permit, Overloaded> {
        match self.enter_class(key) {
            Ok(class) => Ok(permit.of_class(class.stay())),
            Err(reason) => Err(permit.refuse(reason)),
        }
    }

    fn enter_class(&self, key: u64) -> Result<InClass<'_>, ShedReason> {
        let classes = self.classes.get_or_init(Classes::new);
        let class = classes.number(key);
        if classes.enter(class) { Ok(InClass(self, class)) } else { Err(ShedReason::Class) }
    }

    /// A call of this class goes without having had a slot.
    pub(super) fn turn_back(&self, class: u8) {
        self.classes.get().into_iter().for_each(|classes| classes.turn_back(class));
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
    #[inline]
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
            let is_endless = matches!(patience, Patience::Endless);
            let taken = self.signal.take(ShedReason::Limit, |seen| self.permits(is_endless, level, seen));
            if let Ok(taken) = taken {
                self.signal.retract_waiting();
                drop(queue);
                return Ok(Entry::Admitted(self.permit(taken)));
            }
        }
        let key = queue.join(now, level, patience, waker, &self.seats);
        self.signal.queued();
        self.count_waiting(&queue);
        drop(queue);
        if matches!(patience, Patience::Endless) {
            self.watch_the_ready();
        }
        Ok(Entry::Queued(QueuedCall::new(Arc::clone(self), key)))
    }

    fn objection(&self, queue: &Queue, seen: AdmissionState, now: Instant, patience: Patience) -> Option<ShedReason> {
        if seen.is_draining() {
            return Some(ShedReason::Draining);
        }
        let Patience::Since(_, own) = patience else { return None };
        let bound = if own.is_some() { queue.bound_told(seen.limit()) } else { queue.bound(seen.limit()) };
        if queue.len() >= bound {
            return Some(ShedReason::QueueFull);
        }
        let left = own?.saturating_duration_since(now).as_secs_f64();
        let residence = f64::from_bits(self.residence.load(Ordering::Relaxed));
        // All slots are taken, and each comes free once in a residence time.
        let wait = residence * queue.len() as f64 / seen.limit().max(1) as f64;
        (left <= wait + residence).then_some(ShedReason::Deadline)
    }

    /// Gives the slot of a call that is over to whoever is next. False if the slot is still to be given back: nobody is, or
    /// it may not have it, or its time is up.
    #[inline(never)]
    pub(super) fn pass_on(&self) -> bool {
        let now = self.queue_time();
        let mut queue = lock(&self.queue);
        let Some(next) = queue.next(now).filter(|next| next.key.overdue(now).is_none()) else { return false };
        let permits = |between| self.permits(next.key.is_endless(), next.level, between);
        if self.signal.pass_on(ShedReason::Limit, permits).is_err() {
            return false;
        }
        let waker = self.serve(&mut queue, now, &next, self.admitted(now));
        drop(queue);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// Gives the slots that are free to those who wait.
    pub(super) fn hand_on(&self) {
        let now = self.queue_time();
        let mut relay = Relay::new();
        while let Some(waker) = self.serve_next(now) {
            waker.into_iter().for_each(|waker| relay.call(|| waker.wake()));
            let left = self.signal.slots();
            if !left.has_waiters() || left.in_flight() >= left.limit() {
                break;
            }
        }
        relay.resume();
    }

    /// Serves whoever is next; `None` if nobody is, or there is no slot.
    fn serve_next(&self, now: Instant) -> Option<Option<Waker>> {
        let mut queue = lock(&self.queue);
        let Some(next) = queue.next(now) else {
            self.signal.retract_waiting();
            return None;
        };
        let permits = |seen| self.permits(next.key.is_endless(), next.level, seen);
        let verdict = match next.key.overdue(now) {
            Some(reason) => Verdict::Refused(reason),
            None => match self.signal.take_queued(ShedReason::Limit, permits) {
                Ok(_) => self.admitted(now),
                Err((_, ShedReason::Limit)) => return None,
                Err((_, reason)) => Verdict::Refused(reason),
            },
        };
        Some(self.serve(&mut queue, now, &next, verdict))
    }

    fn permits(&self, is_endless: bool, level: Level, seen: AdmissionState) -> Result<(), ShedReason> {
        if is_endless { self.levels.permits_in_turn(level, seen) } else { self.levels.permits(level, seen) }
    }

    fn admitted(&self, now: Instant) -> Verdict {
        Verdict::Admitted(self.has_queue.then(|| self.nanos(now)))
    }

    #[inline]
    fn serve(&self, queue: &mut MutexGuard<'_, Queue>, now: Instant, next: &Next, verdict: Verdict) -> Option<Waker> {
        let waker = queue.serve(now, next, verdict, &self.seats);
        if let Verdict::Refused(reason) = verdict {
            self.returned(reason);
        }
        self.left(queue);
        waker
    }

    /// Refuses everybody who waits.
    pub(super) fn dismiss(&self) {
        let now = self.queue_time();
        let mut relay = Relay::new();
        loop {
            let mut queue = lock(&self.queue);
            let Some(next) = queue.next(now) else { break };
            let waker = self.serve(&mut queue, now, &next, Verdict::Refused(ShedReason::Draining));
            drop(queue);
            waker.into_iter().for_each(|waker| relay.call(|| waker.wake()));
        }
        relay.resume();
    }

    /// What has become of a caller that waits. If nothing has, its waker is the one that is woken.
    #[inline]
    pub(super) fn poll_verdict(self: &Arc<Self>, key: Key, cx: &Context<'_>) -> Poll<Verdict> {
        match self.seats.take(key.seat()) {
            Some(verdict) => Poll::Ready(verdict),
            None => self.wait_on(key, cx.waker()),
        }
    }

    #[inline(never)]
    fn wait_on(self: &Arc<Self>, key: Key, waker: &Waker) -> Poll<Verdict> {
        if key.deadline().is_some() {
            if let Some(reason) = self.give_up(key, self.queue_time()) {
                return Poll::Ready(Verdict::Refused(reason));
            }
        }
        // Cloned before the lock and dropped after it: both call the waker's own code.
        let waker = waker.clone();
        let surplus = lock(&self.queue).refresh(key, waker);
        if key.is_endless() {
            self.watch_the_ready();
        }
        let verdict = if surplus.is_ok() { None } else { self.seats.take(key.seat()) };
        drop(surplus);
        verdict.map_or(Poll::Pending, Poll::Ready)
    }

    /// Refuses a caller that still waits when its time is up.
    fn give_up(&self, key: Key, now: Instant) -> Option<ShedReason> {
        self.turn_away(key, now, key.overdue(now)?)
    }

    /// Refuses a caller that still waits, whatever its time. What has become of it.
    pub(super) fn time_out(&self, key: Key) -> Option<Verdict> {
        let refused = self.turn_away(key, self.queue_time(), ShedReason::QueueTimeout).map(Verdict::Refused);
        refused.or_else(|| self.seats.take(key.seat()))
    }

    fn turn_away(&self, key: Key, now: Instant, reason: ShedReason) -> Option<ShedReason> {
        let mut queue = lock(&self.queue);
        let waker = queue.leave(now, key, &self.seats)?;
        self.returned(reason);
        self.left(&queue);
        drop(queue);
        drop(waker);
        Some(reason)
    }

    /// A caller that waits goes away, for this reason. What has become of it meanwhile, if anything.
    pub(super) fn leave(&self, key: Key, reason: DropReason) -> Option<Verdict> {
        let now = self.queue_time();
        let mut queue = lock(&self.queue);
        let Some(waker) = queue.leave(now, key, &self.seats) else {
            drop(queue);
            return self.seats.take(key.seat());
        };
        self.signal.discarded(reason);
        self.left(&queue);
        drop(queue);
        drop(waker);
        None
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

    #[inline]
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
