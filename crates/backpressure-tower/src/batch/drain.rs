//! The end of a batcher, with a report.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backpressure_core::DropReason;

use super::clock;
use super::desk::Totals;
use super::shared::Shared;
use super::timer::Timer;

/// What a [drain](super::Batch::drain) came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the report says what was not answered"]
pub struct BatchDrainReport {
    /// Calls answered since the drain began.
    pub answered: u64,
    /// Calls answered with an error since the drain began.
    pub failed: u64,
    /// Calls that were not answered by the deadline. Their callers got [`Closed`](super::BatchError::Closed).
    pub abandoned: u64,
    /// How long the drain took.
    pub elapsed: Duration,
}

impl BatchDrainReport {
    /// Whether every call had an answer, be it an error, by the deadline.
    pub const fn is_complete(&self) -> bool {
        self.abandoned == 0
    }
}

/// Waits until every call is answered. Made by [`Batch::drain`](super::Batch::drain).
#[must_use = "without being polled a drain has no deadline"]
pub struct BatchDrain<Req, Resp, E> {
    shared: Arc<Shared<Req, Resp, E>>,
    key: usize,
    before: Totals,
    began: Instant,
    deadline: Option<Instant>,
    timer: Timer,
}

impl<Req, Resp, E> BatchDrain<Req, Resp, E> {
    pub(super) fn new(shared: Arc<Shared<Req, Resp, E>>, within: Duration) -> Self {
        let began = clock::now();
        let mut desk = shared.lock();
        let after = desk.close(&shared.doors);
        let (key, before) = (desk.join_drain(), desk.totals());
        drop(desk);
        after.carry_out(&shared.reporter);
        Self { shared, key, before, began, deadline: began.checked_add(within), timer: Timer::default() }
    }
}

impl<Req, Resp, E> Future for BatchDrain<Req, Resp, E> {
    type Output = BatchDrainReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BatchDrainReport> {
        let this = &mut *self;
        let waker = cx.waker().clone();
        let (is_drained, replaced) = this.shared.lock().is_drained(this.key, waker);
        drop(replaced);
        if !is_drained {
            let Some(deadline) = this.deadline else { return Poll::Pending };
            if clock::now() < deadline && this.timer.poll(deadline, cx).is_pending() {
                return Poll::Pending;
            }
            this.shared.end(None, DropReason::DrainDeadline);
        }
        let totals = this.shared.lock().totals();
        Poll::Ready(BatchDrainReport {
            answered: totals.answered - this.before.answered,
            failed: totals.failed - this.before.failed,
            abandoned: totals.abandoned - this.before.abandoned,
            elapsed: clock::now().saturating_duration_since(this.began),
        })
    }
}

impl<Req, Resp, E> Drop for BatchDrain<Req, Resp, E> {
    fn drop(&mut self) {
        let waker = self.shared.lock().leave_drain(self.key);
        drop(waker);
    }
}

impl<Req, Resp, E> fmt::Debug for BatchDrain<Req, Resp, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchDrain").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
