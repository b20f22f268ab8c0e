//! The wait for an answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use super::error::BatchError;
use super::exchange::slab::Answer;
use super::exchange::{Called, Poller, Waiting};

/// The answer to one call, through a [`Batch`](crate::Batch). Dropping it takes the request back.
///
/// Once it has been ready, it is ready with [`BatchError::Closed`].
#[must_use = "dropping the future takes the request back"]
pub struct BatchFuture<Req, Resp, E> {
    stage: Stage<Req, Resp, E>,
}

enum Stage<Req, Resp, E> {
    Waiting(Waiting<Req, Resp, E>),
    /// `None` once it has been told. Never locked: it makes the future [`Sync`] whatever the answer is.
    Answered(Mutex<Option<Answer<Resp, E>>>),
}

impl<Req, Resp, E> BatchFuture<Req, Resp, E> {
    pub(super) fn new(called: Called<Req, Resp, E>) -> Self {
        let stage = match called {
            Called::Waits(waiting) => Stage::Waiting(waiting),
            Called::Answered(answer) => Stage::Answered(Mutex::new(Some(answer))),
        };
        Self { stage }
    }
}

impl<Req, Resp, E> Waiting<Req, Resp, E> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer<Resp, E>> {
        if self.poller == Poller::Caller {
            if let Some(answer) = self.run_on(cx) {
                return Poll::Ready(answer);
            }
        } else if self.token.is_some_and(|token| self.call.stands(token, cx.waker())) {
            return Poll::Pending;
        }
        loop {
            if let Some(answer) = self.call.take() {
                return Poll::Ready(answer);
            }
            let waker = cx.waker().clone();
            let (token, dropped) = self.call.slab.owner.lock().wait(&self.call, waker);
            drop(dropped);
            if token.is_some() {
                self.token = token;
                return Poll::Pending;
            }
        }
    }
}

impl<Req, Resp, E> Future for BatchFuture<Req, Resp, E> {
    type Output = Result<Resp, BatchError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.stage {
            Stage::Answered(answer) => {
                let answer = answer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
                return Poll::Ready(answer.unwrap_or(Err(BatchError::Closed)));
            }
            Stage::Waiting(waiting) => std::task::ready!(waiting.poll(cx)),
        };
        self.stage = Stage::Answered(Mutex::new(None));
        Poll::Ready(answer)
    }
}

/// It holds nothing that is pinned in place.
impl<Req, Resp, E> Unpin for BatchFuture<Req, Resp, E> {}

impl<Req, Resp, E> Drop for BatchFuture<Req, Resp, E> {
    fn drop(&mut self) {
        let Stage::Waiting(waiting) = &self.stage else { return };
        if waiting.call.leave().is_none() {
            let _leftover = waiting.call.slab.owner.update(|state| state.cancel(waiting.call.number));
        }
    }
}

impl<Req, Resp, E> fmt::Debug for BatchFuture<Req, Resp, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = matches!(self.stage, Stage::Waiting(_));
        f.debug_struct("BatchFuture").field("waiting", &waiting).finish_non_exhaustive()
    }
}
