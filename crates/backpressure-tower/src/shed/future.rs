//! The future of a call's answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use backpressure_core::State;
use backpressure_core::limit::Outcome;
use pin_project_lite::pin_project;
use tower_service::Service;

pub(super) use super::parked::Parked;
use super::parked::Unmade;
use super::respond::Responder;
use super::timed_out::is_known_timeout;
use super::until::Until;
use crate::limiter::Permit;
use crate::overloaded::Overloaded;

pin_project! {
    /// The response of a [`Shed`](super::Shed) service. Dropping it frees the slot, or the place in the queue.
    #[must_use = "futures do nothing unless polled"]
    pub struct ShedFuture<S, Req, R>
    where
        S: Service<Req>,
        R: Responder<Req, S::Response, S::Error>,
    {
        #[pin]
        stage: Stage<S, Req>,
        // `None` once it has been answered.
        call: Option<R::Call>,
        respond: R,
    }
}

pin_project! {
    #[project = StageProjection]
    pub(super) enum Stage<S, Req>
    where
        S: Service<Req>,
    {
        Running { #[pin] future: S::Future, permit: Until<Permit> },
        Shed { overloaded: Overloaded },
        Parked { parked: Option<Box<Parked<S, Req>>> },
        Done,
    }
}

impl<S: Service<Req>, Req> Stage<S, Req> {
    pub(super) const fn running(future: S::Future, permit: Until<Permit>) -> Self {
        Self::Running { future, permit }
    }

    /// Of a request that is shed.
    pub(super) const fn shed(overloaded: Overloaded) -> Self {
        Self::Shed { overloaded }
    }

    /// Of a request that waits for a slot, or for the service.
    pub(super) fn parked(parked: Parked<S, Req>) -> Self {
        Self::Parked { parked: Some(Box::new(parked)) }
    }
}

impl<S, Req, R> ShedFuture<S, Req, R>
where
    S: Service<Req>,
    R: Responder<Req, S::Response, S::Error>,
{
    #[inline]
    pub(super) const fn new(stage: Stage<S, Req>, call: R::Call, respond: R) -> Self {
        Self { stage, call: Some(call), respond }
    }
}

// The bound on the error is here, rather than where it would belong, so that it takes no part in whether the future is `Send`.
impl<S, Req, R> Future for ShedFuture<S, Req, R>
where
    S: Service<Req>,
    S::Error: 'static,
    R: Responder<Req, S::Response, S::Error>,
{
    type Output = Result<R::Response, R::Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            let StageProjection::Running { future, permit } = this.stage.as_mut().project() else {
                match ready!(self.as_mut().poll_unmade(cx)) {
                    Some(answer) => return Poll::Ready(answer),
                    None => continue,
                }
            };
            let permit = &mut permit.held;
            if let Some(permit) = permit {
                permit.began();
            }
            let unless_it_panics = FreeOnDrop(permit);
            let polled = future.poll(cx);
            std::mem::forget(unless_it_panics);
            let Poll::Ready(result) = polled else { return Poll::Pending };
            let Some(call) = this.call.take() else { return Poll::Pending };
            let judged = permit.take().map(|permit| (outcome(this.respond, &result), permit));
            // In this order: the next call finds what this one has used.
            this.stage.set(Stage::Done);
            let mut state = State::Normal;
            let permit = judged.and_then(|(outcome, mut permit)| {
                if !R::HOLDS {
                    permit.finish(outcome);
                    return None;
                }
                permit.answered(outcome);
                state = permit.state();
                Some(permit)
            });
            return Poll::Ready(this.respond.answer(call, result, permit, state));
        }
    }
}

impl<S, Req, R> ShedFuture<S, Req, R>
where
    S: Service<Req>,
    R: Responder<Req, S::Response, S::Error>,
{
    /// Ready with an answer for a call that is not made, or with `None` once it is.
    // Out of line, or every call that is made at once would save the registers that this needs.
    #[inline(never)]
    fn poll_unmade(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<R::Response, R::Error>>> {
        let mut this = self.project();
        match this.stage.as_mut().project() {
            StageProjection::Running { .. } => Poll::Ready(None),
            StageProjection::Shed { overloaded } => {
                let overloaded = *overloaded;
                if let Some(call) = this.call.as_mut() {
                    ready!(this.respond.poll_refused(call, cx));
                }
                let Some(call) = this.call.take() else { return Poll::Pending };
                Poll::Ready(Some(this.respond.shed(call, overloaded)))
            }
            StageProjection::Parked { parked } => {
                let admitted = match parked.as_mut() {
                    Some(parked) => ready!(parked.poll(cx)),
                    None => return Poll::Pending,
                };
                let Some(waited) = parked.take() else { return Poll::Pending };
                let next = match admitted {
                    Ok(()) => {
                        let (future, permit) = waited.call();
                        Stage::running(future, permit)
                    }
                    Err(Unmade::Shed(overloaded)) => {
                        if let Some(call) = this.call.as_mut() {
                            waited.refuse(this.respond, call);
                        }
                        Stage::shed(overloaded)
                    }
                    Err(Unmade::Failed(error)) => return Poll::Ready(Some(Err(this.respond.failed(error)))),
                };
                this.stage.set(next);
                Poll::Ready(None)
            }
            StageProjection::Done => Poll::Pending,
        }
    }
}

/// How an answer counts.
fn outcome<Req, Res, E: 'static, R: Responder<Req, Res, E>>(respond: &R, result: &Result<Res, E>) -> Outcome {
    match result {
        Err(error) if !R::JUDGES_TIMEOUTS && is_known_timeout(error) => Outcome::TimedOut,
        _ => respond.outcome(result),
    }
}

/// Frees the slot of a call when it is dropped.
struct FreeOnDrop<'a>(&'a mut Option<Permit>);

impl Drop for FreeOnDrop<'_> {
    fn drop(&mut self) {
        *self.0 = None;
    }
}

impl<S, Req, R> fmt::Debug for ShedFuture<S, Req, R>
where
    S: Service<Req>,
    R: Responder<Req, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Running { .. } => "running",
            Stage::Shed { .. } => "shed",
            Stage::Parked { .. } => "parked",
            Stage::Done => "done",
        };
        f.debug_struct("ShedFuture").field("stage", &stage).finish_non_exhaustive()
    }
}
