//! The service.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tower_service::Service;

use super::error::ThrottleError;
use super::future::{Call, ThrottleFuture};
use super::shared::Shared;
use crate::client::Judge;

/// The service of a [`ThrottleLayer`](crate::ThrottleLayer).
///
/// Whether a call is rejected is decided in `poll_ready`, before the inner service is asked for its readiness: a call
/// that is not made waits for nothing and holds no slot below.
#[derive(Debug)]
pub struct Throttle<S, J> {
    inner: S,
    shared: Arc<Shared>,
    judge: J,
    counts_cancelled: bool,
    next: Next,
}

/// What is to become of the next call.
#[derive(Debug, Clone, Copy, Default)]
enum Next {
    #[default]
    Undecided,
    Admit,
    Reject(f64),
}

impl<S, J> Throttle<S, J> {
    pub(super) const fn new(inner: S, shared: Arc<Shared>, judge: J, counts_cancelled: bool) -> Self {
        Self { inner, shared, judge, counts_cancelled, next: Next::Undecided }
    }
}

impl<S, J, Req> Service<Req> for Throttle<S, J>
where
    S: Service<Req>,
    J: Judge<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = ThrottleError<S::Error>;
    type Future = ThrottleFuture<S::Future, J>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if let Next::Undecided = self.next {
            self.next = self.shared.reject().map_or(Next::Admit, Next::Reject);
        }
        if let Next::Reject(_) = self.next {
            return Poll::Ready(Ok(()));
        }
        ready!(self.inner.poll_ready(cx)).map_err(ThrottleError::Inner)?;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        if let Next::Reject(rejection) = std::mem::take(&mut self.next) {
            self.shared.record(false);
            return ThrottleFuture::rejected(rejection);
        }
        let call = Call::new(Arc::clone(&self.shared), self.counts_cancelled);
        ThrottleFuture::called(self.inner.call(request), call, self.judge.clone())
    }
}

/// The clone has decided nothing, and is not ready because this one is.
impl<S: Clone, J: Clone> Clone for Throttle<S, J> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared), self.judge.clone(), self.counts_cancelled)
    }
}
