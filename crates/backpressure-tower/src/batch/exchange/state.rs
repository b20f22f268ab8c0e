//! The state under the lock of the exchange.

use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use backpressure_core::{BackpressureConfig, BoundedBuffer, Moved, Recorder, Reporter};
use backpressure_rt::now;
use slab::Slab;

use super::calls::Calls;
use super::effects::Effects;
use super::permits::{Permits, Waiters};
use super::run::Runner;
use super::shards::Shards;
use crate::batch::plan::BatcherConfig;

/// Every operation is one short critical section. Nothing in here runs anybody's code: wakers are woken and dropped, requests
/// and answers dropped, watchers notified after it. [`Effects`] collects what is left to do.
pub(crate) struct State<O, Req, Resp, E> {
    pub(super) calls: Calls<O, Req, Resp, E>,
    /// When the first call in the inbox came, if that matters.
    pub(super) since: Option<Instant>,
    pub(super) is_timed: bool,
    /// Calls that the runner has taken and whose callers are gone.
    pub(super) gone: Vec<usize>,
    /// Calls whose callers wait for an answer.
    pub(super) pending: usize,
    pub(crate) totals: Totals,
    /// Calls that have not been dispatched. Each of them has a permit, as have those that are about to be made.
    pub(super) queue: BoundedBuffer<()>,
    pub(super) permits: Arc<Permits>,
    pub(super) waiters: Waiters,
    pub(super) shards: Arc<Shards<O, Req, Resp, E>>,
    pub(super) recorder: Recorder,
    pub(super) reporter: Reporter,
    /// The worker, while it sleeps, and what it waits for.
    pub(super) worker: Option<Waker>,
    pub(super) threshold: Threshold,
    /// The runner, where callers may run it too; `None` while somebody does.
    pub(crate) runner: Option<Runner<O, Req, Resp, E>>,
    /// What a call that comes alone while the worker sleeps is to do.
    pub(super) when_alone: WhenAlone,
    /// The call that was sent alone and is in flight. The inner service wakes its caller.
    pub(super) in_flight: Option<usize>,
    /// Whether the worker came while a caller ran it.
    pub(super) is_awaited: bool,
    /// Whether others came while a call was alone in flight, and the runner does not know yet.
    pub(super) others_came: bool,
    /// Calls since the worker last ran that were over before their callers could wait for anything.
    pub(super) at_once: u32,
    /// Whether a caller ran it for a shard since the worker last came, and how often in a row that has stayed away because of
    /// this.
    pub(super) ran_shard: bool,
    pub(super) stayed_away: u32,
    /// Whether any shard may be open, or have calls.
    pub(super) uses_shards: bool,
    /// For how many more sleeps of the worker contention is to be expected.
    pub(super) contention: u32,
    /// Whether the state has changed, and nobody has been told.
    pub(super) is_changed: bool,
    pub(super) config: BatcherConfig,
    /// Whether the runner does not know the configuration yet.
    pub(super) is_reconfigured: bool,
    pub(super) phase: Phase<E>,
    pub(super) drains: Slab<Option<Waker>>,
}

pub(super) enum Phase<E> {
    Open,
    /// The last handle has gone, so nothing follows.
    Abandoned,
    /// Takes nothing more in.
    Draining,
    /// Every call has its answer.
    Over(Option<Arc<E>>),
}

/// How many calls were answered since the beginning, and how; and how many were given up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) abandoned: u64,
}

/// From how many calls in the inbox on, or from how much weight, the worker wants to be woken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Threshold {
    pub(crate) calls: usize,
    pub(crate) weight: usize,
}

impl Threshold {
    pub(crate) const NEVER: Self = Self { calls: usize::MAX, weight: usize::MAX };
    pub(crate) const ANY: Self = Self { calls: 1, weight: 1 };
}

/// What a call that comes alone while the worker sleeps is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenAlone {
    WakeWorker,
    Run,
}

impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    pub(super) fn new(
        config: BatcherConfig,
        buffer: &BackpressureConfig,
        permits: Arc<Permits>,
        shards: Arc<Shards<O, Req, Resp, E>>,
        is_timed: bool,
    ) -> Self {
        let recorder = Recorder::new(buffer, now, true);
        Self {
            calls: Calls::new(),
            since: None,
            is_timed,
            gone: Vec::new(),
            pending: 0,
            totals: Totals::default(),
            queue: BoundedBuffer::new(buffer),
            permits,
            waiters: Waiters::default(),
            shards,
            reporter: recorder.reporter(),
            recorder,
            worker: None,
            threshold: Threshold::NEVER,
            runner: None,
            when_alone: WhenAlone::WakeWorker,
            in_flight: None,
            is_awaited: false,
            others_came: false,
            at_once: 0,
            ran_shard: false,
            stayed_away: 0,
            uses_shards: false,
            contention: 0,
            is_changed: false,
            config,
            is_reconfigured: false,
            phase: Phase::Open,
            drains: Slab::new(),
        }
    }

    /// A call comes into the inbox.
    pub(super) fn note_arrival(&mut self) {
        if self.is_timed && self.since.is_none() {
            self.since = Some(now());
        }
    }

    /// A call with a permit comes into the queue. It has its place there even if the capacity was lowered since it got that.
    pub(super) fn admit(&mut self) {
        if self.queue.push(()).is_err() {
            self.queue.push_beyond(());
        }
    }

    /// Whether nothing follows.
    pub(super) fn is_ending(&self) -> bool {
        !matches!(self.phase, Phase::Open)
    }

    /// Whether every call has its answer, and none follows.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    /// Publishes what is queued. Whether watchers are to be notified.
    pub(super) fn publish(&mut self, moved: Moved) -> bool {
        self.recorder.update(&self.queue, moved) | mem::take(&mut self.is_changed)
    }

    /// So many calls are in the queue no more, and give their permits back.
    #[inline]
    pub(super) fn vacate(&mut self, calls: usize, moved: Moved, effects: &mut Effects) {
        self.queue.pop_many(&mut Vec::new(), calls, usize::MAX);
        if self.permits.release(calls) {
            self.serve(effects);
        }
        effects.changed |= self.publish(moved);
    }

    /// Serves those who wait for a permit while there are any.
    pub(super) fn serve(&mut self, effects: &mut Effects) {
        while !self.waiters.is_empty() && self.permits.try_acquire_waiting() {
            effects.others.extend(self.waiters.serve());
        }
        // Once nothing is taken in, permits are refused by this: whoever comes is to be told.
        if self.waiters.is_empty() && !matches!(self.phase, Phase::Draining | Phase::Over(_)) {
            self.permits.stop_waiting();
        }
    }

    /// Hands out the wakers of drains, if nobody waits for an answer.
    pub(super) fn wake_drains(&mut self, wakers: &mut Vec<Waker>) {
        if self.pending == 0 && !self.drains.is_empty() {
            wakers.extend(self.drains.iter_mut().filter_map(|(_, waker)| waker.take()));
        }
    }
}
