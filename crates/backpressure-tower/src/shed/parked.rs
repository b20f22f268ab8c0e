//! A call that cannot be made yet.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backpressure_rt::tokio_sleep;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use super::lingering::Lingering;
use super::respond::Responder;
use super::until::Until;
use crate::limiter::{Permit, QueuedCall, Reserved};
use crate::overloaded::Overloaded;

/// A call that waits in the short queue, or for the service to be ready, with the service that will be called.
pub(super) struct Parked<S, Req> {
    /// Holds none once there is a slot, or if the call needs none.
    ticket: Until<QueuedCall>,
    reserved: Option<Reserved>,
    alarm: Option<Pin<Box<Sleep>>>,
    permit: Until<Permit>,
    is_ready: bool,
    /// For its request, if it is shed. `None` for a call that will not be.
    lingering: Option<Lingering>,
    service: S,
    request: Req,
}

/// Why a call was not made.
pub(super) enum Unmade<E> {
    Shed(Overloaded),
    /// The service has failed for good.
    Failed(E),
}

impl<S, Req> Parked<S, Req> {
    /// A call that waits in the queue.
    pub(super) const fn queued(
        ticket: Until<QueuedCall>,
        reserved: Option<Reserved>,
        is_ready: bool,
        lingering: Lingering,
        service: S,
        request: Req,
    ) -> Self {
        let permit = Until::new(None, ticket.deadline);
        let lingering = Some(lingering);
        Self { ticket, reserved, alarm: None, permit, is_ready, lingering, service, request }
    }

    /// A call whose service was not asked whether it is ready.
    pub(super) const fn unready(permit: Until<Permit>, service: S, request: Req) -> Self {
        let ticket = Until::new(None, permit.deadline);
        Self { ticket, reserved: None, alarm: None, permit, is_ready: false, lingering: None, service, request }
    }

    /// Ready once the call can be made, or it is clear that it will not be.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unmade<S::Error>>>
    where
        S: Service<Req>,
    {
        if let Some(ticket) = &mut self.ticket.held {
            let admitted = ready!(poll_admitted(ticket, &mut self.alarm, cx));
            self.ticket.held = None;
            self.permit.held = Some(admitted.map_err(Unmade::Shed)?.reserved(self.reserved.take()));
        }
        if !self.is_ready {
            ready!(self.service.poll_ready(cx)).map_err(Unmade::Failed)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Makes the call.
    pub(super) fn call(mut self) -> (S::Future, Until<Permit>)
    where
        S: Service<Req>,
    {
        (self.service.call(self.request), self.permit)
    }

    /// Gives the request of a call that is shed to who answers it.
    pub(super) fn refuse<R>(self, respond: &R, call: &mut R::Call)
    where
        S: Service<Req>,
        R: Responder<Req, S::Response, S::Error>,
    {
        if let Some(lingering) = self.lingering {
            respond.refuse(call, self.request, &lingering);
        }
    }
}

/// Ready once the call has a slot, or is shed.
fn poll_admitted(
    ticket: &mut QueuedCall,
    alarm: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Permit, Overloaded>> {
    let mut is_late = false;
    loop {
        if let Poll::Ready(admitted) = ticket.poll_admitted(cx) {
            return Poll::Ready(admitted);
        }
        let Some(deadline) = ticket.deadline() else { return Poll::Pending };
        let mut deadline = Instant::from_std(deadline);
        if is_late {
            // The limiter's clock and tokio's disagree.
            deadline = deadline.max(Instant::now() + Duration::from_millis(1));
        }
        if alarm.is_none() {
            *alarm = tokio_sleep(|| sleep_until(deadline)).map(Box::pin);
        }
        // Where nobody would wake it at its deadline a call does not wait.
        let Some(alarm) = alarm else { return ticket.time_out() };
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        ready!(alarm.as_mut().poll(cx));
        is_late = true;
    }
}
