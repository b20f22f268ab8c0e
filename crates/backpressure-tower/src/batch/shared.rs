//! What handles, calls and the worker share.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use backpressure_core::{DropReason, Gauge, Moved, Relay, Reporter, wake_all};

use super::desk::{Desk, Next};
use super::doors::Doors;
use super::engine::Led;
use super::erased::ErasedEngine;
use super::lanes::Ticket;
use super::layer::BatchLayer;
use super::page::Page;
use super::places::Places;
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, lock, lock_in_company};

/// A function of the user's.
pub(super) type Of<Req, T> = Arc<dyn Fn(&Req) -> T + Send + Sync>;

pub(super) struct Shared<Req, Resp, E> {
    desk: Mutex<Desk<Req, Resp, E>>,
    /// How many handles there are. One that is there keeps the count above zero, so that it can be copied without the lock.
    handles: AtomicUsize,
    pub(super) doors: Doors<Req, Resp, E>,
    pub(super) places: Arc<Places>,
    pub(super) reporter: Reporter,
    pub(super) gauge: Gauge,
    weigh: Option<Of<Req, usize>>,
    deadline: Option<Of<Req, Option<Instant>>>,
    least_time: Duration,
    /// Whether it matters when a call came.
    pub(super) timed: bool,
}

impl<Req, Resp, E> Shared<Req, Resp, E> {
    pub(super) fn new(layer: &BatchLayer<Req, Resp>) -> Self {
        let places = Arc::new(Places::new(layer.settings.buffer.capacity()));
        let desk = Desk::new(&layer.settings.buffer, Arc::clone(&places));
        let timed = layer.settings.lingers();
        Self {
            handles: AtomicUsize::new(1),
            doors: Doors::new(if timed { 0 } else { doors(layer.settings.buffer.capacity()) }),
            places,
            reporter: desk.reporter(),
            gauge: desk.gauge(),
            desk: Mutex::new(desk),
            weigh: layer.hooks.weigh.clone(),
            deadline: layer.hooks.deadline.clone(),
            least_time: layer.settings.least_time,
            timed,
        }
    }

    /// The desk, which knows of every call made so far. No user code runs under this lock, so no panic can have left anything
    /// half done.
    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, Desk<Req, Resp, E>> {
        let mut desk = lock(&self.desk);
        desk.look_outside(&self.doors);
        desk
    }

    /// The desk, which may not know of the latest calls, for whoever does not depend on that.
    #[inline]
    pub(super) fn lock_inside(&self) -> MutexGuard<'_, Desk<Req, Resp, E>> {
        lock(&self.desk)
    }

    /// The desk, for a call: it learns whether there is a crowd.
    #[inline]
    pub(super) fn lock_for_call(&self) -> MutexGuard<'_, Desk<Req, Resp, E>> {
        let (mut desk, in_company) = lock_in_company(&self.desk);
        desk.look_outside(&self.doors);
        if in_company {
            desk.expect_crowd();
        }
        desk
    }

    /// A handle is copied.
    pub(super) fn attach(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// A handle goes.
    pub(super) fn detach(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            let after = self.lock().abandon();
            after.carry_out(&self.reporter);
        }
    }

    /// Takes a place, if there is one for whoever comes first.
    #[inline]
    pub(super) fn try_take_place(&self) -> bool {
        self.doors.mine().is_some_and(|door| self.doors.try_take_place(door)) || self.places.try_take(1)
    }

    /// Gives a place back.
    pub(super) fn give_back(&self) {
        if self.places.give_back(1) {
            let after = self.lock().serve(Moved::NOTHING);
            after.carry_out(&self.reporter);
        }
    }

    /// Asks the user what is to be known of a request. A deadline is the time to be sent by.
    pub(super) fn ticket(&self, request: Req) -> Ticket<Req> {
        let weight = self.weigh.as_ref().map_or(1, |weigh| weigh(&request));
        let deadline = self.deadline.as_ref().and_then(|deadline| deadline(&request));
        let deadline = deadline.map(|deadline| deadline.checked_sub(self.least_time).unwrap_or(deadline));
        Ticket { request, weight, deadline }
    }

    /// Does what follows from a call. Answers whether the call leads from now on.
    #[inline(never)]
    pub(super) fn follow(
        self: &Arc<Self>,
        mut desk: MutexGuard<'_, Desk<Req, Resp, E>>,
        page: &Arc<Page<Req, Resp, E>>,
        call: usize,
    ) -> bool {
        let Next { after, leads } = desk.follow(call, self);
        drop(desk);
        after.carry_out(&self.reporter);
        leads.is_some_and(|(engine, waker)| self.lead(page, call, engine, waker))
    }

    /// Runs the engine for a call that has just been made. Answers whether the call leads from now on.
    fn lead(&self, page: &Arc<Page<Req, Resp, E>>, call: usize, mut engine: ErasedEngine, waker: Waker) -> bool {
        let led = engine.lead(&mut Context::from_waker(&waker));
        let mut desk = self.lock();
        let unused = desk.register(page, call, waker);
        let (after, refused) = desk.end_lead(call, engine, led, true);
        drop(desk);
        drop((unused, refused));
        after.carry_out(&self.reporter);
        led == Led::InFlight
    }

    /// Runs the engine for the calls at a door, of which this was the last. Callers are woken once the next may run it.
    #[inline(never)]
    pub(super) fn lead_crowd(self: &Arc<Self>, door: usize, page: &Arc<Page<Req, Resp, E>>, call: usize) {
        let taken = self.lock_inside().take_crowd_lead(door, page, call, self);
        let Some((mut engine, waker)) = taken else { return };
        let mut wakers = Vec::new();
        let done = engine.lead_crowd(&mut Context::from_waker(&waker), &mut wakers);
        let mut desk = self.lock_inside();
        let unused = desk.register(page, call, waker);
        let (after, refused) = desk.end_crowd_lead(engine, done, self);
        drop(desk);
        drop((unused, refused));
        let mut relay = Relay::new();
        relay.call(|| after.carry_out(&self.reporter));
        relay.call(|| wake_all(wakers));
        relay.resume();
    }

    /// Runs the engine for a call, if that leads. Answers whether it still does.
    pub(super) fn lead_on(&self, call: usize, cx: &mut Context<'_>) -> bool {
        let Some(mut engine) = self.lock().lead_on(call) else { return false };
        let led = engine.lead(cx);
        let (after, refused) = self.lock().end_lead(call, engine, led, false);
        drop(refused);
        after.carry_out(&self.reporter);
        led == Led::InFlight
    }

    /// Answers every call that still waits.
    pub(super) fn end(&self, error: Option<Arc<E>>, reason: DropReason) {
        let mut remains = Vec::new();
        let mut desk = self.lock();
        let after = desk.end(error, reason, &self.doors, &mut remains);
        drop(desk);
        after.carry_out(&self.reporter);
    }
}

/// How many doors are of use: enough for threads to have one each as a rule, if they are few. In a model it is one, or two
/// where there is room for many calls.
fn doors(capacity: usize) -> usize {
    if cfg!(backpressure_loom) {
        return if capacity < 32 { 1 } else { 2 };
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    threads.saturating_mul(2).min(8)
}

impl<Req, Resp, E> fmt::Debug for Shared<Req, Resp, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("gauge", &self.gauge).finish_non_exhaustive()
    }
}
