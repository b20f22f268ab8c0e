//! The worker: one task that drives the decisions and makes none itself.
//!
//! Each turn looks at everything that may have happened (orders, answers, retries that are due, deadlines), then starts what
//! can be started, and only then waits: for an order, an answer, the flush target's readiness, as many items as make a
//! batch, or the next point in time. It never waits for one of them alone.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use backpressure_channel::{Backlog, Receiver};
use backpressure_core::{DropReason, FlushReason, Reporter};
use backpressure_rt::{Timer, now};
use futures_channel::mpsc;
use tower_service::Service;

use crate::answer::Answer;
use crate::attempt::{Attempt, Policy};
use crate::barrier::{Barriers, Progress};
use crate::careful::{Careful, guarded};
use crate::command::{Command, STOPPING};
use crate::does::Does;
use crate::drain::{Drains, Ending, Totals, lose};
use crate::halves::Part;
use crate::home::{Home, Spawns};
use crate::hooks::OnDrop;
use crate::in_flight::InFlight;
use crate::keyed::Keyed;
use crate::outcome::FlushOutcome;
use crate::remains::Remains;
use crate::schedule::{Depth, Next, Schedule};

/// Turns before the worker lets other tasks run.
const TURNS: usize = 32;

pub(crate) struct Worker<T, S: Service<Vec<T>>, H: Home> {
    pub(crate) receiver: Receiver<T>,
    pub(crate) inbox: mpsc::UnboundedReceiver<Command<T>>,
    /// `None` once it failed to become ready.
    pub(crate) service: Careful<Option<S>>,
    pub(crate) schedule: Schedule,
    pub(crate) policy: Policy<T>,
    /// Where the order is kept by key.
    pub(crate) keyed: Careful<Option<Box<Keyed<T>>>>,
    pub(crate) reporter: Reporter,
    pub(crate) concurrency: usize,
    pub(crate) on_drop: Careful<Option<OnDrop<T>>>,
    pub(crate) judge: Careful<Option<H::Judge<S::Error>>>,
    pub(crate) on_failed: Careful<Option<H::OnFailed<T, S::Error>>>,
    pub(crate) in_flight: InFlight<T, S::Error>,
    /// Attempts to be started before anything new is taken, in order.
    pub(crate) ready: VecDeque<Attempt<T>>,
    /// Attempts that wait for their retry.
    pub(crate) retries: Vec<(Instant, Attempt<T>)>,
    /// How many attempts each batch that is not settled has. A batch keeps its place until it is: what is out of the
    /// buffer is bounded by batch size × concurrency, and a single place keeps the order through retries.
    pub(crate) unsettled: BTreeMap<u64, usize>,
    next_batch: u64,
    pub(crate) barriers: Barriers,
    pub(crate) drains: Drains<T>,
    pub(crate) totals: Totals,
    /// What a drain abandoned, while its aborted flushes end, and how long they may take.
    leaving: Option<(Remains<T>, Instant)>,
    does: Does,
    /// How things stood at the end, for those who ask later.
    pub(crate) ending: Arc<OnceLock<Ending>>,
    timer: Timer,
}

/// How a turn ended.
enum Turn {
    Again,
    /// Nothing to do before this time, or before something wakes the worker.
    Wait(Option<Instant>),
    Over,
}

impl<T, S, H> Worker<T, S, H>
where
    T: 'static,
    S: Service<Vec<T>, Response: Into<FlushOutcome<T, S::Error>>, Error: 'static>,
    H: Spawns<T, S::Error, S::Future>,
{
    pub(crate) fn new(
        receiver: Receiver<T>,
        inbox: mpsc::UnboundedReceiver<Command<T>>,
        service: S,
        schedule: Schedule,
        policy: Policy<T>,
    ) -> Self {
        let reporter = receiver.reporter();
        reporter.start_timing(now());
        reporter.paced(schedule.interval(), schedule.full().items);
        Self {
            receiver,
            inbox,
            service: Careful::new(Some(service)),
            schedule,
            policy,
            keyed: Careful::default(),
            reporter,
            concurrency: 1,
            on_drop: Careful::default(),
            judge: Careful::default(),
            on_failed: Careful::default(),
            in_flight: InFlight::new(),
            ready: VecDeque::new(),
            retries: Vec::new(),
            unsettled: BTreeMap::new(),
            next_batch: 0,
            barriers: Barriers::default(),
            drains: Drains::new(),
            totals: Totals { delivered: 0, failed: 0 },
            leaving: None,
            does: Does::default(),
            ending: Arc::default(),
            timer: Timer::new(),
        }
    }

    pub(crate) const fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    pub(crate) fn keyed(mut self, keyed: Option<Keyed<T>>) -> Self {
        self.keyed = Careful::new(keyed.map(Box::new));
        self
    }

    pub(crate) fn hooks(mut self, on_drop: Option<OnDrop<T>>, on_failed: Option<H::OnFailed<T, S::Error>>) -> Self {
        self.on_drop = Careful::new(on_drop);
        self.on_failed = Careful::new(on_failed);
        self
    }

    pub(crate) fn judge(mut self, judge: Option<H::Judge<S::Error>>) -> Self {
        self.judge = Careful::new(judge);
        self
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        let turn = self.take_turn(cx);
        if !matches!(turn, Turn::Again) {
            let waits = self.does.stands() || !self.retries.is_empty();
            self.does.tell(&self.reporter, self.in_flight.len(), self.concurrency, waits);
        }
        turn
    }

    fn take_turn(&mut self, cx: &mut Context<'_>) -> Turn {
        let now = now();
        let flushes = self.take_orders(now, cx);
        guarded(|| self.receiver.expire());
        // The one look in this turn: after the orders, so that it sees what was accepted before somebody asked for a flush.
        let backlog = self.receiver.backlog();
        flushes.into_iter().for_each(|done| self.barriers.add(backlog.accepted, done));
        if let Some((remains, until)) = self.leaving.take() {
            return self.leave(now, remains, until, cx);
        }
        while let Poll::Ready((dispatched, answer)) = self.in_flight.poll_completed(cx) {
            self.complete(now, dispatched, answer);
        }
        self.advance_barriers(backlog.oldest);
        if self.drains.deadline().is_some_and(|deadline| deadline <= now) {
            let remains = self.abandon();
            return self.leave(now, remains, now + STOPPING, cx);
        }
        self.recall(now);
        let nothing_aside = self.keyed.as_ref().is_none_or(|keyed| keyed.order.is_empty());
        if is_exhausted(&backlog) && nothing_aside && self.unsettled.is_empty() {
            self.end(now, Remains::default());
            return Turn::Over;
        }
        self.start(now, &backlog, cx)
    }

    /// Answers those who wait for a flush and whose items all have a fate. `oldest` is the arrival number of the oldest queued item.
    fn advance_barriers(&mut self, oldest: u64) {
        self.barriers.advance(Progress {
            oldest,
            next_aside: self.keyed.as_ref().map_or(0, |keyed| keyed.order.next_number()),
            oldest_aside: self.keyed.as_ref().and_then(|keyed| keyed.order.oldest_number()),
            next_batch: self.next_batch,
            oldest_batch: self.unsettled.first_key_value().map(|(&batch, _)| batch),
        });
    }

    /// Waits until the flushes that were aborted are gone, but not for long: one that blocks its thread cannot be stopped.
    fn leave(&mut self, now: Instant, remains: Remains<T>, until: Instant, cx: &mut Context<'_>) -> Turn {
        if self.in_flight.poll_stopped(cx).is_pending() && now < until {
            self.leaving = Some((remains, until));
            return Turn::Wait(Some(until));
        }
        self.end(now, remains);
        Turn::Over
    }

    /// Moves the retries that are due to those that are ready. What one flush left behind goes together if it can.
    fn recall(&mut self, now: Instant) {
        let (due, later): (Vec<_>, Vec<_>) = mem::take(&mut self.retries).into_iter().partition(|(due, _)| *due <= now);
        self.retries = later;
        for (_, mut attempt) in due {
            if self.ready.iter_mut().any(|ready| ready.join(&mut attempt)) {
                self.settled(attempt.batch);
            } else {
                self.ready.push_back(attempt);
            }
        }
    }

    /// Starts a flush if there is one to start and a place for it.
    fn start(&mut self, now: Instant, backlog: &Backlog, cx: &mut Context<'_>) -> Turn {
        let later = self.retries.iter().map(|&(due, _)| due).chain(self.drains.deadline()).min();
        let next = self.next(now, backlog);
        let taken = self.keyed.as_ref().map_or(0, |keyed| keyed.taken);
        let busy = self.in_flight.len() >= self.concurrency
            || (self.ready.is_empty() && self.unsettled.len() >= self.concurrency);
        let idle = !busy && self.ready.is_empty();
        if let Next::Wait { demand, until } = next {
            // The first item is of interest at any time: the wait of its batch counts from its arrival.
            let listens = idle || until.is_none();
            if listens && self.receiver.poll_demand(cx, demand).is_ready() && !is_exhausted(backlog) {
                return Turn::Again;
            }
            if idle {
                return Turn::Wait(later.into_iter().chain(until).min());
            }
        }
        if busy {
            return Turn::Wait(later);
        }
        if let (true, Some(keyed)) = (self.ready.is_empty(), &mut *self.keyed) {
            if !keyed.seek(&mut self.receiver) {
                // Either there is nothing more, or there is no room for what has to wait.
                return if keyed.order.room() > 0 { Turn::Again } else { Turn::Wait(later) };
            }
        }
        let Some(service) = &mut *self.service else {
            self.give_up(None);
            return Turn::Again;
        };
        match guarded(|| service.poll_ready(cx)) {
            Some(Poll::Pending) => {
                self.does.stand();
                return Turn::Wait(later);
            }
            Some(Poll::Ready(Ok(()))) => {}
            Some(Poll::Ready(Err(error))) => {
                self.give_up(Some(error));
                return Turn::Again;
            }
            None => {
                self.give_up(None);
                return Turn::Again;
            }
        }
        let attempt = match (self.ready.pop_front(), next) {
            (Some(attempt), _) => attempt,
            (None, Next::Take(reason)) => {
                let (part, reason) = self.take(reason);
                if part.items.is_empty() {
                    // All that was to go has expired.
                    return Turn::Again;
                }
                let taken = self.keyed.as_ref().map_or(part.items.len(), |keyed| keyed.taken.wrapping_sub(taken));
                self.schedule.taken(now, backlog.items.saturating_sub(taken));
                let batch = self.next_batch;
                self.next_batch += 1;
                self.unsettled.insert(batch, 1);
                self.policy.attempt(batch, part, reason)
            }
            (None, Next::Wait { .. }) => return Turn::Again,
        };
        self.dispatch(now, attempt);
        Turn::Again
    }

    /// Takes the next batch out of the buffer.
    fn take(&mut self, reason: FlushReason) -> (Part<T>, FlushReason) {
        let full = self.schedule.full();
        let Some(keyed) = &mut *self.keyed else {
            let mut items = Vec::new();
            guarded(|| self.receiver.try_recv_many(&mut items, full.items, full.weight));
            return (Part { items: Careful::new(items), keys: Vec::new() }, reason);
        };
        let batch = keyed.fill(&mut self.receiver, full);
        let reason = if batch.items.len() < full.items { reason } else { FlushReason::Full };
        (Part { items: Careful::new(batch.items), keys: batch.keys }, reason)
    }

    fn next(&mut self, now: Instant, backlog: &Backlog) -> Next {
        if self.keyed.as_ref().is_some_and(|keyed| keyed.order.has_free()) {
            // Its turn had come when it was set aside.
            return Next::Take(FlushReason::Linger);
        }
        self.schedule.next(
            now,
            Depth {
                items: backlog.items,
                weight: backlog.weight,
                producers_wait: backlog.producers_wait,
                closed: backlog.closed,
                hurry: self.barriers.hurry(),
            },
        )
    }

    fn dispatch(&mut self, now: Instant, attempt: Attempt<T>) {
        let (items, dispatched) = self.policy.dispatch(attempt, now);
        let Some(service) = &mut *self.service else { return };
        match guarded(|| service.call(items.release())) {
            Some(flush) => self.in_flight.dispatch::<H, _>(dispatched, flush),
            None => self.complete(now, dispatched, Answer::PANICKED),
        }
    }

    /// Waits for a point in time; `true` if it has come. The timer is touched only when the worker has nothing else to do,
    /// and none is left behind when there is nothing to wait for.
    fn wait(&mut self, until: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let Some(until) = until else {
            self.timer.disarm();
            return false;
        };
        self.timer.poll(until, cx).is_ready()
    }
}

/// Whether nothing is queued and nothing will come.
const fn is_exhausted(backlog: &Backlog) -> bool {
    backlog.closed && backlog.items == 0
}

impl<T, S, H> Future for Worker<T, S, H>
where
    T: 'static,
    S: Service<Vec<T>, Response: Into<FlushOutcome<T, S::Error>>, Error: 'static>,
    H: Spawns<T, S::Error, S::Future>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        for _ in 0..TURNS {
            match this.turn(cx) {
                Turn::Over => return Poll::Ready(()),
                Turn::Wait(until) if !this.wait(until, cx) => return Poll::Pending,
                Turn::Wait(_) | Turn::Again => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T, S: Service<Vec<T>>, H: Home> Unpin for Worker<T, S, H> {}

impl<T, S: Service<Vec<T>>, H: Home> Drop for Worker<T, S, H> {
    /// After a regular end nothing is left. When the runtime drops the worker, what it holds is lost, but not silently.
    fn drop(&mut self) {
        if self.ending.get().is_some() {
            return;
        }
        guarded(|| self.receiver.close());
        let abandoned = self.leaving.take().map_or_else(Remains::default, |(remains, _)| remains);
        let mut remains = self.remains(DropReason::Closed);
        remains.items.extend(self.receiver.evacuate(DropReason::Closed));
        let ending = abandoned.ending() + remains.ending().with_the_runtime();
        let ending = Ending { still_running: self.in_flight.running(), ..ending };
        let _ = self.ending.set(ending);
        lose(remains.items.release(), DropReason::Closed, &self.on_drop);
        self.drains.report(now(), self.totals, abandoned.items.release(), ending, &self.on_drop);
    }
}

impl<T, S: Service<Vec<T>>, H: Home> fmt::Debug for Worker<T, S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("in_flight", &self.in_flight.len()).finish_non_exhaustive()
    }
}
