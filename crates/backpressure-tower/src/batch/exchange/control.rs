//! Control of the exchange: other numbers while it is in use, drains, and its end.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use backpressure_core::{BackpressureConfig, ConfigError, DropReason, Moved};

use super::Exchange;
use super::calls::Stage;
use super::effects::Effects;
use super::state::{Phase, State};
use crate::batch::error::BatchError;
use crate::batch::plan::{BatcherConfig, Linger};

impl<Req, Resp, E> Exchange<Req, Resp, E> {
    /// The configuration that was accepted last.
    pub(in crate::batch) fn config(&self) -> BatcherConfig {
        self.lock_uncollected().config
    }

    /// Takes another configuration, which the runner adopts at the worker's next turn.
    pub(in crate::batch) fn reconfigure(&self, config: BatcherConfig) -> Result<(), ConfigError> {
        let buffer = self.settings.accept(&config)?;
        let is_timed = self.settings.linger(&config) != Linger::Never;
        self.update(|state, effects| state.reconfigure(config, &buffer, is_timed, effects));
        Ok(())
    }
}

/// Other numbers.
impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    fn reconfigure(
        &mut self,
        config: BatcherConfig,
        buffer: &BackpressureConfig,
        is_timed: bool,
        effects: &mut Effects,
    ) {
        if self.is_ending() && self.pending == 0 {
            return;
        }
        // The shards were opened under the old bounds.
        self.collect_shards(true);
        self.permits.release(self.shards.collect_permits());
        self.permits.set_capacity(buffer.capacity());
        let accepted = self.queue.reconfigure(buffer);
        debug_assert!(accepted.is_ok(), "it neither weighs nor ages");
        effects.changed |= self.recorder.reconfigured(&self.queue, buffer) | mem::take(&mut self.is_changed);
        self.is_timed = is_timed;
        (self.config, self.is_reconfigured) = (config, true);
        self.serve(effects);
        effects.worker = self.take_worker();
    }

    /// A configuration that the runner does not know yet.
    #[inline]
    pub(crate) fn take_config(&mut self) -> Option<BatcherConfig> {
        mem::take(&mut self.is_reconfigured).then_some(self.config)
    }
}

/// Drains, and the end.
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
        self.pending -= ended.len();
        self.vacate(queued, Moved::discarded(reason, queued), effects);
        self.reporter.lost(reason, sent);
        *if error.is_some() { &mut self.totals.failed } else { &mut self.totals.abandoned } += ended.len() as u64;
        self.phase = Phase::Over(error);
        effects.worker = effects.worker.take().or_else(|| self.worker.take());
        self.wake_drains(&mut effects.others);
        ended
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
