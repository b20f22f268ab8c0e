//! The drain of a batcher, and its report.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backpressure_core::{Drained, DropReason};
use backpressure_rt::{Timer, now};

use super::exchange::{Exchange, Totals};

/// What a [drain](crate::Batch::drain) came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the report says what was not answered"]
pub struct BatchDrainReport {
    /// Calls answered since the drain began.
    pub answered: u64,
    /// Calls answered with an error since the drain began.
    pub failed: u64,
    /// Calls that were not answered by the deadline, by that of an earlier drain, or before the worker was dropped. Their
    /// callers got [`Closed`](crate::BatchError::Closed).
    pub abandoned: u64,
    /// How long the drain took.
    pub elapsed: Duration,
}

impl BatchDrainReport {
    /// Whether every call had an answer, be it an error, by the deadline. Once calls were abandoned, no report is complete.
    pub const fn is_complete(&self) -> bool {
        self.abandoned == 0
    }
}

impl Drained for BatchDrainReport {
    fn is_complete(&self) -> bool {
        self.is_complete()
    }
}

impl fmt::Display for BatchDrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, failed, abandoned, .. } = self;
        write!(f, "{answered} answered while draining, {failed} failed, {abandoned} abandoned")
    }
}

/// Waits until every call is answered. Made by [`Batch::drain`](crate::Batch::drain).
#[must_use = "without being polled a drain has no deadline"]
pub struct BatchDrain<Req, Resp, E> {
    exchange: Arc<Exchange<Req, Resp, E>>,
    key: usize,
    before: Totals,
    began: Instant,
    deadline: Option<Instant>,
    timer: Timer,
}

impl<Req, Resp, E> BatchDrain<Req, Resp, E> {
    pub(super) fn new(exchange: Arc<Exchange<Req, Resp, E>>, within: Duration) -> Self {
        let began = now();
        let (key, before) = exchange.update(|state, effects| (state.join_drain(effects), state.totals));
        Self { exchange, key, before, began, deadline: began.checked_add(within), timer: Timer::default() }
    }

    /// Whether nobody waits for an answer. If somebody does, the task is woken once that is so.
    fn is_drained(&self, cx: &Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let (is_drained, replaced) = self.exchange.lock().is_drained(self.key, waker);
        drop(replaced);
        is_drained
    }
}

impl<Req, Resp, E> Future for BatchDrain<Req, Resp, E> {
    type Output = BatchDrainReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BatchDrainReport> {
        let this = &mut *self;
        if !this.is_drained(cx) {
            let Some(deadline) = this.deadline else { return Poll::Pending };
            if now() < deadline && this.timer.poll(deadline, cx).is_pending() {
                return Poll::Pending;
            }
            this.exchange.end(None, DropReason::DrainDeadline);
            // Whoever has just given up is about to be counted.
            if !this.is_drained(cx) {
                return Poll::Pending;
            }
        }
        let totals = this.exchange.lock().totals;
        Poll::Ready(BatchDrainReport {
            answered: totals.answered - this.before.answered,
            failed: totals.failed - this.before.failed,
            abandoned: totals.abandoned,
            elapsed: now().saturating_duration_since(this.began),
        })
    }
}

impl<Req, Resp, E> Drop for BatchDrain<Req, Resp, E> {
    fn drop(&mut self) {
        let waker = self.exchange.lock().leave_drain(self.key);
        drop(waker);
    }
}

impl<Req, Resp, E> fmt::Debug for BatchDrain<Req, Resp, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchDrain").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;
    use std::task::Waker;

    use super::*;
    use crate::batch::exchange::{Called, Effects};
    use crate::batch::layer::BatchLayer;
    use crate::batch::plan::QueuedCall;
    use crate::batch::service::Batch;

    #[test]
    fn t7_a_call_that_is_being_given_up_at_the_deadline_is_in_the_report() {
        let layer = BatchLayer::builder().build().unwrap();
        let inner = tower::service_fn(|batch: Vec<u8>| ready(Ok::<_, Infallible>(batch)));
        let (handle, _worker) = Batch::pair(inner, &layer);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(handle.exchange.try_acquire());
        let mut call = handle.exchange.call(
            QueuedCall { request: 1, weight: 1, deadline: None },
            Waker::noop().clone(),
            &mut None,
        );
        let Called::Waits(waiting) = &mut call else { panic!("it is queued") };
        assert!(waiting.call.leave().is_none());

        let mut drain = handle.drain(Duration::ZERO);
        assert!(Pin::new(&mut drain).poll(cx).is_pending(), "gone, and not counted yet");
        let mut effects = Effects::default();
        let leftover = handle.exchange.lock().cancel(waiting.call.number, &mut effects);
        assert_eq!(effects.others.len(), 1, "the drain's");
        drop(leftover);
        let Poll::Ready(report) = Pin::new(&mut drain).poll(cx) else { panic!("nobody waits") };
        assert_eq!((report.answered, report.abandoned), (0, 0));
    }
}
