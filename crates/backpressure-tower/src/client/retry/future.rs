//! A call, and its retries.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backpressure_rt::tokio_sleep;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use super::plan::Plan;
use crate::client::Judge;

pin_project! {
    /// The response of a [`Retry`](crate::Retry). Dropping it drops the try that is under way, and makes no other.
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryFuture<S: Service<Req>, J, Req> {
        service: S,
        plan: Plan<J>,
        request: Req,
        retries: u32,
        #[pin]
        state: State<S::Future>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F> {
        Calling { #[pin] call: F },
        // On the heap, so that calls without a retry stay small.
        Waiting { sleep: Pin<Box<Sleep>> },
        Readying,
    }
}

/// `None` where there is no timer.
fn timer(wait: Duration) -> Option<Pin<Box<Sleep>>> {
    tokio_sleep(|| sleep(wait)).map(Box::pin) // tidy: paused clock
}

impl<S: Service<Req>, J, Req: Clone> RetryFuture<S, J, Req> {
    pub(super) fn new(mut service: S, plan: Plan<J>, request: Req) -> Self {
        plan.budget.deposit();
        let call = service.call(request.clone());
        Self { service, plan, request, retries: 0, state: State::Calling { call } }
    }
}

impl<S, J, Req> Future for RetryFuture<S, J, Req>
where
    S: Service<Req>,
    J: Judge<S::Response, S::Error>,
    Req: Clone,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                Projected::Calling { call } => {
                    let outcome = ready!(call.poll(cx));
                    let Plan { budget, rule, random, judge } = &*this.plan;
                    let wait = rule.wait(judge.judge(&outcome), *this.retries, random.next_f64());
                    match wait.filter(|_| budget.withdraw()).and_then(timer) {
                        Some(sleep) => State::Waiting { sleep },
                        None => return Poll::Ready(outcome),
                    }
                }
                Projected::Waiting { sleep } => {
                    ready!(sleep.as_mut().poll(cx));
                    State::Readying
                }
                Projected::Readying => {
                    ready!(this.service.poll_ready(cx))?;
                    *this.retries += 1;
                    State::Calling { call: this.service.call(this.request.clone()) }
                }
            };
            this.state.set(next);
        }
    }
}

impl<S: Service<Req>, J, Req> fmt::Debug for RetryFuture<S, J, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture").field("retries", &self.retries).finish_non_exhaustive()
    }
}
