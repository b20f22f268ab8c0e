//! The state, for the runner: what has happened, which calls it takes, and what became of them.

use std::mem;
use std::task::Waker;
use std::time::Instant;

use backpressure_core::{DropReason, Moved};

use super::calls::Stage;
use super::effects::Effects;
use super::slab::Answer;
use super::state::{State, Threshold, WhenAlone};
use crate::batch::plan::QueuedCall;

/// What the runner learns.
pub(crate) struct Updates<Req> {
    pub(crate) arrivals: Vec<(usize, QueuedCall<Req>)>,
    /// When the first of the arrivals came, if that matters.
    pub(crate) since: Option<Instant>,
    /// Numbers that are free again: what the runner knows by them is to be forgotten before the arrivals are looked at.
    pub(crate) gone: Vec<usize>,
    /// Calls that were left in the inbox, and their weight.
    pub(crate) queued: (usize, u128),
    pub(crate) outlook: Outlook,
    /// Whether others came while a call was alone in flight. It stays until a batch has been dispatched.
    pub(crate) others_came: bool,
}

/// What is to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlook {
    MoreCalls,
    /// Nothing follows.
    Ending,
    /// Nobody is left to be answered.
    Over,
}

impl<Req> Default for Updates<Req> {
    fn default() -> Self {
        Self {
            arrivals: Vec::new(),
            since: None,
            gone: Vec::new(),
            queued: (0, 0),
            outlook: Outlook::MoreCalls,
            others_came: false,
        }
    }
}

impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    /// What has happened since the last time. With `take`, calls are taken out of the inbox. Tells whether the state has changed
    /// without anybody being told.
    pub(crate) fn update(&mut self, updates: &mut Updates<Req>, take: bool) -> bool {
        if take {
            self.calls.take(|| Stage::Held, usize::MAX, None, |number, call| updates.arrivals.push((number, call)));
        }
        updates.queued = (self.calls.queued(), self.calls.weight());
        updates.since = self.since.take();
        self.calls.settle(&self.gone, &mut Vec::new());
        updates.gone.append(&mut self.gone);
        updates.outlook = match self.is_ending() {
            false => Outlook::MoreCalls,
            true if self.is_over() || self.pending == 0 => Outlook::Over,
            true => Outlook::Ending,
        };
        updates.others_came |= mem::take(&mut self.others_came);
        mem::take(&mut self.is_changed)
    }

    /// Dispatches a batch straight from the inbox: the first calls in it, as many as these bounds allow, but one if there is one.
    pub(crate) fn dispatch_queued(
        &mut self,
        max_items: usize,
        max_weight: Option<usize>,
        calls: &mut Vec<usize>,
        effects: &mut Effects,
    ) -> Vec<Req> {
        let count = self.calls.queued().min(max_items);
        calls.reserve_exact(count);
        let mut requests = Vec::with_capacity(count);
        self.calls.take(
            || Stage::Sent,
            max_items,
            max_weight,
            |number, call| {
                calls.push(number);
                requests.push(call.request);
            },
        );
        self.vacate(calls.len(), Moved::taken(calls.len()), effects);
        requests
    }

    /// Dispatches a batch of calls that the runner holds. Those whose callers are gone stay: their positions are noted.
    pub(crate) fn dispatch_held(&mut self, calls: &[usize], gone: &mut Vec<usize>, effects: &mut Effects) {
        let mut sent = 0;
        for (position, &number) in calls.iter().enumerate() {
            let stage = &mut self.calls.call(number).stage;
            if let Stage::Held = stage {
                *stage = Stage::Sent;
                sent += 1;
            } else {
                gone.push(position);
            }
        }
        self.vacate(sent, Moved::taken(sent), effects);
    }

    /// Answers have come in: for calls that were sent or, with a reason, for calls that were not. Those that nobody waits for
    /// stay, to be dropped outside the lock.
    pub(crate) fn complete(
        &mut self,
        answers: &mut [(usize, Answer<Resp, E>)],
        unsent: Option<DropReason>,
        effects: &mut Effects,
    ) {
        let (delivered, failed) = self.calls.answer(answers, &mut effects.others);
        self.completed(delivered, failed, unsent, effects);
    }

    /// Calls got a response or an error, and are settled.
    #[inline]
    pub(super) fn completed(
        &mut self,
        delivered: usize,
        failed: usize,
        unsent: Option<DropReason>,
        effects: &mut Effects,
    ) {
        let calls = delivered + failed;
        self.pending -= calls;
        self.totals.answered += delivered as u64;
        self.totals.failed += failed as u64;
        if let Some(reason) = unsent {
            self.vacate(calls, Moved::discarded(reason, calls), effects);
        } else {
            self.reporter.delivered(delivered);
            if failed > 0 {
                self.reporter.lost(DropReason::Failed, failed);
            }
        }
        self.wake_drains(&mut effects.others);
    }

    /// The worker goes to sleep until there is something new, unless there is already: then the waker stays where it is.
    pub(crate) fn park(
        &mut self,
        threshold: Threshold,
        alone: WhenAlone,
        outlook: Outlook,
        waker: &mut Option<Waker>,
    ) -> bool {
        // Before the last look: nobody leaves a call in a shard while the worker sleeps.
        self.collect_shards(true);
        let is_ending = outlook != Outlook::MoreCalls;
        let has_news = self.calls.queued() >= threshold.calls
            || self.calls.weight() >= threshold.weight as u128
            || !self.gone.is_empty()
            || self.is_changed
            || self.is_reconfigured
            || self.is_ending() != is_ending
            || (is_ending && self.pending == 0)
            || self.is_over();
        if !has_news {
            self.threshold = threshold;
            self.contention = self.contention.saturating_sub(1);
            self.when_alone = alone;
            mem::swap(&mut self.worker, waker);
        }
        !has_news
    }
}
