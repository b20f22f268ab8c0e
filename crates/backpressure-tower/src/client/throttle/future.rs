//! A call on its way, or one that was not made.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::error::ThrottleError;
use super::layer::Shared;
use crate::client::{Judge, Verdict};

pin_project! {
    /// The response of a [`Throttle`](crate::Throttle). Dropped before it resolves, it counts as a call that was not
    /// accepted.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ThrottleFuture<F, J> {
        #[pin]
        state: State<F, J>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = Projected]
    enum State<F, J> {
        Rejected { rejection: f64 },
        Called { #[pin] future: F, call: Call, judge: J },
    }
}

/// A call that was made and counts once.
#[derive(Debug)]
struct Call {
    shared: Option<Arc<Shared>>,
}

impl Call {
    fn is_over(&mut self, accepted: bool) {
        if let Some(shared) = self.shared.take() {
            shared.record(accepted);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.is_over(false);
    }
}

impl<F, J> ThrottleFuture<F, J> {
    pub(super) const fn rejected(rejection: f64) -> Self {
        Self { state: State::Rejected { rejection } }
    }

    pub(super) const fn called(future: F, shared: Arc<Shared>, judge: J) -> Self {
        Self { state: State::Called { future, call: Call { shared: Some(shared) }, judge } }
    }
}

impl<F, J, T, E> Future for ThrottleFuture<F, J>
where
    F: Future<Output = Result<T, E>>,
    J: Judge<T, E>,
{
    type Output = Result<T, ThrottleError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Rejected { rejection } => Poll::Ready(Err(ThrottleError::Throttled { rejection: *rejection })),
            Projected::Called { future, call, judge } => {
                let outcome = ready!(future.poll(cx));
                call.is_over(judge.judge(&outcome) == Verdict::Served);
                Poll::Ready(outcome.map_err(ThrottleError::Inner))
            }
        }
    }
}
