//! What becomes of a batch that comes back.

use std::sync::Arc;
use std::time::Duration;

use backpressure_core::Flushed;
use tower_service::Service;

use super::{Engine, guarded};
use crate::batch::answers::Answers;
use crate::batch::batches::Batch;
use crate::batch::builder::Fallback;
use crate::batch::clock;
use crate::batch::desk::Answer;
use crate::batch::error::BatchError;
use crate::batch::flights::Panic;

impl<S, Req, Resp> Engine<S, Req, Resp>
where
    S: Service<Vec<Req>>,
    S::Response: Answers<Resp, S::Error>,
{
    /// Hands out the answers of a batch.
    pub(super) fn land(&mut self, key: usize, outcome: Result<Result<S::Response, S::Error>, Panic>) {
        let now = clock::now();
        let Some(batch) = self.batches.remove(key) else { return };
        self.gate.land(now, Some(batch.started), self.flights.len());
        let latency = now.saturating_duration_since(batch.started);
        self.adapt(batch.requests, latency);
        self.shared.reporter.flushed(Flushed { at: now, latency, items: batch.len(), reason: batch.reason });

        let told = match outcome {
            Ok(Ok(response)) => guarded(|| self.tell(&batch, response)).unwrap_or(Err(BatchError::Panicked)),
            Ok(Err(error)) => Err(BatchError::Batch(Arc::new(error))),
            Err(_) => Err(BatchError::Panicked),
        };
        match told {
            Ok(()) => {
                self.answer(None);
                self.spare = batch.into_spare();
            }
            Err(error) => {
                self.answers.clear();
                self.fall_back(batch, error);
            }
        }
    }

    /// A batch failed without having been with the inner service.
    pub(super) fn fail(&mut self, key: usize, error: BatchError<S::Error>) {
        if let Some(batch) = self.batches.remove(key) {
            self.fall_back(batch, error);
        }
    }

    /// Notes everyone's answer.
    fn tell(&mut self, batch: &Batch<Req>, response: S::Response) -> Result<(), BatchError<S::Error>> {
        let mut answers = response.into_answers();
        let expected = batch.requests;
        let wrong = |got| BatchError::WrongLength { expected, got };
        if answers.len() != expected {
            return Err(wrong(answers.len()));
        }
        let typed = |answer: Result<Resp, S::Error>| answer.map_err(|error| BatchError::Request(Arc::new(error)));
        if let Some(calls) = batch.calls_in_order() {
            for (call, got) in calls.zip(0..) {
                let answer = typed(answers.next().ok_or_else(|| wrong(got))?);
                self.answers.extend(call.map(|call| (call, answer)));
            }
            return Ok(());
        }
        let Some(dedup) = self.hooks.dedup else { return Ok(()) };
        let mut uses = vec![0usize; expected];
        batch.calls_and_places().for_each(|(_, place)| uses[place] += 1);
        let mut answers: Vec<Option<Answer<Resp, S::Error>>> = answers.map(typed).map(Some).collect();
        answers.resize_with(expected, || None);
        for (call, place) in batch.calls_and_places() {
            uses[place] -= 1;
            let answer = match &answers[place] {
                Some(Ok(response)) if uses[place] > 0 => Some(Ok((dedup.copy)(response))),
                Some(Err(error)) => Some(Err(error.clone())),
                _ => answers[place].take(),
            };
            self.answers.push((call, answer.ok_or_else(|| wrong(place))?));
        }
        Ok(())
    }

    /// Sends a failed batch again in parts, or fails everyone in it.
    fn fall_back(&mut self, batch: Batch<Req>, error: BatchError<S::Error>) {
        if let (Some((fallback, _)), true) = (self.hooks.fallback, batch.copies.len() > 1) {
            let size = match fallback {
                Fallback::OneByOne => 1,
                Fallback::Bisect => batch.requests.div_ceil(2),
            };
            batch.parts(size).for_each(|part| self.batches.put_back(part));
            return;
        }
        self.answers.extend(batch.calls().map(|call| (call, Err(error.clone()))));
        self.answer(None);
    }

    /// Learns from a batch of so many requests.
    fn adapt(&mut self, requests: usize, latency: Duration) {
        if self.pacer.is_none() && self.sizer.is_none() {
            return;
        }
        if let Some(sizer) = &mut self.sizer {
            sizer.record(requests, latency);
            self.max_items = sizer.limit();
        }
        if let Some(pacer) = &mut self.pacer {
            pacer.record(latency);
            self.linger = pacer.interval();
        }
        self.lanes.set_limits(self.max_items, self.linger);
        self.shared.reporter.paced(self.linger, self.max_items);
    }
}
