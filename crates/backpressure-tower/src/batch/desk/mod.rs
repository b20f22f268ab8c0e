//! Where callers and the worker meet: everything that is under the lock, and nothing that runs anybody's code.
//!
//! One short critical section an operation. Wakers are woken and dropped, requests and answers dropped, watchers notified
//! after it: [`After`] collects what is left to do.

mod callers;
mod ends;
mod turns;
mod worker;

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use backpressure_core::{BackpressureConfig, BoundedBuffer, Gauge, Moved, Recorder, Reporter, Tag};
use slab::Slab;

use super::clock;
use super::erased::ErasedEngine;
use super::error::BatchError;
use super::lanes::Ticket;
use super::links::Line;
use super::places::Places;
use super::waiters::Waiters;
pub(super) use ends::Totals;
pub(super) use turns::Turn;
use turns::Turns;
pub(super) use worker::{Appetite, News};

/// What a call comes to.
pub(super) type Answer<Resp, E> = Result<Resp, BatchError<E>>;

#[derive(Debug)]
pub(super) struct Desk<Req, Resp, E> {
    calls: Slab<Call<Req, Resp, E>>,
    /// Calls that the worker has not seen, in the order in which they came.
    inbox: Line,
    /// Wide enough for the sum of any weights.
    inbox_weight: u128,
    /// When the first call in the inbox came, if that matters.
    since: Option<Instant>,
    /// Calls that the worker has seen and whose callers are gone.
    gone: Vec<usize>,
    /// Calls whose callers wait for an answer.
    pending: usize,
    totals: Totals,
    /// Calls that have not left for the inner service.
    queue: BoundedBuffer<()>,
    /// A place for each of them, and for those that are to be made.
    places: Arc<Places>,
    recorder: Recorder,
    reporter: Reporter,
    waiters: Waiters,
    /// The worker, while it has nothing to do, and what it waits for.
    worker: Option<Waker>,
    appetite: Appetite,
    turns: Turns,
    handles: usize,
    phase: Phase<E>,
    drains: Slab<Option<Waker>>,
}

#[derive(Debug)]
struct Call<Req, Resp, E> {
    stage: Stage<Req, Resp, E>,
    waker: Option<Waker>,
}

#[derive(Debug)]
enum Stage<Req, Resp, E> {
    /// In the inbox.
    Queued(Ticket<Req>),
    /// The worker has the request, and holds its place.
    Seen,
    /// In a batch that has left, its place free.
    Sent,
    Done(Answer<Resp, E>),
    /// The caller is gone; the worker does not know yet.
    Gone,
}

#[derive(Debug)]
enum Phase<E> {
    Open,
    /// Takes nothing more in.
    Draining,
    /// Every call has its answer.
    Over(Option<Arc<E>>),
}

/// What is left to do once the lock is released.
#[derive(Debug, Default)]
#[must_use = "wakes are lost if this is not carried out"]
pub(super) struct After {
    changed: bool,
    worker: Option<Waker>,
    others: Vec<Waker>,
}

/// How an attempt to get a place went.
#[derive(Debug)]
pub(super) enum Reserved<E> {
    Ready,
    /// Try again with a waker.
    NeedsWaker,
    /// In line under this key, and what is to be dropped outside the lock.
    Waiting {
        key: usize,
        _replaced: Option<Waker>,
    },
    Refused(BatchError<E>),
}

/// A call that was made.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) call: usize,
    pub(super) after: After,
    /// The engine, if the caller is to run it, and its waker, which is not stored then.
    pub(super) leads: Option<(ErasedEngine, Waker)>,
}

/// A call that was not made, and what is to be dropped outside the lock.
#[derive(Debug)]
pub(super) struct Refused<Req, E> {
    pub(super) error: BatchError<E>,
    _ticket: Ticket<Req>,
    _waker: Waker,
}

/// What was of a call that nobody waits for, to be dropped outside the lock.
#[derive(Debug)]
pub(super) struct Remains<Req, Resp, E> {
    _stage: Stage<Req, Resp, E>,
    _waker: Option<Waker>,
}

impl After {
    /// Wakes and notifies. Never under the lock.
    #[inline]
    pub(super) fn carry_out(self, reporter: &Reporter) {
        if self.changed || self.worker.is_some() || !self.others.is_empty() {
            self.carry_out_all(reporter);
        }
    }

    #[inline(never)]
    fn carry_out_all(self, reporter: &Reporter) {
        if self.changed {
            reporter.notify();
        }
        self.worker.into_iter().chain(self.others).for_each(Waker::wake);
    }
}

impl<Req, Resp, E> Desk<Req, Resp, E> {
    pub(super) fn new(config: &BackpressureConfig, places: Arc<Places>) -> Self {
        let recorder = Recorder::new(config, clock::now, true);
        Self {
            calls: Slab::new(),
            inbox: Line::default(),
            inbox_weight: 0,
            since: None,
            gone: Vec::new(),
            pending: 0,
            totals: Totals::default(),
            queue: BoundedBuffer::new(config),
            places,
            reporter: recorder.reporter(),
            recorder,
            waiters: Waiters::default(),
            worker: None,
            appetite: Appetite::NONE,
            turns: Turns::default(),
            handles: 1,
            phase: Phase::Open,
            drains: Slab::new(),
        }
    }

    pub(super) fn gauge(&self) -> Gauge {
        self.recorder.gauge()
    }

    pub(super) fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// Whether nothing follows.
    fn is_ending(&self) -> bool {
        self.handles == 0 || !matches!(self.phase, Phase::Open)
    }

    fn refusal(&self) -> Option<BatchError<E>> {
        match &self.phase {
            Phase::Open => None,
            Phase::Draining | Phase::Over(None) => Some(BatchError::Closed),
            Phase::Over(Some(error)) => Some(BatchError::Unavailable(Arc::clone(error))),
        }
    }

    fn publish(&mut self, moved: Moved) -> bool {
        self.recorder.update(&self.queue, moved)
    }
}

/// For handles.
impl<Req, Resp, E> Desk<Req, Resp, E> {
    pub(super) fn attach(&mut self) {
        self.handles += 1;
    }

    /// A handle goes. After the last one nothing follows.
    pub(super) fn detach(&mut self) -> After {
        self.handles -= 1;
        let worker = if self.handles == 0 { self.worker.take() } else { None };
        After { worker, ..After::default() }
    }

    /// Reserves a place, at once or as one of those in line. `key` is that of an earlier attempt.
    pub(super) fn reserve(&mut self, key: Option<usize>, waker: Option<Waker>, current: &Waker) -> Reserved<E> {
        if let Some(refusal) = self.refusal() {
            return Reserved::Refused(refusal);
        }
        match (key, waker) {
            (Some(key), _) if self.waiters.has_place(key) => {
                self.waiters.leave(key);
                Reserved::Ready
            }
            (Some(key), None) if self.waiters.has_waker(key, current) => Reserved::Waiting { key, _replaced: None },
            (Some(key), Some(waker)) => Reserved::Waiting { key, _replaced: self.waiters.refresh(key, waker) },
            (None, Some(waker)) => self.stand_in_line(waker),
            (_, None) => Reserved::NeedsWaker,
        }
    }

    fn stand_in_line(&mut self, waker: Waker) -> Reserved<E> {
        self.places.open_line();
        if self.waiters.is_empty() && self.places.take_in_line() {
            self.places.close_line();
            return Reserved::Ready;
        }
        Reserved::Waiting { key: self.waiters.join(waker), _replaced: None }
    }

    /// Leaves the line. A place already given goes to the next.
    pub(super) fn leave(&mut self, key: usize) -> (After, Option<Waker>) {
        let (has_place, waker) = self.waiters.leave(key);
        self.places.give_back(usize::from(has_place));
        (self.serve(Moved::NOTHING), waker)
    }

    /// Makes a call with a reserved place, for whoever has this waker. `timed` if the time of its arrival matters.
    #[inline]
    pub(super) fn enter(&mut self, ticket: Ticket<Req>, timed: bool, waker: Waker) -> Result<Entered, Refused<Req, E>> {
        if let Some(refusal) = self.refusal() {
            return Err(Refused { error: refusal, _ticket: ticket, _waker: waker });
        }
        let offer = self.queue.offer((), Tag::default());
        debug_assert!(offer.is_accepted(), "a place is reserved");
        if timed && self.since.is_none() {
            self.since = Some(clock::now());
        }
        self.inbox_weight += ticket.weight as u128;
        self.pending += 1;
        let call = self.calls.insert(Call { stage: Stage::Queued(ticket), waker: Some(waker) });
        self.inbox.push(call);
        let is_wanted = self.inbox.len() >= self.appetite.calls || self.inbox_weight >= self.appetite.weight as u128;
        let leads = if is_wanted { self.take_lead(call) } else { None };
        let worker = if is_wanted && leads.is_none() { self.worker.take() } else { None };
        let changed = self.publish(Moved::NOTHING);
        Ok(Entered { call, after: After { changed, worker, others: Vec::new() }, leads })
    }

    /// Serves those in line while there is room, and publishes the books.
    pub(super) fn serve(&mut self, moved: Moved) -> After {
        let mut others = Vec::new();
        while !self.waiters.is_empty() && self.places.take_in_line() {
            others.extend(self.waiters.serve());
        }
        if self.waiters.is_empty() && matches!(self.phase, Phase::Open) {
            self.places.close_line();
        }
        After { changed: self.publish(moved), worker: None, others }
    }

    /// So many calls are in the queue no more.
    fn vacate(&mut self, calls: usize, moved: Moved) -> After {
        self.queue.pop_many(&mut Vec::new(), calls, usize::MAX);
        if self.places.give_back(calls) {
            return self.serve(moved);
        }
        After { changed: self.publish(moved), ..After::default() }
    }
}
