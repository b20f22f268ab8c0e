//! The dispatch of a batch.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use backpressure_core::{DropReason, FlushReason};
use backpressure_rt::{discard, guarded, now};

use super::engine::{Engine, Joining, Step};
use super::gather::Gather;
use crate::batch::answers::AnswersBatches;
use crate::batch::error::BatchError;
use crate::batch::exchange::{Effects, Outlook, RunAs};
use crate::batch::plan::{Batch, Taken, fullness};

impl<S: AnswersBatches<Req, Resp>, Req, Resp> Engine<S, Req, Resp> {
    /// Sends one batch, if one may go.
    pub(super) fn dispatch(&mut self, now: Instant, run_as: RunAs, cx: &mut Context<'_>) -> Step {
        let is_full = match self.next_is_full(now) {
            _ if self.batches.has_waiting() => true,
            Some(is_full) => is_full,
            None => {
                if self.joining == Joining::Done {
                    self.joining = Joining::Wanted;
                }
                self.inner.release();
                return Step::Idle;
            }
        };
        if self.in_flight.len() >= self.tuning.concurrency() {
            return Step::Busy;
        }
        let may_join = !is_full && self.joining == Joining::Wanted && self.is_eager();
        if may_join && run_as == RunAs::Worker {
            self.joining = Joining::Done;
            return Step::Yield;
        }
        match self.inner.poll_ready(cx) {
            Ok(Poll::Pending) => {
                self.is_refused = true;
                return Step::Busy;
            }
            Ok(Poll::Ready(Err(error))) => {
                self.exchange.end(Some(Arc::new(error)), DropReason::Failed);
                return Step::Over;
            }
            // A service that panicked fails the next batch.
            Ok(Poll::Ready(Ok(()))) | Err(_) => {}
        }
        // One that was sent before goes first.
        if let Some(batch) = self.batches.next().or_else(|| self.new_batch(now)) {
            self.send(batch);
        }
        self.deliver(None, run_as);
        Step::Again
    }

    /// Calls the inner service, and polls what it gives once: an answer that comes at once is noted.
    pub(super) fn send(&mut self, mut batch: Batch<Req>) {
        let requests = mem::take(&mut batch.requests);
        let has_parts = requests.len() > 1;
        if let Some((_, copy)) = has_parts.then_some(&self.exchange.settings.hooks).and_then(|hooks| hooks.fallback) {
            batch.requests = guarded(|| copy(&requests)).unwrap_or_default();
        }
        let Some(future) = self.inner.call(requests) else { return self.fail(batch, BatchError::Panicked) };
        let key = self.batches.next_key();
        self.in_flight.insert(key, future);
        if let Some(now) = batch.started {
            self.tuning.dispatched(now, self.in_flight.len());
        }
        self.tell_activity();
        // Polled here, before anybody registers to be woken: one that is ready at once needs no waker stored.
        match self.in_flight.poll(key) {
            Some(outcome) => self.complete(batch, outcome),
            None => {
                // Slow enough to be worth timing after all.
                batch.started.get_or_insert_with(now);
                self.batches.insert(batch);
            }
        }
    }

    /// Whether the batch that may go is as large as can be; `None` if none may.
    fn next_is_full(&mut self, now: Instant) -> Option<bool> {
        if self.gather == Gather::Inbox {
            let (calls, weight) = self.updates.queued;
            return (calls > 0).then(|| self.fullness(calls, weight).is_some());
        }
        self.lanes.advance(now);
        if self.is_eager() {
            self.lanes.flush_oldest();
        }
        self.lanes.next_is_full()
    }

    /// By what so many calls of this weight fill a batch, if they do.
    pub(super) fn fullness(&self, calls: usize, weight: u128) -> Option<FlushReason> {
        fullness(calls, weight, self.tuning.max_items, self.max_weight)
    }

    /// A batch of calls that have not been sent yet, without those whose callers are gone.
    fn new_batch(&mut self, now: Instant) -> Option<Batch<Req>> {
        if self.joining == Joining::Done {
            self.joining = Joining::Wanted;
        }
        let taken = if self.gather == Gather::Inbox { self.take_from_inbox() } else { self.take_from_lanes() };
        let Taken { calls, requests, reason } = taken.filter(|taken| !taken.calls.is_empty())?;
        let is_lone = calls.len() == 1 && !mem::take(&mut self.updates.others_came);
        self.joining = if is_lone { Joining::Unlikely } else { Joining::Wanted };
        let Some(dedup) = &self.exchange.settings.hooks.dedup else {
            return Some(Batch::new(calls, requests, reason, Some(now)));
        };
        let Ok((requests, places)) = guarded(|| (dedup.unite)(requests)) else {
            calls.into_iter().for_each(|number| self.answers.push((number, Err(BatchError::Panicked))));
            return None;
        };
        let batch = Batch::new(calls, requests, reason, Some(now));
        Some(if let Some(places) = places { batch.united(places) } else { batch })
    }

    /// Takes the first calls that are in the inbox, as many as a batch may hold.
    fn take_from_inbox(&mut self) -> Option<Taken<Req>> {
        let usual = if self.updates.outlook == Outlook::Ending { FlushReason::End } else { FlushReason::Linger };
        let reason = self.fullness(self.updates.queued.0, self.updates.queued.1).unwrap_or(usual);
        let (max_items, mut calls) = (self.tuning.max_items, mem::take(&mut self.spare));
        let mut state = self.exchange.lock_uncollected();
        let mut effects = Effects::default();
        let requests = state.dispatch_queued(max_items, self.max_weight, &mut calls, &mut effects);
        drop(state);
        effects.flush(&self.exchange.reporter);
        self.updates.queued.0 = self.updates.queued.0.saturating_sub(calls.len());
        Some(Taken { calls, requests, reason })
    }

    /// Takes the calls of the lane whose turn it is, without those whose callers are gone.
    fn take_from_lanes(&mut self) -> Option<Taken<Req>> {
        let mut taken = self.lanes.take()?;
        let (mut gone, mut effects) = (Vec::new(), Effects::default());
        self.exchange.lock_uncollected().dispatch_held(&taken.calls, &mut gone, &mut effects);
        effects.flush(&self.exchange.reporter);
        for position in gone.into_iter().rev() {
            taken.calls.remove(position);
            discard(taken.requests.remove(position));
        }
        Some(taken)
    }
}
