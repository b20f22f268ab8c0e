//! The state, for handles and callers: permits, calls, and the wait for an answer; and what is done when many threads call at once.

use std::sync::Arc;
use std::task::{Poll, Waker};

use backpressure_core::{DropReason, Moved};

use super::calls::Stage;
use super::effects::Effects;
use super::slab::{CallRef, SLOTS, WakerId, WakerToken};
use super::state::{Phase, State, Threshold};
use crate::batch::error::BatchError;
use crate::batch::plan::QueuedCall;

/// For so many sleeps of the worker contention is expected after somebody had to wait for the lock.
const MEMORY: u32 = 64;

/// What was of a call that nobody waits for, to be dropped outside the lock.
pub(crate) type Leftover<Req> = (Stage<Req>, Option<Waker>);

/// For handles.
impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    /// Why no call can be made, if so.
    pub(crate) fn refusal(&self) -> Option<BatchError<E>> {
        match &self.phase {
            Phase::Open | Phase::Abandoned => None,
            Phase::Draining | Phase::Over(None) => Some(BatchError::Closed),
            Phase::Over(Some(error)) => Some(BatchError::Unavailable(Arc::clone(error))),
        }
    }

    /// Reserves a permit, at once or as one of those who wait. `key` is that of an earlier attempt; whoever has to wait gets one.
    /// Hands out a waker to be dropped outside the lock.
    pub(crate) fn reserve(
        &mut self,
        key: &mut Option<usize>,
        waker: Waker,
    ) -> (Poll<Result<(), BatchError<E>>>, Option<Waker>) {
        if let Some(refusal) = self.refusal() {
            return (Poll::Ready(Err(refusal)), Some(waker));
        }
        match *key {
            Some(key) if self.waiters.has_permit(key) => {
                (Poll::Ready(Ok(())), self.waiters.leave(key).1.or(Some(waker)))
            }
            Some(key) => (Poll::Pending, self.waiters.refresh(key, waker)),
            None if self.acquire_late() => (Poll::Ready(Ok(())), Some(waker)),
            None => {
                *key = Some(self.waiters.join(waker));
                (Poll::Pending, None)
            }
        }
    }

    /// From now on somebody waits, but for a permit that has been given back meanwhile and that nobody else waits for.
    fn acquire_late(&mut self) -> bool {
        // First the sign, then the last look: whoever releases a permit in between sees the sign.
        self.permits.start_waiting();
        if !self.waiters.is_empty() {
            return false;
        }
        self.permits.release(self.shards.collect_permits());
        let is_acquired = self.permits.try_acquire_waiting();
        if is_acquired {
            self.permits.stop_waiting();
        }
        is_acquired
    }

    /// A handle waits no more. A permit already given goes to the next.
    pub(crate) fn leave(&mut self, key: usize, effects: &mut Effects) -> Option<Waker> {
        let (has_permit, waker) = self.waiters.leave(key);
        self.permits.release(usize::from(has_permit));
        self.serve(effects);
        waker
    }

    /// Makes a call with a reserved permit, for whoever has this waker. Only if there is no [refusal](Self::refusal).
    pub(crate) fn enter(
        &mut self,
        call: QueuedCall<Req>,
        waker: Waker,
        owner: &Arc<O>,
    ) -> (CallRef<O, Resp, E>, WakerToken) {
        let id = WakerId::of(&waker);
        self.note_arrival();
        let call = self.insert(Stage::Queued(call), Some(waker), owner);
        let token = call.token(id);
        (call, token)
    }

    /// A call comes, at this stage.
    pub(super) fn insert(&mut self, stage: Stage<Req>, waker: Option<Waker>, owner: &Arc<O>) -> CallRef<O, Resp, E> {
        self.admit();
        self.pending += 1;
        self.is_changed |= self.recorder.pushed(&self.queue);
        self.calls.insert(stage, waker, owner)
    }

    /// What follows from a call, if anything does: the worker may be woken, or the shard of this thread opened.
    #[inline]
    pub(crate) fn follow(&mut self, owner: &Arc<O>) -> Option<Effects> {
        let (wants_worker, expects_contention) = (self.wants_worker(), self.expects_contention());
        if !(self.is_changed | wants_worker | expects_contention) {
            return None;
        }
        let worker = if wants_worker { self.take_worker() } else { None };
        if expects_contention {
            self.open_shard(owner);
        }
        Some(Effects { changed: std::mem::take(&mut self.is_changed), worker, others: Vec::new() })
    }

    /// Whether the worker is to be woken, if it sleeps.
    fn wants_worker(&self) -> bool {
        self.calls.queued() >= self.threshold.calls || self.calls.weight() >= self.threshold.weight as u128
    }

    /// The worker, if it sleeps. It has to be woken once only.
    pub(super) fn take_worker(&mut self) -> Option<Waker> {
        self.threshold = Threshold::NEVER;
        self.worker.take()
    }
}

/// For callers.
impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    /// Waits for an answer with the latest waker, unless it has come. Hands out a waker to be dropped outside the lock.
    pub(crate) fn wait(&mut self, call: &CallRef<O, Resp, E>, waker: Waker) -> (Option<WakerToken>, Option<Waker>) {
        let Some(entry) = self.calls.find(call) else { return (None, Some(waker)) };
        let token = call.token(WakerId::of(&waker));
        (Some(token), entry.waker.replace(waker))
    }

    /// The caller is gone, before the answer has come.
    pub(crate) fn cancel(&mut self, number: usize, effects: &mut Effects) -> Leftover<Req> {
        let (stage, waker) = self.calls.cancel(number);
        self.pending -= 1;
        self.since = self.since.filter(|_| self.calls.queued() > 0);
        match &stage {
            Stage::Queued(_) | Stage::Held => self.vacate(1, Moved::discarded(DropReason::Cancelled, 1), effects),
            Stage::Sent | Stage::Gone | Stage::Settled => self.reporter.lost(DropReason::Cancelled, 1),
        }
        // The runner knows the number of a call that it has taken: it is not free before that is told.
        if matches!(stage, Stage::Queued(_)) || self.is_over() {
            self.calls.settle(&[number], &mut Vec::new());
        } else {
            self.gone.push(number);
        }
        if !self.gone.is_empty() || (self.pending == 0 && self.is_ending()) {
            effects.worker = self.worker.take();
        }
        self.wake_drains(&mut effects.others);
        (stage, waker)
    }
}

/// In contention: calls are left in the [shards](super::shards) then.
impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    /// Somebody had to wait for the lock.
    pub(crate) fn note_contention(&mut self) {
        self.contention = MEMORY;
    }

    /// Whether somebody had to wait for the lock not long ago.
    pub(super) const fn expects_contention(&self) -> bool {
        self.contention > 0
    }

    /// Collects the calls that are in the shards. With `close`, no more may be left there.
    #[inline]
    pub(crate) fn collect_shards(&mut self, close: bool) {
        if self.uses_shards {
            self.collect(close);
            self.uses_shards = !close;
        }
    }

    /// The same, for the worker, which has its turn when its thread has nothing else to do: what is in the shard of that thread is
    /// all that is to be expected there at a time.
    pub(crate) fn collect_shards_as_worker(&mut self, owner: &Arc<O>) {
        if self.uses_shards {
            if self.shards.mine().is_some_and(|shard| self.collect_mine(shard)) {
                self.open_shard(owner);
            }
            self.collect(false);
        }
    }

    /// The thread of a shard comes: collects the calls that are there. Whether there are any.
    pub(super) fn collect_mine(&mut self, shard: usize) -> bool {
        let before = self.calls.queued();
        self.shards.collect_mine(shard, |key, calls| self.calls.absorb(key, calls.drain(..)));
        self.count_since(before)
    }

    /// Collects what is in any shard, and counts it.
    #[inline(never)]
    fn collect(&mut self, close: bool) {
        let before = self.calls.queued();
        self.shards.collect(close, |key, calls| self.calls.absorb(key, calls.drain(..)));
        self.count_since(before);
    }

    /// Counts the calls that were collected since so many were queued. Whether there are any.
    fn count_since(&mut self, before: usize) -> bool {
        let came = self.calls.queued() - before;
        if came > 0 {
            self.pending += came;
            for _ in 0..came {
                self.admit();
            }
            self.is_changed = self.publish(Moved::NOTHING);
        }
        came > 0
    }

    /// Opens the shard of this thread, if the worker is bound to come, for as many calls as do not change the state: near an
    /// edge everyone comes to the lock.
    pub(super) fn open_shard(&mut self, owner: &Arc<O>) {
        let Some(shard) = self.shards.mine() else { return };
        let room = self.recorder.headroom(self.queue.held()) / self.shards.len();
        if room > 0 && self.worker.is_none() && !self.is_ending() && !self.is_timed {
            let acquire = |permits| self.permits.try_acquire(permits);
            self.shards.open(shard, room.min(SLOTS), || self.calls.add_slab(owner), acquire);
            self.uses_shards = true;
        }
    }
}
