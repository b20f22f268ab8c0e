//! The completion of a batch.

use std::sync::Arc;
use std::time::Instant;

use backpressure_core::Flushed;
use backpressure_rt::{Panic, guarded, now};
use tower_service::Service;

use super::engine::Engine;
use crate::batch::answers::Answers;
use crate::batch::error::BatchError;
use crate::batch::exchange::Answer;
use crate::batch::plan::{Batch, Fallback};

impl<S, Req, Resp> Engine<S, Req, Resp>
where
    S: Service<Vec<Req>>,
    S::Response: Answers<Resp, S::Error>,
{
    /// Notes the answers of a batch.
    pub(super) fn complete(&mut self, batch: Batch<Req>, outcome: Result<Result<S::Response, S::Error>, Panic>) {
        match batch.started {
            Some(started) => self.learn_from(&batch, started),
            None => self.exchange.reporter.flushed_untimed(batch.len(), batch.reason),
        }
        self.tell_activity();

        let answered = match outcome {
            Ok(Ok(response)) => guarded(|| self.answer(&batch, response)).unwrap_or(Err(BatchError::Panicked)),
            Ok(Err(error)) => Err(BatchError::Batch(Arc::new(error))),
            Err(_) => Err(BatchError::Panicked),
        };
        match answered {
            Ok(()) => self.spare = batch.into_spare(),
            Err(error) => {
                self.outbox.answers.clear();
                self.fail(batch, error);
            }
        }
    }

    /// Learns from how long a batch took that was answered now.
    fn learn_from(&mut self, batch: &Batch<Req>, started: Instant) {
        let now = now();
        let latency = now.saturating_duration_since(started);
        self.tuning.returned(now, Some(latency), self.in_flight.len());
        if self.tuning.learn(batch.requests, latency) {
            self.intake.lanes.set_limits(self.tuning.max_items, self.tuning.linger);
            self.exchange.reporter.paced(self.tuning.linger, self.tuning.max_items);
        }
        self.exchange.reporter.flushed(Flushed { at: now, latency, items: batch.len(), reason: batch.reason });
    }

    /// Sends a failed batch again in parts, or fails everyone in it.
    pub(super) fn fail(&mut self, batch: Batch<Req>, error: BatchError<S::Error>) {
        if let (Some((fallback, _)), true) = (self.hooks.fallback, batch.copies.len() > 1) {
            let size = match fallback {
                Fallback::OneByOne => 1,
                Fallback::Bisect => batch.requests.div_ceil(2),
            };
            batch.parts(size).for_each(|part| self.batches.put_back(part));
        } else {
            batch.calls().for_each(|number| self.outbox.push(number, Err(error.clone())));
        }
    }

    /// Notes everyone's answer.
    fn answer(&mut self, batch: &Batch<Req>, response: S::Response) -> Result<(), BatchError<S::Error>> {
        let mut answers = response.into_answers();
        let expected = batch.requests;
        let wrong = |got| BatchError::WrongLength { expected, got };
        if answers.len() != expected {
            return Err(wrong(answers.len()));
        }
        let typed = |answer: Result<Resp, S::Error>| answer.map_err(|error| BatchError::Request(Arc::new(error)));
        if let Some(numbers) = batch.calls_in_order() {
            for (number, got) in numbers.zip(0..) {
                let answer = typed(answers.next().ok_or_else(|| wrong(got))?);
                if let Some(number) = number {
                    self.outbox.push(number, answer);
                }
            }
            return Ok(());
        }
        let Some(dedup) = &self.hooks.dedup else { return Ok(()) };
        let mut uses = vec![0usize; expected];
        batch.calls_and_places().for_each(|(_, place)| uses[place] += 1);
        let mut answers: Vec<Option<Answer<Resp, S::Error>>> = answers.map(typed).map(Some).collect();
        answers.resize_with(expected, || None);
        for (number, place) in batch.calls_and_places() {
            uses[place] -= 1;
            let answer = match &answers[place] {
                Some(Ok(response)) if uses[place] > 0 => Some(Ok((dedup.copy)(response))),
                Some(Err(error)) => Some(Err(error.clone())),
                _ => answers[place].take(),
            };
            self.outbox.push(number, answer.ok_or_else(|| wrong(place))?);
        }
        Ok(())
    }
}
