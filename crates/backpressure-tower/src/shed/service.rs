//! The shed service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use backpressure_core::{Changed, Gauge, State};
use tower_service::Service;

use super::classify::{Class, Classify};
use super::future::{Parked, ShedFuture, Stage};
use super::gate::{Decision, Gate};
use super::respond::Responder;
use super::until::Until;
use super::{Plain, ShedHandle};
use crate::limiter::{Deadline, Entry, Listener, Permit, QueuedCall, Readiness};

/// A service under a [`ShedLayer`](super::ShedLayer).
///
/// `poll_ready` is the readiness of the inner service, and never says that a call will be shed: that is decided by `call`,
/// which calls the inner service that was ready, or answers without it. While what is watched is so pressed that calls are
/// shed, the inner service is not even asked, so that nobody waits in front of a part that is full; the few calls that
/// pass all the same wait until it is ready.
///
/// Where calls [wait](super::ShedLayerBuilder::wait) it is pending until there is a slot, too. A service that is dropped
/// ready gives the slot back, and so does one that is not called for a second or two while others wait, or before the layer
/// drains. A clone has none.
pub struct Shed<S, C = Plain, R = Plain> {
    pub(crate) inner: S,
    gate: Arc<Gate>,
    classify: C,
    respond: R,
    /// What it has waited for, if calls wait.
    slot: Option<Readiness>,
    turn: Turn,
    /// Its number among those that hold slots; 0 before it has one.
    holder: u64,
    /// Whether a slot that it did not use, or did not come for, was taken back: it takes its slots at the call now.
    hoards: bool,
    /// Whether it is ready without a slot.
    is_unheld: bool,
    /// Whether the inner service was passed over when this one was asked whether it is ready.
    is_unasked: bool,
}

/// What a service that has no slot waits for.
#[derive(Debug, Default)]
enum Turn {
    #[default]
    Nothing,
    /// For what is watched to change, or for the handle to change what is made of it.
    Held(Option<Changed>, Listener),
    /// For a slot.
    Queued(QueuedCall),
}

impl<S, C, R> Shed<S, C, R> {
    pub(super) const fn new(inner: S, gate: Arc<Gate>, classify: C, respond: R) -> Self {
        Self {
            inner,
            gate,
            classify,
            respond,
            slot: None,
            turn: Turn::Nothing,
            holder: 0,
            hoards: false,
            is_unheld: false,
            is_unasked: false,
        }
    }

    /// A handle on what this service shares with all others of its layer.
    pub fn handle(&self) -> ShedHandle {
        ShedHandle::of(Arc::clone(&self.gate))
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service. Calling it directly is outside of the limit.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Ready once the service has a slot, or needs none.
    #[inline(never)]
    fn poll_slot(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_first = self.slot.is_none() && matches!(self.turn, Turn::Nothing) && !self.hoards;
        if is_first && self.gate.watch.is_idle() && !self.gate.is_shadow() {
            if let Some(permit) = self.gate.limiter.admit_plainly() {
                self.hold(permit);
                return Poll::Ready(());
            }
        }
        self.poll_turn(cx)
    }

    /// Keeps the slot for the next call; one that hoards only had to wait until there is one.
    fn hold(&mut self, permit: Permit) {
        self.is_unheld = self.hoards;
        if self.hoards {
            return;
        }
        if self.holder == 0 {
            self.holder = self.gate.limiter.holder();
        }
        self.slot = Readiness::new(permit, self.holder);
        // As many hold slots as may, or the layer drains.
        self.is_unheld = self.slot.is_none();
    }

    fn let_go(&mut self) {
        (self.slot, self.turn, self.is_unheld) = (None, Turn::Nothing, false);
    }

    /// Waits until nothing that is watched holds calls back, and then for a slot.
    #[inline(never)]
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.gate.is_shadow() || self.gate.limiter.state() == State::Draining {
                self.let_go();
                return Poll::Ready(());
            }
            if self.gate.watch.holds_back() {
                (self.slot, self.is_unheld) = (None, false);
                if self.poll_held(cx).is_ready() {
                    continue;
                }
                if self.gate.watch.holds_back() {
                    return Poll::Pending;
                }
            }
            if self.slot.take_if(|slot| !slot.is_held()).is_some() {
                self.hoards = true;
            }
            if self.slot.is_some() || self.is_unheld {
                return Poll::Ready(());
            }
            if let Turn::Queued(ticket) = &mut self.turn {
                let admitted = ready!(ticket.poll_admitted(cx));
                self.turn = Turn::Nothing;
                match admitted {
                    Ok(permit) => self.hold(permit),
                    // It was served a slot and did not come for it, unless the layer drains.
                    Err(_) => self.hoards = true,
                }
                continue;
            }
            if self.hoards && self.gate.limiter.has_room() {
                self.is_unheld = true;
                return Poll::Ready(());
            }
            self.turn = match self.gate.limiter.wait_by(cx) {
                Ok(Entry::Queued(ticket)) => Turn::Queued(ticket),
                Ok(Entry::Admitted(permit)) => {
                    self.hold(permit);
                    Turn::Nothing
                }
                Err(_) => Turn::Nothing,
            };
            if matches!(self.turn, Turn::Queued(_)) {
                return Poll::Pending;
            }
        }
    }

    /// Ready when what is watched has changed. A change of what is made of it only wakes: look again after this.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let watch = &self.gate.watch;
        if !matches!(self.turn, Turn::Held(..)) {
            self.turn = Turn::Held(watch.gauge().map(Gauge::changed), watch.edited.listen());
        }
        let Turn::Held(changed, listener) = &mut self.turn else { return Poll::Pending };
        listener.register(cx.waker());
        if let Some(changed) = changed {
            ready!(Pin::new(changed).poll(cx));
            self.turn = Turn::Nothing;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// The call has the slot that the service waited for. If that was taken back, it waits for another one.
    #[inline]
    fn claim(&mut self, slot: Readiness, key: Option<u64>) -> Decision {
        match slot.claim() {
            Some(mut permit) => {
                permit.restart();
                self.gate.claim(permit, key)
            }
            None => {
                self.hoards = true;
                self.gate.wait(key)
            }
        }
    }

    /// A call that goes by needs no slot. If it waited for one, others need not wait for that.
    #[inline(never)]
    fn go_by(&mut self) -> Decision {
        self.let_go();
        self.gate.go_by()
    }
}

impl<S: Clone, C, R> Shed<S, C, R> {
    /// The inner service that was ready, if any was. Its clone, which stays, is not ready because it is.
    fn take_inner(&mut self) -> S {
        let clone = self.inner.clone();
        std::mem::replace(&mut self.inner, clone)
    }
}

impl<S, C, R, Req> Service<Req> for Shed<S, C, R>
where
    S: Service<Req> + Clone,
    S::Error: 'static,
    C: Classify<Req>,
    R: Responder<Req, S::Response, S::Error> + Clone,
{
    type Response = R::Response;
    type Error = R::Error;
    type Future = ShedFuture<S, Req, R>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), R::Error>> {
        self.is_unasked = !self.gate.waits && self.gate.sheds();
        if self.is_unasked {
            return Poll::Ready(Ok(()));
        }
        ready!(self.inner.poll_ready(cx)).map_err(|error| self.respond.failed(error))?;
        if self.gate.waits {
            ready!(self.poll_slot(cx));
        }
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Req) -> ShedFuture<S, Req, R> {
        let mut call = self.respond.begin(&request);
        let mut deadline = Deadline::NEVER;
        let decision = match self.classify.classify(&request) {
            Class::Bypass => self.go_by(),
            Class::Call { level, wait_timeout } => {
                let wait_timeout = wait_timeout.or_else(|| self.respond.wait_timeout(&request));
                deadline = self.gate.deadline(wait_timeout);
                let key = self.classify.key(&request);
                match self.slot.take() {
                    Some(slot) => self.claim(slot, key),
                    None if std::mem::take(&mut self.is_unheld) => self.gate.wait(key),
                    None => self.gate.decide(level, wait_timeout, key),
                }
            }
        };
        let stage = match decision {
            Decision::Go(permit) if !self.is_unasked => {
                // In this order: a call that panics frees its slot.
                let permit = Until::new(permit, deadline);
                Stage::running(self.inner.call(request), permit)
            }
            Decision::Go(permit) => {
                Stage::parked(Parked::unready(Until::new(permit, deadline), self.take_inner(), request))
            }
            Decision::Shed(overloaded) => {
                self.respond.refuse(&mut call, request, &self.gate.lingering);
                Stage::shed(overloaded)
            }
            Decision::Wait(ticket, reserved) => {
                let (ticket, is_ready) = (Until::new(Some(ticket), deadline), !self.is_unasked);
                let lingering = self.gate.lingering.clone();
                Stage::parked(Parked::queued(ticket, reserved, is_ready, lingering, self.take_inner(), request))
            }
        };
        ShedFuture::new(stage, call, self.respond.clone())
    }
}

/// A clone has no slot, and no place in the queue: those belong to who waited for them.
impl<S: Clone, C: Clone, R: Clone> Clone for Shed<S, C, R> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.gate), self.classify.clone(), self.respond.clone())
    }
}

impl<S: fmt::Debug, C, R> fmt::Debug for Shed<S, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shed").field("inner", &self.inner).field("gate", &self.gate).finish_non_exhaustive()
    }
}
