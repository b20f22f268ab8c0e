//! Where callers and the worker meet: everything that is under the lock, and nothing that runs anybody's code.
//!
//! One short critical section an operation. Wakers are woken and dropped, requests and answers dropped, watchers notified
//! after it: [`After`] collects what is left to do. Whether a call has its answer is decided at its place on the page, under
//! the lock of that: whoever answers it goes there first and then comes here, and so does a caller that leaves.

mod callers;
mod crowd;
mod ends;
mod handles;
mod pages;
mod turns;
mod worker;

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use backpressure_core::{BackpressureConfig, BoundedBuffer, Gauge, Moved, Recorder, Relay, Reporter, wake_all};
use slab::Slab;

use super::clock;
use super::erased::ErasedEngine;
use super::error::BatchError;
use super::lanes::Ticket;
use super::page::Page;
use super::places::Places;
use super::pledge::{Address, Pledge};
use super::shared::Shared;
use super::waiters::Waiters;
pub(super) use callers::Awaited;
use crowd::Crowd;
pub(super) use ends::Totals;
pub(super) use handles::Reserved;
use pages::{Pages, Stage};
pub(super) use turns::Turn;
use turns::Turns;
pub(super) use worker::{Appetite, Loaded, News};

/// What a call comes to.
pub(super) type Answer<Resp, E> = Result<Resp, BatchError<E>>;

#[derive(Debug)]
pub(super) struct Desk<Req, Resp, E> {
    pages: Pages<Req, Resp, E>,
    /// Calls in the inbox.
    queued: usize,
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
    crowd: Crowd,
    /// Whether the last handle has gone.
    is_abandoned: bool,
    phase: Phase<E>,
    drains: Slab<Option<Waker>>,
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

/// A call that was made.
#[derive(Debug)]
pub(super) struct Entered<Req, Resp, E> {
    pub(super) page: Arc<Page<Req, Resp, E>>,
    pub(super) call: usize,
    /// Of the waker.
    pub(super) pledge: Pledge,
    /// Whether something [follows](Desk::follow) from it.
    pub(super) is_felt: bool,
}

/// What follows from a call.
#[derive(Debug)]
#[must_use = "wakes are lost if this is not carried out"]
pub(super) struct Next {
    pub(super) after: After,
    /// The engine, if the caller is to run it, and the caller's waker, which is not stored then.
    pub(super) leads: Option<(ErasedEngine, Waker)>,
}

/// What was of a call that nobody waits for, to be dropped outside the lock.
#[derive(Debug)]
pub(super) struct Remains<Req> {
    _stage: Stage<Req>,
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
        let mut relay = Relay::new();
        if self.changed {
            relay.call(|| reporter.notify());
        }
        relay.call(|| wake_all(self.worker.into_iter().chain(self.others)));
        relay.resume();
    }
}

impl<Req, Resp, E> Desk<Req, Resp, E> {
    pub(super) fn new(config: &BackpressureConfig, places: Arc<Places>) -> Self {
        let recorder = Recorder::new(config, clock::now, true);
        Self {
            pages: Pages::new(),
            queued: 0,
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
            crowd: Crowd::default(),
            is_abandoned: false,
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
        self.is_abandoned || !matches!(self.phase, Phase::Open)
    }

    pub(super) fn refusal(&self) -> Option<BatchError<E>> {
        match &self.phase {
            Phase::Open => None,
            Phase::Draining | Phase::Over(None) => Some(BatchError::Closed),
            Phase::Over(Some(error)) => Some(BatchError::Unavailable(Arc::clone(error))),
        }
    }

    fn publish(&mut self, moved: Moved) -> bool {
        self.recorder.update(&self.queue, moved) | self.crowd.take_change()
    }
}

/// For those who call.
impl<Req, Resp, E> Desk<Req, Resp, E> {
    /// Makes a call with a reserved place, for whoever has this waker. Only if there is no [refusal](Self::refusal).
    #[inline]
    pub(super) fn enter(
        &mut self,
        ticket: Ticket<Req>,
        waker: Waker,
        shared: &Arc<Shared<Req, Resp, E>>,
    ) -> Entered<Req, Resp, E> {
        let pushed = self.queue.push(());
        debug_assert!(pushed.is_ok(), "a place is reserved");
        if shared.timed && self.since.is_none() {
            self.since = Some(clock::now());
        }
        self.inbox_weight += ticket.weight as u128;
        self.queued += 1;
        self.pending += 1;
        let address = Address::of(&waker);
        let (call, page) = self.pages.insert(ticket, waker, shared);
        let pledge = page.landings.pledge(address);
        let has_changed = self.recorder.pushed(&self.queue) | self.crowd.take_change();
        self.crowd.note_change(has_changed);
        Entered { page, call, pledge, is_felt: has_changed | self.is_wanted() | self.crowd.is_expected() }
    }

    /// Whether the worker is to be woken, if it sleeps.
    fn is_wanted(&self) -> bool {
        self.queued >= self.appetite.calls || self.inbox_weight >= self.appetite.weight as u128
    }

    /// What follows from a call that was felt.
    pub(super) fn follow(&mut self, call: usize, shared: &Arc<Shared<Req, Resp, E>>) -> Next {
        let is_wanted = self.is_wanted();
        let leads = if is_wanted { self.take_lead(call) } else { None };
        let worker = if is_wanted && leads.is_none() { self.call_worker() } else { None };
        if self.crowd.is_expected() {
            self.open_door(shared);
        }
        Next { after: After { changed: self.crowd.take_change(), worker, others: Vec::new() }, leads }
    }

    /// The worker, if it sleeps. It has to be called once only.
    fn call_worker(&mut self) -> Option<Waker> {
        self.appetite = Appetite::NONE;
        self.worker.take()
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
