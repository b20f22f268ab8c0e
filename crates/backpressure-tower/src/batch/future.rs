//! The future of an answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use backpressure_rt::Exclusive;

use super::error::BatchError;
use super::exchange::{Answer, Called, Poller, Waiting};

/// The answer to one call, through a [`Batch`](crate::Batch). Dropping it takes the request back.
///
/// Once it has been ready, it is ready with [`BatchError::Closed`].
#[must_use = "dropping the future takes the request back"]
pub struct BatchFuture<Req, Resp, E> {
    call: Called<Req, Resp, E>,
}

impl<Req, Resp, E> BatchFuture<Req, Resp, E> {
    pub(super) const fn new(call: Called<Req, Resp, E>) -> Self {
        Self { call }
    }
}

impl<Req, Resp, E> Waiting<Req, Resp, E> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer<Resp, E>> {
        match self.poller {
            Poller::Worker(Some(token)) if self.call.stands(token, cx.waker()) => return Poll::Pending,
            Poller::Worker(_) => {}
            Poller::Caller => {
                if let Some(answer) = self.run_on(cx) {
                    return Poll::Ready(answer);
                }
            }
        }
        loop {
            if let Some(answer) = self.call.take() {
                return Poll::Ready(answer);
            }
            let waker = cx.waker().clone();
            let (token, dropped) = self.call.slab.owner.lock().wait(&self.call, waker);
            drop(dropped);
            if token.is_some() {
                // Who polls a call that is in flight alone keeps doing so, and stores its waker with the call, too.
                if self.poller != Poller::Caller {
                    self.poller = Poller::Worker(token);
                }
                return Poll::Pending;
            }
        }
    }
}

impl<Req, Resp, E> Future for BatchFuture<Req, Resp, E> {
    type Output = Result<Resp, BatchError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.call {
            Called::Answered(answer) => {
                return Poll::Ready(answer.get().take().unwrap_or(Err(BatchError::Closed)));
            }
            Called::Waits(waiting) => ready!(waiting.poll(cx)),
        };
        self.call = Called::Answered(Exclusive::new(None));
        Poll::Ready(answer)
    }
}

/// It holds nothing that is pinned in place.
impl<Req, Resp, E> Unpin for BatchFuture<Req, Resp, E> {}

impl<Req, Resp, E> Drop for BatchFuture<Req, Resp, E> {
    fn drop(&mut self) {
        let Called::Waits(waiting) = &self.call else { return };
        if waiting.call.leave().is_none() {
            let _leftover = waiting.call.slab.owner.update(|state, effects| state.cancel(waiting.call.number, effects));
        }
    }
}

impl<Req, Resp, E> fmt::Debug for BatchFuture<Req, Resp, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = matches!(self.call, Called::Waits(_));
        f.debug_struct("BatchFuture").field("waiting", &waiting).finish_non_exhaustive()
    }
}
