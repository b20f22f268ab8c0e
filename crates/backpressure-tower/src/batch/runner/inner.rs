//! The inner service, and whether it is ready.

use std::mem;
use std::task::{Context, Poll};

use backpressure_rt::{Panic, discard, guarded};
use tower_service::Service;

/// It is asked for readiness only when a batch is there to be sent, so that nobody holds what it has to give without need.
pub(super) struct Inner<S> {
    service: S,
    readiness: Readiness,
    pristine: Option<Pristine<S>>,
}

/// A service that was never asked for anything, and how it is copied.
type Pristine<S> = (S, fn(&S) -> S);

/// What the service was asked for since it was last called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Idle,
    /// It may hold, or stand in line for, what others need.
    Asked,
    Ready,
}

impl<S> Inner<S> {
    pub(super) const fn new(service: S) -> Self {
        Self { service, readiness: Readiness::Idle, pristine: None }
    }

    /// From now on [`release`](Self::release) has an effect.
    pub(super) fn enable_release(&mut self)
    where
        S: Clone,
    {
        self.pristine = Some((self.service.clone(), S::clone));
    }

    /// Lets go of a readiness that nobody is left to use: the service is replaced by a fresh clone.
    pub(super) fn release(&mut self) {
        if let (Readiness::Asked | Readiness::Ready, Some((service, copy))) = (self.readiness, &self.pristine) {
            if let Ok(fresh) = guarded(|| copy(service)) {
                discard(mem::replace(&mut self.service, fresh));
                self.readiness = Readiness::Idle;
            }
        }
    }

    /// Whether it has been asked for a readiness that has not been used.
    pub(super) fn is_asked(&self) -> bool {
        self.readiness != Readiness::Idle
    }

    /// Asks for readiness, unless it is ready. After a panic it is not, and is asked again for the next batch.
    pub(super) fn poll_ready<Req>(&mut self, cx: &mut Context<'_>) -> Result<Poll<Result<(), S::Error>>, Panic>
    where
        S: Service<Req>,
    {
        if self.readiness == Readiness::Ready {
            return Ok(Poll::Ready(Ok(())));
        }
        self.readiness = Readiness::Asked;
        let ready = guarded(|| self.service.poll_ready(cx));
        if let Ok(Poll::Ready(Ok(()))) = ready {
            self.readiness = Readiness::Ready;
        }
        ready
    }

    /// Calls it, once per readiness. Nothing if it is not ready, or panics.
    pub(super) fn call<Req>(&mut self, request: Req) -> Option<S::Future>
    where
        S: Service<Req>,
    {
        let is_ready = mem::replace(&mut self.readiness, Readiness::Idle) == Readiness::Ready;
        is_ready.then(|| guarded(|| self.service.call(request)).ok()).flatten()
    }
}
