//! How an engine is run: by its worker, by a caller that is alone, or by one that does so for its shard.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backpressure_core::{DropReason, FlushReason};
use backpressure_rt::{discard, now};

use super::engine::{Engine, Joining, Step};
use super::gather::Gather;
use crate::batch::answers::AnswersBatches;
use crate::batch::error::BatchError;
use crate::batch::exchange::{Alone, CallOf, Effects, Exchange, Outlook, Run, RunAs, Threshold, WhenAlone};
use crate::batch::plan::{Batch, Linger, QueuedCall};

/// Steps in one poll. After them other tasks have their turn.
const MAX_STEPS: usize = 64;

/// Calls that are sent alone are timed at least this often while they come.
const RESOLUTION: Duration = Duration::from_millis(10);

impl<S, Req, Resp> Run<Exchange<Req, Resp, S::Error>, Req, Resp, S::Error> for Engine<S, Req, Resp>
where
    S: AnswersBatches<Req, Resp>,
{
    fn work(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..MAX_STEPS {
            self.is_refused = false;
            let is_idle = match self.step(RunAs::Worker, cx) {
                Step::Again => continue,
                Step::Yield => break,
                Step::Over => return Poll::Ready(()),
                Step::Idle => true,
                Step::Busy => false,
            };
            self.tell_activity();
            if self.park(is_idle, cx) {
                self.in_flight.register(cx);
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn run_alone(
        &mut self,
        call: &CallOf<Req, Resp, S::Error>,
        queued: QueuedCall<Req>,
        cx: &mut Context<'_>,
    ) -> Alone<Req, Resp, S::Error> {
        let now = self.time_alone(queued.deadline.is_some());
        if now.is_some_and(|now| queued.is_expired(now)) {
            discard(queued);
            return Alone::Answered(Err(BatchError::DeadlineExceeded), Some(DropReason::Expired));
        }
        match self.inner.poll_ready(cx) {
            Ok(Poll::Pending) => return Alone::NotReady(queued),
            Ok(Poll::Ready(Err(error))) => {
                self.exchange.end(Some(Arc::new(error)), DropReason::Failed);
                return Alone::Over;
            }
            Ok(Poll::Ready(Ok(()))) | Err(_) => {}
        }
        let usual = if self.linger == Linger::Never { FlushReason::Linger } else { FlushReason::Flush };
        let reason = self.fullness(1, queued.weight as u128).unwrap_or(usual);
        let mut calls = mem::take(&mut self.spare);
        calls.push(call.number);
        self.send(Batch::new(calls, vec![queued.request], reason, now));
        self.outcome_alone(cx)
    }

    fn run_on(&mut self, cx: &mut Context<'_>) -> Alone<Req, Resp, S::Error> {
        if self.complete_next() {
            self.in_flight.unregister();
        }
        self.outcome_alone(cx)
    }

    fn run_shard(&mut self, cx: &mut Context<'_>, effects: &mut Effects) -> bool {
        let is_done = self.gather == Gather::Inbox && self.run_inbox(cx);
        mem::swap(effects, &mut self.effects);
        is_done
    }
}

impl<S: AnswersBatches<Req, Resp>, Req, Resp> Engine<S, Req, Resp> {
    /// The time, for a call that is sent alone; `None` if it need not be timed, as those before it have come and gone in no time.
    fn time_alone(&mut self, has_deadline: bool) -> Option<Instant> {
        self.lone.count(1);
        if !self.lone.is_due() && !has_deadline && !self.tuning.learns() {
            return None;
        }
        let now = now();
        self.lone.sampled(now, RESOLUTION);
        Some(now)
    }

    /// What became of the only call there is.
    fn outcome_alone(&mut self, cx: &mut Context<'_>) -> Alone<Req, Resp, S::Error> {
        if let Some((_, answer)) = self.answers.pop() {
            return Alone::Answered(answer, None);
        }
        self.in_flight.register(cx);
        Alone::InFlight
    }

    /// Sends all that is in the inbox. False if something is left to do.
    fn run_inbox(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..MAX_STEPS {
            let is_empty = match self.step(RunAs::Shard, cx) {
                Step::Again => self.updates.queued.0 == 0 && self.in_flight.is_empty() && !self.inner.is_asked(),
                Step::Idle if self.in_flight.is_empty() => true,
                Step::Idle | Step::Busy | Step::Yield | Step::Over => return false,
            };
            if is_empty && !self.batches.has_waiting() {
                return true;
            }
        }
        false
    }

    /// Does one thing of what there is to do: answers a batch, or sends one.
    fn step(&mut self, run_as: RunAs, cx: &mut Context<'_>) -> Step {
        let now = now();
        if !self.update(now, run_as) {
            return Step::Over;
        }
        if self.complete_next() {
            self.deliver(None, run_as);
            return Step::Again;
        }
        while let Some(number) = self.lanes.remove_expired(now) {
            self.answers.push((number, Err(BatchError::DeadlineExceeded)));
        }
        self.deliver(Some(DropReason::Expired), run_as);
        self.dispatch(now, run_as, cx)
    }

    /// Polls what is in flight and was woken, until a batch comes back. Whether one did.
    fn complete_next(&mut self) -> bool {
        let Some((key, outcome)) = self.in_flight.poll_next() else { return false };
        if let Some(batch) = self.batches.remove(key) {
            self.complete(batch, outcome);
        }
        true
    }

    /// Learns of calls that came and callers that went. False if everything is over.
    fn update(&mut self, now: Instant, run_as: RunAs) -> bool {
        self.settle_gather();
        let mut state = self.exchange.lock_uncollected();
        // A caller is about to be done with it, and leaves that to the worker.
        if run_as == RunAs::Worker {
            state.collect_shards_as_worker(&self.exchange);
            if let Some(config) = state.take_config() {
                drop(state);
                self.adopt(&config, now);
                state = self.exchange.lock_uncollected();
            }
        }
        let is_changed = state.update(&mut self.updates, self.gather != Gather::Inbox);
        drop(state);
        if is_changed {
            self.exchange.reporter.notify();
        }
        if self.updates.outlook == Outlook::Over {
            return false;
        }
        // Before the arrivals, which may have numbers that are free since.
        while let Some(number) = self.updates.gone.pop() {
            if self.lanes.remove(number).map(discard).is_some() {
                continue;
            }
            if let Some((key, batch)) = self.batches.cancel(number) {
                discard(batch);
                if self.in_flight.abort(key) {
                    self.tuning.returned(now, None, self.in_flight.len());
                    self.tell_activity();
                }
            }
        }
        let since = self.updates.since.unwrap_or(now);
        for (number, call) in self.updates.arrivals.drain(..) {
            if !self.lanes.push(number, call, since, now) {
                self.answers.push((number, Err(BatchError::Panicked)));
            }
        }
        if self.updates.outlook == Outlook::Ending {
            self.lanes.end();
        }
        self.deliver(Some(DropReason::Failed), run_as);
        true
    }

    /// Waits for something to happen. False if it has happened already.
    fn park(&mut self, is_idle: bool, cx: &mut Context<'_>) -> bool {
        let threshold = match (is_idle, self.gather) {
            (true, Gather::LanesAtOnce) => Threshold::ANY,
            (true, Gather::Inbox | Gather::Lanes) => {
                let (calls, weight) = self.lanes.room();
                Threshold { calls, weight }
            }
            (false, _) if self.exchange.settings.hooks.inspector.deadline.is_some() => Threshold::ANY,
            (false, _) => Threshold::NEVER,
        };
        let is_lone = self.joining == Joining::Unlikely && self.in_flight.is_empty() && self.is_eager();
        let alone = if is_idle && is_lone { WhenAlone::Run } else { WhenAlone::WakeWorker };
        let mut waker = Some(cx.waker().clone());
        let parked = self.exchange.lock().park(threshold, alone, self.updates.outlook, &mut waker);
        drop(waker);
        if !parked {
            return false;
        }
        match self.lanes.poll_timeout() {
            None => self.timer.disarm(),
            Some(deadline) if self.timer.poll(deadline, cx).is_ready() => return false,
            Some(_) => {}
        }
        true
    }
}
