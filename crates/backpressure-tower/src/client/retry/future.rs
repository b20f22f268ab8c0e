//! A call, and its retries.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backpressure_rt::tokio_sleep;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower_service::Service;

use super::keep::{Cloned, Keep, Note};
use super::plan::Plan;
use super::why::NotRetried;
use crate::client::{Judge, Verdict};

pin_project! {
    /// The response of a [`Retry`](crate::Retry). Dropping it drops the try that is under way, and makes no other.
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryFuture<S, J, Req, K = Cloned>
    where
        S: Service<K::Sent>,
        K: Keep<Req>,
    {
        service: S,
        plan: Plan<J, K>,
        kept: Option<K::Kept>,
        retries: u32,
        until: Option<Instant>,
        #[pin]
        state: State<S::Future, K::Sent, Result<S::Response, S::Error>>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, R, O> {
        Calling { #[pin] call: F },
        // On the heap, so that calls without a retry stay small. Taken while it is polled.
        Paused { pause: Option<Box<Pause<R, O>>> },
    }
}

/// Between two tries.
struct Pause<R, O> {
    /// Until the back-off is over, then until the deadline.
    sleep: Pin<Box<Sleep>>,
    is_over: bool,
    request: R,
    /// What the caller gets if the service is not ready before the deadline. `None` without a deadline.
    outcome: Option<O>,
}

impl<R, O> Pause<R, O> {
    /// Ready with the answer of the service to `poll_ready`, or with none if the deadline has passed before it was ready.
    fn poll<E>(
        &mut self,
        until: Option<Instant>,
        cx: &mut Context<'_>,
        poll_ready: impl FnOnce(&mut Context<'_>) -> Poll<Result<(), E>>,
    ) -> Poll<Option<Result<(), E>>> {
        if !self.is_over {
            ready!(self.sleep.as_mut().poll(cx));
            self.is_over = true;
            if let Some(until) = until {
                self.sleep.as_mut().reset(until);
            }
        }
        match (poll_ready(cx), until) {
            (Poll::Ready(answer), _) => Poll::Ready(Some(answer)),
            (Poll::Pending, None) => Poll::Pending,
            (Poll::Pending, Some(_)) => self.sleep.as_mut().poll(cx).map(|()| None),
        }
    }
}

/// `None` where there is no timer.
fn timer(wait: Duration) -> Option<Pin<Box<Sleep>>> {
    tokio_sleep(|| sleep(wait)).map(Box::pin) // tidy: paused clock
}

impl<S, J, Req, K> RetryFuture<S, J, Req, K>
where
    S: Service<K::Sent>,
    K: Keep<Req>,
{
    pub(super) fn new(mut service: S, plan: Plan<J, K>, request: Req) -> Self {
        plan.budget.deposit();
        let own = plan.keep.wait_timeout(&request);
        let until = plan.until(own);
        let (kept, mut sent) = plan.keep.keep(request);
        // A request that says so itself is left as it is.
        match plan.deadline {
            Some(deadline) if own.is_none_or(|own| deadline < own) => plan.keep.limit(&mut sent, deadline),
            _ => {}
        }
        let call = service.call(sent);
        Self { service, plan, kept: Some(kept), retries: 0, until, state: State::Calling { call } }
    }
}

impl<S, J, Req, K> Future for RetryFuture<S, J, Req, K>
where
    S: Service<K::Sent>,
    J: Judge<S::Response, S::Error>,
    K: Keep<Req> + Note<S::Response>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                Projected::Calling { call } => {
                    let outcome = ready!(call.poll(cx));
                    let verdict = this.plan.judge.judge(&outcome);
                    match pause(this.plan, this.kept, verdict, *this.retries, *this.until) {
                        Ok((sleep, request)) => {
                            let outcome = this.until.is_some().then_some(outcome);
                            State::Paused { pause: Some(Box::new(Pause { sleep, is_over: false, request, outcome })) }
                        }
                        Err(why) => {
                            *this.kept = None;
                            return Poll::Ready(this.plan.last(outcome, why));
                        }
                    }
                }
                Projected::Paused { pause } => {
                    let mut paused = pause.take().expect("it is not polled again once it has resolved");
                    let Poll::Ready(answer) = paused.poll(*this.until, cx, |cx| this.service.poll_ready(cx)) else {
                        *pause = Some(paused);
                        return Poll::Pending;
                    };
                    let Pause { mut request, outcome, .. } = *paused;
                    match (answer, outcome) {
                        (Some(Ok(())), _) => {}
                        (Some(Err(error)), _) => return Poll::Ready(Err(error)),
                        (None, Some(outcome)) => {
                            *this.kept = None;
                            return Poll::Ready(this.plan.last(outcome, Some(NotRetried::Deadline)));
                        }
                        // Without an outcome there is no deadline that could have passed.
                        (None, None) => return Poll::Pending,
                    }
                    *this.retries += 1;
                    this.plan.shared.counters.retry();
                    if let Some(until) = *this.until {
                        this.plan.keep.limit(&mut request, until.saturating_duration_since(Instant::now()));
                    }
                    State::Calling { call: this.service.call(request) }
                }
            };
            this.state.set(next);
        }
    }
}

/// The timer and the request of another try.
type NextTry<Req> = (Pin<Box<Sleep>>, Req);

/// Another try, or why there is none.
fn pause<J, Req, K: Keep<Req>>(
    plan: &Plan<J, K>,
    kept: &mut Option<K::Kept>,
    verdict: Verdict,
    retries: u32,
    until: Option<Instant>,
) -> Result<NextTry<K::Sent>, Option<NotRetried>> {
    let wait = plan.wait(verdict, retries, until)?;
    let kept = kept.as_mut().ok_or(None)?;
    plan.keep.check(kept).map_err(Some)?;
    if !plan.budget.withdraw() {
        return Err(Some(NotRetried::Budget));
    }
    let sleep = timer(wait).ok_or(Some(NotRetried::NoTimer))?;
    // Last, for it cuts off what the try before may still send.
    let request = plan.keep.again(kept).map_err(Some)?;
    Ok((sleep, request))
}

impl<S, J, Req, K> fmt::Debug for RetryFuture<S, J, Req, K>
where
    S: Service<K::Sent>,
    K: Keep<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture").field("retries", &self.retries).finish_non_exhaustive()
    }
}
