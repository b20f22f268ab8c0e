//! The completion of a flush, and the end of items that will not be flushed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use backpressure_core::{DropReason, Flushed};
use tower_service::Service;

use crate::answer::{Answer, Failure, Failures};
use crate::attempt::{Attempt, Dispatched, Fate};
use crate::careful::{Careful, discard, guarded};
use crate::drain::Ending;
use crate::halves::Part;
use crate::home::{Home, Spawns};
use crate::keyed::wait_together;
use crate::outcome::{FlushError, FlushOutcome};
use crate::remains::Remains;
use crate::verdict::Verdict;
use crate::worker::Worker;

impl<T, S, H> Worker<T, S, H>
where
    T: 'static,
    S: Service<Vec<T>, Response: Into<FlushOutcome<T, S::Error>>, Error: 'static>,
    H: Spawns<T, S::Error, S::Future>,
{
    /// Settles a batch in flight by its answer.
    pub(crate) fn complete(&mut self, now: Instant, mut dispatched: Dispatched<T>, answer: Answer<T, S::Error>) {
        let latency = now.saturating_duration_since(dispatched.started);
        self.schedule.answered(dispatched.count, latency, matches!(answer, Answer::Failed(_)));
        self.reporter.paced(self.schedule.interval(), self.schedule.full().items);
        self.reporter.flushed(Flushed { at: now, latency, items: dispatched.count, reason: dispatched.reason });
        let batch = dispatched.batch;
        match answer {
            Answer::Partly(failures) => self.complete_partly(now, &mut dispatched, failures),
            Answer::Failed(error) => self.complete_failed(now, &mut dispatched, error),
        }
        if let Some(keyed) = &mut *self.keyed {
            dispatched.keys.drain(..).for_each(|key| keyed.order.settle(key));
            if let Some(then) = dispatched.then.take() {
                self.ready.push_front(*then);
            }
        }
        self.settled(batch);
    }

    /// The flush delivered all but these. Items beyond the size of the batch cannot be ours: they go back uncounted.
    fn complete_partly(&mut self, now: Instant, dispatched: &mut Dispatched<T>, failures: Failures<T, S::Error>) {
        let delivered = dispatched.count.saturating_sub(failures.items.len());
        self.reporter.delivered(delivered);
        self.totals.delivered += delivered as u64;
        if failures.items.is_empty() {
            return;
        }
        let said = failures.verdicts.iter().zip(&*failures.errors);
        let mut verdicts: Vec<_> = said.map(|(verdict, error)| (self.verdict(*verdict, error), None)).collect();
        let delay = dispatched.retries.draw();
        for (verdict, wait) in verdicts.iter_mut().take(dispatched.count) {
            *wait = delay.and_then(|delay| Some(delay.max(verdict.wait()?)));
        }
        let keys = match &*self.keyed {
            Some(keyed) => keyed.claim(&mut dispatched.keys, &failures.items),
            None => Vec::new(),
        };
        wait_together(&keys, &mut verdicts);
        let (mut again, mut over) = (BTreeMap::<_, Part<T>>::new(), Vec::new());
        let mut failed = 0;
        let failures = failures.items.release().into_iter().zip(failures.errors.release());
        for (number, ((item, error), (verdict, wait))) in failures.zip(verdicts).enumerate() {
            let key = keys.get(number);
            if let Some(wait) = wait {
                let part = again.entry(wait).or_default();
                part.items.push(item);
                part.keys.extend(key);
                discard([error]);
            } else {
                failed += usize::from(number < dispatched.count);
                dispatched.keys.extend(key);
                over.push((Careful::new(vec![item]), FlushError::Item(error).judged(verdict).into()));
            }
        }
        for (wait, attempt) in dispatched.again(again) {
            self.put_off(now, wait, attempt);
        }
        self.count_failed(failed);
        over.into_iter().for_each(|(items, error)| self.tell_failed(items, error));
    }

    fn complete_failed(&mut self, now: Instant, dispatched: &mut Dispatched<T>, error: Failure<S::Error>) {
        let (count, copy) = (dispatched.count, dispatched.copy.take());
        let verdict = match &*error {
            Some(FlushError::Batch(error)) => self.verdict(None, error),
            _ => Verdict::Retry,
        };
        match self.policy.judge(copy.unwrap_or_default(), verdict, dispatched) {
            Fate::Again(wait, attempt) => self.put_off(now, wait, attempt),
            Fate::Halves(Duration::ZERO, left, right) => {
                self.unsettle(&left);
                self.unsettle(&right);
                self.ready.push_front(right);
                self.ready.push_front(left);
            }
            Fate::Halves(wait, left, right) => {
                self.put_off(now, wait, left);
                self.put_off(now, wait, right);
            }
            Fate::InTurn(wait, left) => {
                // The half that waits for it.
                self.unsettle(&left);
                self.put_off(now, wait, left);
            }
            Fate::Over(items) => {
                self.count_failed(count);
                self.tell_failed(items, Careful::new(error.release().map(|error| error.judged(verdict))));
            }
        }
    }

    fn put_off(&mut self, now: Instant, wait: Duration, attempt: Attempt<T>) {
        self.unsettle(&attempt);
        // A wait that the clock cannot express is for ever, which a drain or the end of the worker cuts short.
        let due = now.checked_add(wait).unwrap_or(now + Duration::from_secs(86_400 * 365));
        self.retries.push((due, attempt));
    }

    /// What counts of what is said with an error, and about it.
    fn verdict(&mut self, said: Option<Verdict>, error: &S::Error) -> Verdict {
        let judge = &mut *self.judge;
        let judged = || judge.as_mut().and_then(|judge| guarded(|| judge(error)));
        said.or_else(judged).unwrap_or_default().capped(self.policy.retry_after_cap)
    }

    fn unsettle(&mut self, attempt: &Attempt<T>) {
        *self.unsettled.entry(attempt.batch).or_default() += 1;
    }

    pub(crate) fn settled(&mut self, batch: u64) {
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
        let aside = self.evacuate_aside();
        self.count_failed(aside.len());
        items.extend(aside);
        let queued = self.receiver.evacuate(DropReason::Failed);
        self.totals.failed += queued.len() as u64;
        items.extend(queued);
        self.tell_failed(items, FlushError::Unavailable(error).into());
    }

    /// The deadline of the drain has passed: stops what is in flight and takes out what can be handed back.
    pub(crate) fn abandon(&mut self) -> Remains<T> {
        self.in_flight.abort();
        let mut remains = self.remains(DropReason::DrainDeadline);
        self.unsettled.clear();
        remains.items.extend(self.receiver.evacuate(DropReason::DrainDeadline));
        remains
    }

    /// Everything is over: tells those who wait for the drain, those who will ask later, and the hook what nobody waits for.
    pub(crate) fn end(&mut self, now: Instant, remains: Remains<T>) {
        let ending = Ending { still_running: self.in_flight.running(), ..remains.ending() };
        let _ = self.ending.set(ending);
        self.drains.report(now, self.totals, remains.items.release(), ending, &self.on_drop);
    }

    fn count_failed(&mut self, items: usize) {
        self.reporter.lost(DropReason::Failed, items);
        self.totals.failed += items as u64;
    }

    fn tell_failed(&mut self, items: Careful<Vec<T>>, error: Failure<S::Error>) {
        let Some(on_failed) = &mut *self.on_failed else { return };
        let Some(error) = error.release() else { return };
        guarded(|| on_failed(items.release(), error));
    }
}

impl<T, S: Service<Vec<T>>, H: Home> Worker<T, S, H> {
    /// Attempts that are not in flight, and those that wait for these, oldest first.
    fn unstarted(&mut self) -> Vec<Attempt<T>> {
        let retries = self.retries.drain(..).map(|(_, attempt)| attempt);
        let mut attempts = Vec::from_iter(self.ready.drain(..).chain(retries).flat_map(Attempt::unchained));
        attempts.sort_by_key(|attempt| (attempt.batch, attempt.offset));
        attempts
    }

    /// Takes out what is set aside because of its key.
    fn evacuate_aside(&mut self) -> Vec<T> {
        self.keyed.as_mut().map(|keyed| keyed.order.evacuate()).unwrap_or_default()
    }

    /// Takes everything out that left the buffer and has no fate, and counts it as lost for `reason`.
    pub(crate) fn remains(&mut self, reason: DropReason) -> Remains<T> {
        let mut unstarted = self.unstarted();
        let mut parts = Vec::new();
        for mut it in self.in_flight.forget() {
            unstarted.extend(it.then.take().into_iter().flat_map(|then| then.unchained()));
            parts.push((it.batch, it.offset, it.count, it.copy));
        }
        parts.extend(unstarted.into_iter().map(|it| (it.batch, it.offset, it.items.len(), Some(it.items))));
        parts.sort_by_key(|&(batch, offset, ..)| (batch, offset));
        let mut remains = Remains::default();
        for (_, _, count, items) in parts {
            self.reporter.lost(reason, count);
            match items {
                Some(items) => remains.items.extend(items.release()),
                None => remains.unanswered += count,
            }
        }
        let aside = self.evacuate_aside();
        self.reporter.lost(reason, aside.len());
        remains.items.extend(aside);
        remains
    }
}
