//! The exchange's state, as seen by those who end it.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use backpressure_core::{DropReason, Moved};

use super::calls::Stage;
use super::effects::Effects;
use super::state::{Phase, State, Totals};
use crate::batch::error::BatchError;

impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    /// The last handle goes: nothing follows.
    pub(crate) fn abandon(&mut self, effects: &mut Effects) {
        if let Phase::Open = self.phase {
            self.phase = Phase::Abandoned;
        }
        effects.worker = self.worker.take();
    }

    /// Takes nothing more in, and wakes everyone who hoped for that. Nobody gets a permit: whoever comes is to be told.
    fn close(&mut self, effects: &mut Effects) {
        if let Phase::Draining | Phase::Over(_) = self.phase {
            return;
        }
        self.collect_shards(true);
        self.phase = Phase::Draining;
        self.permits.start_waiting();
        self.permits.release(self.shards.collect_permits());
        effects.changed |= self.recorder.drain();
        effects.worker = self.worker.take();
        effects.others.append(&mut self.waiters.wakers());
    }

    /// Answers every call that still waits: with this error of the inner service, or that the batcher has shut down. Hands out
    /// what is to be dropped outside the lock.
    pub(crate) fn end(
        &mut self,
        error: Option<Arc<E>>,
        reason: DropReason,
        effects: &mut Effects,
    ) -> Vec<(usize, Stage<Req>)> {
        if self.is_over() {
            return Vec::new();
        }
        self.close(effects);
        self.shards.forget();
        let answer = || error.as_ref().map_or(BatchError::Closed, |error| BatchError::Unavailable(Arc::clone(error)));
        let ended = self.calls.end(|| Err(answer()));
        let sent = ended.iter().filter(|(_, stage)| matches!(stage, Stage::Sent)).count();
        let queued = ended.len() - sent;
        let mut settled = mem::take(&mut self.gone);
        settled.extend(ended.iter().map(|(number, _)| number));
        self.calls.settle(&settled, &mut effects.others);
        self.calls.give_up_settled();
        self.pending -= ended.len();
        self.vacate(queued, Moved::discarded(reason, queued), effects);
        self.reporter.lost(reason, sent);
        *if error.is_some() { &mut self.totals.failed } else { &mut self.totals.abandoned } += ended.len() as u64;
        self.phase = Phase::Over(error);
        effects.worker = effects.worker.take().or_else(|| self.worker.take());
        self.wake_drains(&mut effects.others);
        ended
    }

    pub(crate) const fn totals(&self) -> Totals {
        self.totals
    }

    /// Takes nothing more in. Joins those who wait until nobody waits for an answer.
    pub(crate) fn join_drain(&mut self, effects: &mut Effects) -> usize {
        self.close(effects);
        self.drains.insert(None)
    }

    /// Whether nobody waits for an answer. If somebody does, keeps the waker and hands back what it replaces.
    pub(crate) fn is_drained(&mut self, key: usize, waker: Waker) -> (bool, Option<Waker>) {
        let replaced = self.drains[key].replace(waker);
        (self.pending == 0, replaced)
    }

    /// A drain waits no more. Hands out its waker, to be dropped outside the lock.
    pub(crate) fn leave_drain(&mut self, key: usize) -> Option<Waker> {
        self.drains.remove(key)
    }
}
