//! The completion of a batch.

use std::sync::Arc;
use std::time::Instant;

use backpressure_core::Flushed;
use backpressure_rt::{Panic, discard, guarded, now};

use super::engine::Engine;
use crate::batch::answers::{Answers, AnswersBatches};
use crate::batch::error::BatchError;
use crate::batch::plan::{Batch, Fallback, GONE};

impl<S: AnswersBatches<Req, Resp>, Req, Resp> Engine<S, Req, Resp> {
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
                self.discard_answers();
                self.fail(batch, error);
            }
        }
    }

    /// Learns from how long a batch took that was answered now.
    fn learn_from(&mut self, batch: &Batch<Req>, started: Instant) {
        let now = now();
        let latency = now.saturating_duration_since(started);
        self.tuning.returned(now, Some(latency), self.in_flight.len());
        if self.tuning.learn(batch.size, latency) {
            self.lanes.set_limits(self.tuning.max_items, self.tuning.linger);
            self.exchange.reporter.paced(self.tuning.linger, self.tuning.max_items);
        }
        self.exchange.reporter.flushed(Flushed { at: now, latency, items: batch.len(), reason: batch.reason });
    }

    /// Sends a failed batch again in parts, or fails everyone in it.
    pub(super) fn fail(&mut self, batch: Batch<Req>, error: BatchError<S::Error>) {
        if let (Some((fallback, _)), true) = (self.exchange.settings.hooks.fallback, batch.requests.len() > 1) {
            let size = match fallback {
                Fallback::OneByOne => 1,
                Fallback::Bisect => batch.size.div_ceil(2),
            };
            batch.parts(size).for_each(|part| self.batches.put_back(part));
        } else {
            batch.calls().for_each(|number| self.answers.push((number, Err(error.clone()))));
        }
    }

    /// Notes everyone's answer.
    #[inline]
    fn answer(&mut self, batch: &Batch<Req>, response: S::Response) -> Result<(), BatchError<S::Error>> {
        let (mut answers, expected) = (response.into_answers(), batch.size);
        let wrong = |got| Err(BatchError::WrongLength { expected, got });
        if answers.len() != expected {
            return wrong(answers.len());
        }
        let copy = self.exchange.settings.hooks.dedup.as_ref().map(|dedup| dedup.copy);
        for place in 0..expected {
            // It may have fewer than it said.
            let Some(answer) = answers.next() else { return wrong(place) };
            let answer = answer.map_err(|error| BatchError::Request(Arc::new(error)));
            let Some((&last, others)) = batch.calls_for(place).split_last() else { continue };
            for &call in others.iter().filter(|&&call| call != GONE) {
                if let Some(copy) = copy {
                    self.answers.push((call, answer.as_ref().map(copy).map_err(Clone::clone)));
                }
            }
            if last == GONE {
                discard(answer);
            } else {
                self.answers.push((last, answer));
            }
        }
        Ok(())
    }
}
