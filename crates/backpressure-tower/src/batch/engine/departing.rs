//! How a batch leaves.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use backpressure_core::{DropReason, FlushReason};
use tower_service::Service;

use super::{Engine, Step, guarded};
use crate::batch::answers::Answers;
use crate::batch::batches::Batch;
use crate::batch::desk::Loaded;
use crate::batch::error::BatchError;
use crate::batch::lanes::Departure;

impl<S, Req, Resp> Engine<S, Req, Resp>
where
    S: Service<Vec<Req>>,
    S::Response: Answers<Resp, S::Error>,
{
    /// Sends one batch, if one may leave. The inner service is asked for readiness only then, so that nobody holds what it
    /// has to give without need.
    pub(super) fn depart(&mut self, now: Instant, cx: &mut Context<'_>) -> Step {
        let is_whole = match self.next_is_whole(now) {
            _ if self.batches.has_waiting() => true,
            Some(is_whole) => is_whole,
            None => {
                self.travelled = false;
                self.release_readiness();
                return Step::Idle;
            }
        };
        if self.flights.len() >= self.gate.limit() {
            return Step::Busy;
        }
        if !is_whole && !self.travelled && !self.lonely && !self.is_for_a_door && self.is_eager() {
            self.travelled = true;
            return Step::Yield;
        }
        self.asked = true;
        let ready = if self.readied { Ok(Poll::Ready(Ok(()))) } else { guarded(|| self.service.poll_ready(cx)) };
        let is_sound = match ready {
            Ok(Poll::Pending) => return Step::Busy,
            Ok(Poll::Ready(Ok(()))) => true,
            Ok(Poll::Ready(Err(error))) => {
                self.shared.end(Some(Arc::new(error)), DropReason::Failed);
                return Step::Over;
            }
            Err(_) => false,
        };
        self.readied = is_sound;
        if let Some((batch, requests)) = self.next_batch(now) {
            let batch = self.batches.insert(batch);
            self.asked = false;
            let called = mem::take(&mut self.readied).then(|| guarded(|| self.service.call(requests)).ok()).flatten();
            match called {
                Some(future) => {
                    self.flights.push(batch, future);
                    self.gate.depart(now, self.flights.len());
                    if let Some(outcome) = self.flights.poll(batch) {
                        self.land(batch, outcome);
                    }
                }
                None => self.fail(batch, BatchError::Panicked),
            }
        }
        Step::Again
    }

    /// Whether a batch leaves without waiting for more calls.
    pub(super) fn is_eager(&self) -> bool {
        !self.lingers || (self.when_idle && self.flights.len() == 0)
    }

    /// Whether the batch that may leave is as large as can be; `None` if none may.
    fn next_is_whole(&mut self, now: Instant) -> Option<bool> {
        if !self.sorted {
            return self.fullness().map(|reason| reason.is_some());
        }
        self.lanes.observe(now);
        if self.is_eager() {
            self.lanes.urge();
        }
        self.lanes.next_is_whole()
    }

    /// Whether, and by what, the inbox is full; `None` if it is empty.
    fn fullness(&self) -> Option<Option<FlushReason>> {
        let (calls, weight) = self.news.queued;
        if calls >= self.max_items {
            return Some(Some(FlushReason::Full));
        }
        let is_heavy = self.max_weight.is_some_and(|max| weight >= max as u128);
        (calls > 0).then_some(is_heavy.then_some(FlushReason::Weight))
    }

    /// The batch that leaves now, without the requests of callers that are gone.
    fn next_batch(&mut self, now: Instant) -> Option<(Batch<Req>, Vec<Req>)> {
        let (mut batch, requests) = if let Some(mut batch) = self.batches.next() {
            let requests = mem::take(&mut batch.copies);
            (batch, requests)
        } else {
            self.travelled = false;
            self.next_of_calls(now)?
        };
        if let (Some((_, copy)), true) = (self.hooks.fallback, requests.len() > 1) {
            batch.copies = guarded(|| copy(&requests)).unwrap_or_default();
        }
        Some((batch, requests))
    }

    fn next_of_calls(&mut self, now: Instant) -> Option<(Batch<Req>, Vec<Req>)> {
        let (calls, requests, reason) = if self.sorted { self.take_of_lanes()? } else { self.take_of_inbox()? };
        self.lonely = calls.len() == 1 && !mem::take(&mut self.news.joined);
        let (requests, places) = match self.hooks.dedup {
            None => (requests, None),
            Some(dedup) => match guarded(|| (dedup.unite)(requests)) {
                Ok(united) => united,
                Err(_) => {
                    self.answers.extend(calls.into_iter().map(|call| (call, Err(BatchError::Panicked))));
                    self.answer(None);
                    return None;
                }
            },
        };
        Some((Batch::new(calls, places, requests.len(), reason, now), requests))
    }

    fn take_of_inbox(&mut self) -> Option<(Vec<usize>, Vec<Req>, FlushReason)> {
        let usual = if self.news.ending { FlushReason::End } else { FlushReason::Linger };
        let reason = self.fullness().flatten().unwrap_or(usual);
        let (calls, pages) = (mem::take(&mut self.spare), mem::take(&mut self.news.pages));
        let mut loaded = Loaded { calls, requests: Vec::new(), pages };
        let after = self.shared.lock_inside().take(self.max_items, self.max_weight, &mut loaded);
        after.carry_out(&self.shared.reporter);
        let Loaded { calls, requests, pages } = loaded;
        self.news.queued.0 = self.news.queued.0.saturating_sub(calls.len());
        self.news.pages = pages;
        self.pages.learn(self.news.pages.drain(..));
        (!calls.is_empty()).then_some((calls, requests, reason))
    }

    fn take_of_lanes(&mut self) -> Option<(Vec<usize>, Vec<Req>, FlushReason)> {
        let Departure { mut calls, mut requests, reason, emptied } = self.lanes.take()?;
        self.close(emptied);
        let mut gone = Vec::new();
        let after = self.shared.lock_inside().depart(&calls, &mut gone);
        after.carry_out(&self.shared.reporter);
        for position in gone.into_iter().rev() {
            calls.remove(position);
            requests.remove(position);
        }
        (!calls.is_empty()).then_some((calls, requests, reason))
    }
}
