//! What becomes of a flush that was answered, and of items that nobody will flush any more.

use std::time::Instant;

use backpressure_core::{DropReason, Flushed};
use tower_service::Service;

use crate::attempt::{Attempt, Flight, Verdict};
use crate::careful::{Careful, discard, guarded};
use crate::drain::Ending;
use crate::outcome::{Answer, Failure, FlushError, FlushOutcome};
use crate::worker::Worker;

impl<T, S> Worker<T, S>
where
    T: Send + 'static,
    S: Service<Vec<T>, Response: Into<FlushOutcome<T, S::Error>>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    /// Settles a flight by its answer.
    pub(crate) fn land(&mut self, now: Instant, flight: Flight<T>, answer: Answer<T, S::Error>) {
        let latency = now.saturating_duration_since(flight.started);
        self.schedule.answered(flight.count, latency, matches!(answer, Answer::Failed(_)));
        self.reporter.paced(self.schedule.interval(), self.schedule.full().items);
        self.reporter.flushed(Flushed { at: now, latency, items: flight.count, reason: flight.reason });
        let batch = flight.batch;
        match answer {
            Answer::Partly { items, errors } => self.land_partly(now, flight, items, errors),
            Answer::Failed(error) => self.land_failed(now, flight, error),
        }
        self.settled(batch);
    }

    /// The flush delivered all but these. Items beyond the size of the batch cannot be ours: they go back uncounted.
    fn land_partly(
        &mut self,
        now: Instant,
        flight: Flight<T>,
        mut items: Careful<Vec<T>>,
        mut errors: Careful<Vec<S::Error>>,
    ) {
        let failed = items.len().min(flight.count);
        self.tell_each(items.split_off(failed), errors.split_off(failed));
        let delivered = flight.count - failed;
        self.reporter.delivered(delivered);
        self.totals.delivered += delivered as u64;
        if failed == 0 {
            return;
        }
        if let Some(items) = self.try_again(now, items, false, flight) {
            self.count_failed(items.len());
            self.tell_each(items.release(), errors.release());
        }
    }

    fn land_failed(&mut self, now: Instant, mut flight: Flight<T>, error: Failure<S::Error>) {
        let (count, copy) = (flight.count, flight.copy.take());
        if let Some(items) = self.try_again(now, copy.unwrap_or_default(), true, flight) {
            self.count_failed(count);
            self.tell_failed(items, error);
        }
    }

    /// Arranges another attempt at `items`, or hands them back if there is none.
    fn try_again(
        &mut self,
        now: Instant,
        items: Careful<Vec<T>>,
        whole: bool,
        flight: Flight<T>,
    ) -> Option<Careful<Vec<T>>> {
        match self.policy.judge(items, whole, flight) {
            Verdict::Again(delay, attempt) => {
                self.unsettle(&attempt);
                // A wait that the clock cannot express is for ever, which a drain or the end of the worker cuts short.
                let due = now.checked_add(delay).unwrap_or(now + std::time::Duration::from_secs(86_400 * 365));
                self.retries.push((due, attempt));
                None
            }
            Verdict::Halves(left, right) => {
                self.unsettle(&left);
                self.unsettle(&right);
                self.ready.push_front(right);
                self.ready.push_front(left);
                None
            }
            Verdict::Final(items) => Some(items),
        }
    }

    fn unsettle(&mut self, attempt: &Attempt<T>) {
        *self.unsettled.entry(attempt.batch).or_default() += 1;
    }

    fn settled(&mut self, batch: u64) {
        if let Some(attempts) = self.unsettled.get_mut(&batch) {
            *attempts -= 1;
            if *attempts == 0 {
                self.unsettled.remove(&batch);
            }
        }
    }

    /// The flush target is gone: nothing more is taken in, and what has not been flushed has failed.
    pub(crate) fn give_up(&mut self, error: Option<S::Error>) {
        discard(self.service.take());
        guarded(|| self.receiver.close());
        let mut items = Careful::new(Vec::new());
        for attempt in self.unstarted() {
            self.count_failed(attempt.items.len());
            self.settled(attempt.batch);
            items.extend(attempt.items.release());
        }
        let queued = self.receiver.evacuate(DropReason::Failed);
        self.totals.failed += queued.len() as u64;
        items.extend(queued);
        self.tell_failed(items, FlushError::Unavailable(error).into());
    }

    /// The deadline of the drain has passed: stops what is in flight and takes out what can be handed back.
    pub(crate) fn abandon(&mut self) -> Remains<T> {
        self.flights.abort();
        let mut remains = self.remains(DropReason::DrainDeadline);
        self.unsettled.clear();
        remains.items.extend(self.receiver.evacuate(DropReason::DrainDeadline));
        remains
    }

    /// Everything is over: tells those who wait for the drain, those who will ask later, and the hook what nobody waits for.
    pub(crate) fn end(&mut self, now: Instant, remains: Remains<T>) {
        let ending = Ending { still_running: self.flights.running(), ..remains.ending() };
        let _ = self.ending.set(ending);
        self.drains.report(now, self.totals, remains.items.release(), ending, &self.on_drop);
    }

    fn count_failed(&mut self, items: usize) {
        self.reporter.lost(DropReason::Failed, items);
        self.totals.failed += items as u64;
    }

    /// Tells of items one by one, each with its own error.
    fn tell_each(&mut self, items: Vec<T>, errors: Vec<S::Error>) {
        let items = items.into_iter().map(|item| Careful::new(vec![item]));
        let errors = errors.into_iter().map(|error| Failure::from(FlushError::Item(error)));
        items.zip(errors).for_each(|(items, error)| self.tell_failed(items, error));
    }

    fn tell_failed(&mut self, items: Careful<Vec<T>>, error: Failure<S::Error>) {
        let Some(on_failed) = &mut *self.on_failed else { return };
        let Some(error) = error.release() else { return };
        guarded(|| on_failed(items.release(), error));
    }
}

/// What was accepted and has neither been delivered nor failed.
pub(crate) struct Remains<T> {
    /// As far as they are not in flight, or copies of them were kept; oldest first.
    pub(crate) items: Careful<Vec<T>>,
    /// How many are in flight without a copy.
    unanswered: usize,
}

impl<T> Remains<T> {
    pub(crate) fn ending(&self) -> Ending {
        Ending { lost: self.items.len() as u64, unanswered: self.unanswered, still_running: 0 }
    }
}

impl<T> Default for Remains<T> {
    fn default() -> Self {
        Self { items: Careful::default(), unanswered: 0 }
    }
}

impl<T, S: Service<Vec<T>>> Worker<T, S> {
    /// Attempts that are not in flight, oldest first.
    fn unstarted(&mut self) -> Vec<Attempt<T>> {
        let retries = self.retries.drain(..).map(|(_, attempt)| attempt);
        let mut attempts: Vec<_> = self.ready.drain(..).chain(retries).collect();
        attempts.sort_by_key(|attempt| (attempt.batch, attempt.offset));
        attempts
    }

    /// Takes everything out that left the buffer and has no fate, and counts it as lost for `reason`.
    pub(crate) fn remains(&mut self, reason: DropReason) -> Remains<T> {
        let unstarted = self.unstarted().into_iter();
        let unstarted = unstarted.map(|it| (it.batch, it.offset, it.items.len(), Some(it.items)));
        let flying = self.flights.forget().map(|it| (it.batch, it.offset, it.count, it.copy));
        let mut parts: Vec<_> = unstarted.chain(flying).collect();
        parts.sort_by_key(|&(batch, offset, ..)| (batch, offset));
        let mut remains = Remains::default();
        for (_, _, count, items) in parts {
            self.reporter.lost(reason, count);
            match items {
                Some(items) => remains.items.extend(items.release()),
                None => remains.unanswered += count,
            }
        }
        remains
    }
}
