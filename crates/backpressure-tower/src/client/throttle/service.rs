//! The throttle service.

use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tower_service::Service;

use super::answer::{Answer, AsError};
use super::future::{Call, ThrottleFuture};
use super::shared::Shared;
use super::tally::Outcome;
use crate::client::Judge;

/// The service of a [`ThrottleLayer`](crate::ThrottleLayer).
///
/// Whether a call is rejected is decided in `poll_ready`, before the inner service is asked for its readiness: a call
/// that is not made waits for nothing and holds no slot below.
#[derive(Debug)]
pub struct Throttle<S, J, A = AsError> {
    inner: S,
    shared: Arc<Shared>,
    judge: J,
    counts_cancelled: bool,
    next: Next,
    answer: PhantomData<fn() -> A>,
}

/// What is to become of the next call.
#[derive(Debug, Clone, Copy, Default)]
enum Next {
    #[default]
    Undecided,
    Admit,
    Reject(f64),
}

impl<S, J, A> Throttle<S, J, A> {
    pub(super) const fn new(inner: S, shared: Arc<Shared>, judge: J, counts_cancelled: bool) -> Self {
        Self { inner, shared, judge, counts_cancelled, next: Next::Undecided, answer: PhantomData }
    }
}

impl<S, J, A, Req> Service<Req> for Throttle<S, J, A>
where
    S: Service<Req>,
    J: Judge<S::Response, S::Error> + Clone,
    A: Answer<S::Response, S::Error>,
{
    type Response = A::Response;
    type Error = A::Error;
    type Future = ThrottleFuture<S::Future, J, A>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if let Next::Undecided = self.next {
            self.next = self.shared.reject().map_or(Next::Admit, Next::Reject);
        }
        if let Next::Reject(_) = self.next {
            return Poll::Ready(Ok(()));
        }
        ready!(self.inner.poll_ready(cx)).map_err(A::failed)?;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        if let Next::Reject(rejection) = std::mem::take(&mut self.next) {
            self.shared.record(Outcome::Throttled);
            return ThrottleFuture::rejected(rejection);
        }
        let call = Call::new(Arc::clone(&self.shared), self.counts_cancelled);
        ThrottleFuture::called(self.inner.call(request), call, self.judge.clone())
    }
}

/// The clone has decided nothing, and is not ready because this one is.
impl<S: Clone, J: Clone, A> Clone for Throttle<S, J, A> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared), self.judge.clone(), self.counts_cancelled)
    }
}
