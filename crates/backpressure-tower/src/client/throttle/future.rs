//! A call on its way, or one that was not made.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::answer::{Answer, AsError};
use super::shared::Shared;
use super::tally::Outcome;
use crate::client::{Judge, Verdict};

pin_project! {
    /// The response of a [`Throttle`](crate::Throttle). Dropped before it resolves, it does not count, unless the layer
    /// [counts cancelled calls](crate::ThrottleLayer::count_cancelled). A call that panics counts as not accepted.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ThrottleFuture<F, J, A = AsError> {
        #[pin]
        state: State<F, J>,
        answer: PhantomData<fn() -> A>,
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

/// A call that was made and counts at most once.
#[derive(Debug)]
pub(super) struct Call {
    shared: Option<Arc<Shared>>,
    /// Whether it counts as not accepted if it is dropped now.
    counts_if_dropped: bool,
    counts_cancelled: bool,
}

impl Call {
    pub(super) const fn new(shared: Arc<Shared>, counts_cancelled: bool) -> Self {
        Self { shared: Some(shared), counts_if_dropped: counts_cancelled, counts_cancelled }
    }

    /// Code runs that may panic: a drop is no cancellation until it is over.
    const fn runs(&mut self) {
        self.counts_if_dropped = true;
    }

    const fn pauses(&mut self) {
        self.counts_if_dropped = self.counts_cancelled;
    }

    fn is_over(&mut self, accepted: bool) {
        if let Some(shared) = self.shared.take() {
            shared.record(if accepted { Outcome::Accepted } else { Outcome::Refused });
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.counts_if_dropped {
            self.is_over(false);
        }
    }
}

impl<F, J, A> ThrottleFuture<F, J, A> {
    pub(super) const fn rejected(rejection: f64) -> Self {
        Self { state: State::Rejected { rejection }, answer: PhantomData }
    }

    pub(super) const fn called(future: F, call: Call, judge: J) -> Self {
        Self { state: State::Called { future, call, judge }, answer: PhantomData }
    }
}

impl<F, J, A, T, E> Future for ThrottleFuture<F, J, A>
where
    F: Future<Output = Result<T, E>>,
    J: Judge<T, E>,
    A: Answer<T, E>,
{
    type Output = Result<A::Response, A::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Rejected { rejection } => Poll::Ready(A::throttled(*rejection)),
            Projected::Called { future, call, judge } => {
                call.runs();
                let Poll::Ready(outcome) = future.poll(cx) else {
                    call.pauses();
                    return Poll::Pending;
                };
                call.is_over(judge.judge(&outcome) == Verdict::Served);
                Poll::Ready(A::answered(outcome))
            }
        }
    }
}
