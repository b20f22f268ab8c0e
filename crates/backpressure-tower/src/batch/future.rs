//! The wait for an answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::desk::Awaited;
use super::error::BatchError;
use super::page::Page;
use super::pledge::Pledge;

/// The answer to one call, through a [`Batch`](super::Batch). Dropping it takes the request back.
///
/// Once it has been ready, it is ready with [`BatchError::Closed`].
#[must_use = "dropping the future takes the request back"]
pub struct BatchFuture<Req, Resp, E> {
    stage: Stage<Req, Resp, E>,
}

enum Stage<Req, Resp, E> {
    Waiting {
        page: Arc<Page<Req, Resp, E>>,
        call: usize,
        /// Of the waker that was stored last.
        pledge: Pledge,
        /// Whether it has run the inner service itself so far.
        leads: bool,
    },
    /// `None` once it has been told.
    Refused(Option<BatchError<E>>),
}

impl<Req, Resp, E> BatchFuture<Req, Resp, E> {
    pub(super) const fn waiting(page: Arc<Page<Req, Resp, E>>, call: usize, pledge: Pledge, leads: bool) -> Self {
        Self { stage: Stage::Waiting { page, call, pledge, leads } }
    }

    pub(super) const fn refused(error: BatchError<E>) -> Self {
        Self { stage: Stage::Refused(Some(error)) }
    }
}

impl<Req, Resp, E> Future for BatchFuture<Req, Resp, E> {
    type Output = Result<Resp, BatchError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (page, call, pledge, leads) = match &mut self.stage {
            Stage::Waiting { page, call, pledge, leads } => (&*page, *call, pledge, leads),
            Stage::Refused(error) => return Poll::Ready(Err(error.take().unwrap_or(BatchError::Closed))),
        };
        if *leads {
            *leads = page.shared.lead_on(call, cx);
        } else if page.landings.holds(*pledge, cx.waker()) {
            return Poll::Pending;
        }
        let mut waker = None;
        loop {
            if let Some(answer) = page.take(call) {
                self.stage = Stage::Refused(None);
                return Poll::Ready(answer);
            }
            let awaited = page.shared.lock().wait(page, call, cx.waker(), waker.take());
            match awaited {
                Awaited::Stored { pledge: latest, .. } => {
                    *pledge = latest;
                    return Poll::Pending;
                }
                Awaited::NeedsWaker => waker = Some(cx.waker().clone()),
                Awaited::Answered { .. } => {}
            }
        }
    }
}

/// It holds nothing that is pinned in place.
impl<Req, Resp, E> Unpin for BatchFuture<Req, Resp, E> {}

impl<Req, Resp, E> Drop for BatchFuture<Req, Resp, E> {
    fn drop(&mut self) {
        let Stage::Waiting { page, call, .. } = &self.stage else { return };
        if page.leave(*call).is_some() {
            return;
        }
        let (after, remains) = page.shared.lock().cancel(*call);
        after.carry_out(&page.shared.reporter);
        drop(remains);
    }
}

impl<Req, Resp, E> fmt::Debug for BatchFuture<Req, Resp, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = matches!(self.stage, Stage::Waiting { .. });
        f.debug_struct("BatchFuture").field("waiting", &waiting).finish_non_exhaustive()
    }
}
