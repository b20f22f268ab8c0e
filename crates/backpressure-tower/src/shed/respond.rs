//! The responder: how a service under a layer answers.

use std::error::Error;
use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_core::limit::Outcome;
use backpressure_core::{BoxedError, Refusal, Refused, State};

use super::{Lingering, Plain};
use crate::limiter::Permit;
use crate::overloaded::Overloaded;

/// Turns what happens under a [`ShedLayer`](super::ShedLayer) into a protocol's answers.
///
/// `Res` and `E` are what the inner service answers. [`Plain`] leaves them alone; HTTP and gRPC have responders of their
/// own, which the layer's `into_http` and `into_grpc` put in place.
pub trait Responder<Req, Res, E> {
    /// What must be kept of a request for its answer.
    type Call;
    /// What the service answers.
    type Response;
    /// How it fails.
    type Error;

    /// Whether an answer may hold the slot beyond the end of the inner future.
    const HOLDS: bool;

    /// Whether [`outcome`](Self::outcome) decides about timeouts, too. Default: no, an error that is known to be a
    /// [timeout](crate::is_timeout) is [`TimedOut`](Outcome::TimedOut) without asking it.
    const JUDGES_TIMEOUTS: bool = false;

    /// Keeps what the answer will need. Called once for each request.
    fn begin(&self, request: &Req) -> Self::Call;

    /// How long the request says that its caller waits. Default: it does not say. What a classifier knows goes before it.
    #[inline]
    fn wait_timeout(&self, request: &Req) -> Option<Duration> {
        let _ = request;
        None
    }

    /// Takes a request that is shed. What goes on being read of it has its place among those `lingering`. Default: the request
    /// is dropped.
    #[inline]
    fn refuse(&self, call: &mut Self::Call, request: Req, lingering: &Lingering) {
        let _ = (call, request, lingering);
    }

    /// Ready when a call that is shed can be answered. Default: at once.
    #[inline]
    fn poll_refused(&self, call: &mut Self::Call, cx: &mut Context<'_>) -> Poll<()> {
        let _ = (call, cx);
        Poll::Ready(())
    }

    /// How this answer counts for the limit.
    fn outcome(&self, result: &Result<Res, E>) -> Outcome;

    /// The answer of the inner service, and, where slots are held, the `state` of the limiter; `Normal` where not.
    ///
    /// The outcome and the latency have been recorded. The slot is taken for as long as `permit` is kept; it is `None` for a
    /// call that took none, and where none is [held](Self::HOLDS).
    ///
    /// # Errors
    ///
    /// The inner error, if it is one in this protocol.
    fn answer(
        &self,
        call: Self::Call,
        result: Result<Res, E>,
        permit: Option<Permit>,
        state: State,
    ) -> Result<Self::Response, Self::Error>;

    /// The answer to a call that is shed.
    ///
    /// # Errors
    ///
    /// Where a shed call is an error in this protocol.
    fn shed(&self, call: Self::Call, overloaded: Overloaded) -> Result<Self::Response, Self::Error>;

    /// The inner service has failed for good, in its `poll_ready`.
    fn failed(&self, error: E) -> Self::Error;
}

/// Answers and errors as they come. A call that is shed is a [`ShedError::Overloaded`]; the slot is free when the inner
/// future is done. Every answer, error or not, is a success to the limit, but for an error that is known to be a
/// [timeout](crate::is_timeout), unless [`ShedLayer::outcome`](super::ShedLayer::outcome) says otherwise.
impl<Req, Res, E> Responder<Req, Res, E> for Plain {
    type Call = ();
    type Response = Res;
    type Error = ShedError<E>;

    const HOLDS: bool = false;

    #[inline]
    fn begin(&self, _: &Req) {}

    #[inline]
    fn outcome(&self, _: &Result<Res, E>) -> Outcome {
        Outcome::Success
    }

    #[inline]
    fn answer(&self, (): (), result: Result<Res, E>, _: Option<Permit>, _: State) -> Result<Res, ShedError<E>> {
        result.map_err(ShedError::Inner)
    }

    #[inline]
    fn shed(&self, (): (), overloaded: Overloaded) -> Result<Res, ShedError<E>> {
        Err(ShedError::Overloaded(overloaded))
    }

    fn failed(&self, error: E) -> ShedError<E> {
        ShedError::Inner(error)
    }
}

/// Made by [`ShedLayer::outcome`](super::ShedLayer::outcome).
#[derive(Debug, Clone, Copy)]
pub struct ByOutcome<R, F> {
    pub(super) rest: R,
    pub(super) outcome: F,
}

impl<Req, Res, E, R, F> Responder<Req, Res, E> for ByOutcome<R, F>
where
    R: Responder<Req, Res, E>,
    F: Fn(&Result<Res, E>) -> Outcome,
{
    type Call = R::Call;
    type Response = R::Response;
    type Error = R::Error;

    const HOLDS: bool = R::HOLDS;
    const JUDGES_TIMEOUTS: bool = true;

    fn begin(&self, request: &Req) -> R::Call {
        self.rest.begin(request)
    }

    #[inline]
    fn wait_timeout(&self, request: &Req) -> Option<Duration> {
        self.rest.wait_timeout(request)
    }

    fn refuse(&self, call: &mut R::Call, request: Req, lingering: &Lingering) {
        self.rest.refuse(call, request, lingering);
    }

    #[inline]
    fn poll_refused(&self, call: &mut R::Call, cx: &mut Context<'_>) -> Poll<()> {
        self.rest.poll_refused(call, cx)
    }

    fn outcome(&self, result: &Result<Res, E>) -> Outcome {
        (self.outcome)(result)
    }

    fn answer(
        &self,
        call: R::Call,
        result: Result<Res, E>,
        permit: Option<Permit>,
        state: State,
    ) -> Result<R::Response, R::Error> {
        self.rest.answer(call, result, permit, state)
    }

    fn shed(&self, call: R::Call, overloaded: Overloaded) -> Result<R::Response, R::Error> {
        self.rest.shed(call, overloaded)
    }

    fn failed(&self, error: E) -> R::Error {
        self.rest.failed(error)
    }
}

/// The error of a service under a [`ShedLayer`](super::ShedLayer).
///
/// It is an [`Error`] if `E` is one. Around a `Box<dyn Error + Send + Sync>`, or anything else that converts into one, it is after
/// [`into_boxed`](Self::into_boxed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShedError<E> {
    /// The call was shed: nothing was done for it, and it may be made again.
    Overloaded(Overloaded),
    /// The inner service failed.
    Inner(E),
}

impl<E> ShedError<E> {
    /// Why the call was shed, if it was.
    pub const fn overloaded(&self) -> Option<&Overloaded> {
        match self {
            Self::Overloaded(overloaded) => Some(overloaded),
            Self::Inner(_) => None,
        }
    }

    /// The error of the inner service, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Overloaded(_) => None,
            Self::Inner(error) => Some(error),
        }
    }

    /// The same error around a boxed one, which is an [`Error`] whatever `E` is.
    pub fn into_boxed(self) -> ShedError<BoxedError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        match self {
            Self::Overloaded(overloaded) => ShedError::Overloaded(overloaded),
            Self::Inner(error) => ShedError::Inner(BoxedError::new(error)),
        }
    }
}

impl<E: fmt::Display> Refused for ShedError<E> {
    fn refusal(&self) -> Refusal {
        self.overloaded().map_or(Refusal::Failed, Refused::refusal)
    }
}

impl<E: fmt::Display> fmt::Display for ShedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overloaded(overloaded) => overloaded.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

/// Shows itself as the error it holds, so the source is that error's.
impl<E: Error> Error for ShedError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Overloaded(overloaded) => overloaded.source(),
            Self::Inner(error) => error.source(),
        }
    }
}

impl<E> From<Overloaded> for ShedError<E> {
    fn from(overloaded: Overloaded) -> Self {
        Self::Overloaded(overloaded)
    }
}
