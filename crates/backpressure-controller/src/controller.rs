//! The handle that producers hold.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backpressure_channel::{Send, SendError, Sender, Sent, SinkError};
use backpressure_core::{Counts, DropReason, Gauge, Snapshot};
use backpressure_rt::{Timer, now};
use futures_channel::mpsc;
use futures_sink::Sink;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{timeout, timeout_at};

use crate::command::{Command, STOPPING};
use crate::drain::{DrainReport, Ending, Unflushed};
use crate::handle::ControllerHandle;

/// Thirty years: as good as never, and not beyond the end of time.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Many producers in front of one flush target. See the [crate] for the whole picture.
///
/// A handle: clone it for more producers. When the last one is dropped, what was accepted is flushed and the work ends;
/// to wait for that, and to bound it, [`drain`](Self::drain). It is a [`Sink`] too, so a stream can be forwarded into it.
pub struct BackpressureController<T> {
    sender: Sender<T>,
    commands: mpsc::UnboundedSender<Command<T>>,
    ending: Arc<OnceLock<Ending>>,
    smallest_batch: Option<usize>,
}

impl<T> BackpressureController<T> {
    pub(crate) const fn new(
        sender: Sender<T>,
        commands: mpsc::UnboundedSender<Command<T>>,
        ending: Arc<OnceLock<Ending>>,
        smallest_batch: Option<usize>,
    ) -> Self {
        Self { sender, commands, ending, smallest_batch }
    }

    /// Accepts an item for the next batch. Under `Strategy::Block` it waits for room, at most as long as the strategy
    /// says; under the other strategies it answers at once.
    ///
    /// # Errors
    ///
    /// Hands the item back: see [`Sender::send`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has accepted nothing.
    pub fn push(&self, item: T) -> Send<'_, T> {
        self.sender.send(item)
    }

    /// Accepts an item as [`push`](Self::push) does, and blocks this thread meanwhile: for threads outside of any runtime, and for
    /// `spawn_blocking`. Threads and tasks wait in one queue, first come, first served.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backpressure_controller::BackpressureController;
    /// use backpressure_core::BackpressureConfig;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let controller = BackpressureController::builder(BackpressureConfig::default())
    ///     .flush_fn(async |_: Vec<u64>| Ok::<_, std::io::Error>(()))
    ///     .spawn()?;
    /// let producer = controller.clone();
    /// let pushed = std::thread::spawn(move || (0..100).try_for_each(|n| producer.blocking_push(n).map(drop)));
    /// tokio::task::spawn_blocking(|| pushed.join()).await?.unwrap()?;
    /// assert!(controller.drain(Duration::from_secs(5)).await.is_complete());
    /// assert_eq!(controller.snapshot().counts.delivered, 100);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Hands the item back: see [`Sender::blocking_send`].
    pub fn blocking_push(&self, item: T) -> Result<Sent, SendError<T>> {
        self.sender.blocking_send(item)
    }

    /// Accepts an item if there is room at once.
    ///
    /// # Errors
    ///
    /// Hands the item back: see [`Sender::try_send`].
    pub fn try_push(&self, item: T) -> Result<Sent, SendError<T>> {
        self.sender.try_send(item)
    }

    /// A barrier: flushes what is queued without waiting for the interval, and resolves once everything that was accepted
    /// before the call was delivered, has failed for good, or was evicted.
    ///
    /// # Errors
    ///
    /// [`Unflushed`] if the worker ended before that and left items behind: a drain ran into its deadline, or the runtime
    /// ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, the flush goes on all the same, and nothing is kept of the call.
    pub async fn flush(&self) -> Result<(), Unflushed> {
        let (done, answer) = oneshot::channel();
        if self.commands.unbounded_send(Command::Flush(done)).is_ok() && answer.await.is_ok() {
            return Ok(());
        }
        match self.ending(&Counts::default()).undelivered() {
            0 => Ok(()),
            items => Err(Unflushed { items }),
        }
    }

    /// Stops the intake, delivers what was accepted and reports. What was not delivered by the deadline, counted from the
    /// call, is handed back in the report and counted as dropped for `DropReason::DrainDeadline`. [`Duration::MAX`] waits as
    /// long as it takes.
    ///
    /// Returns by the deadline even if the flush target never answers, or 50 ms later if flushes have to be stopped and do
    /// not stop at once; the report says how many [still run](DrainReport::still_running). If the flush target blocks the
    /// thread of the worker, the report says how many items are [unanswered](DrainReport::unanswered), and once the thread
    /// is free again they go to the `on_drop` hook. That needs somebody to keep the caller's time: on a `current_thread`
    /// runtime whose thread is blocked, or on one with all its worker threads blocked, nothing returns before one is free. A
    /// thread outside tokio, or another runtime, can drain in that case too.
    ///
    /// Producers get their items back as closed from the call on. If several handles drain, the earliest deadline counts.
    /// The first of them gets the items; the others, and those that drain later, are told that they are
    /// [lost](DrainReport::lost) to them.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, the drain goes on, and what it abandons goes to the next that asked for a report or to
    /// the `on_drop` hook.
    ///
    /// # Panics
    ///
    /// In a tokio runtime without time enabled, unless the deadline is [`Duration::MAX`].
    pub async fn drain(&self, deadline: Duration) -> DrainReport<T> {
        let (began, before) = (now(), self.snapshot().counts);
        let (done, answer) = oneshot::channel();
        let deadline = began.checked_add(deadline);
        if self.commands.unbounded_send(Command::Drain { began, deadline, done }).is_err() {
            return self.ending(&before).report();
        }
        self.sender.close_channel();
        match by(deadline, answer).await {
            Some(Ok(parcel)) => parcel.open(),
            Some(Err(_)) => self.ending(&before).report(),
            None => {
                let counts = self.snapshot().counts;
                DrainReport {
                    delivered: counts.delivered - before.delivered,
                    failed: counts.failed() - before.failed(),
                    elapsed: now().saturating_duration_since(began),
                    ..self.ending(&before).report()
                }
            }
        }
    }

    /// What the worker left undone when it ended; or, while it cannot tell, what the ledger says: which items have no fate yet,
    /// and which the worker has given up already.
    fn ending(&self, before: &Counts) -> Ending {
        self.ending.get().copied().unwrap_or_else(|| {
            let counts = self.snapshot().counts;
            let closed = counts.lost(DropReason::Closed) - before.lost(DropReason::Closed);
            Ending {
                lost: counts.lost(DropReason::DrainDeadline) + closed,
                unanswered: usize::try_from(counts.queued + counts.in_flight).unwrap_or(usize::MAX),
                still_running: 0,
            }
        })
    }

    /// Whether the intake is closed: a drain has begun, or the flush target is gone.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Changes bounds, strategy, batches and concurrency while the controller is in use. It does not keep it at work.
    pub fn handle(&self) -> ControllerHandle<T> {
        ControllerHandle::new(self.sender.handle(), self.commands.clone(), self.smallest_batch)
    }

    /// How full the buffer is, and what has happened. Cheap, shared, and good beyond the life of the controller.
    pub fn gauge(&self) -> Gauge {
        self.sender.gauge()
    }

    /// Everything that is known, as of now.
    pub fn snapshot(&self) -> Snapshot {
        self.gauge().snapshot()
    }
}

impl<T> Sink<T> for BackpressureController<T> {
    type Error = SinkError<T>;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError<T>>> {
        Pin::new(&mut self.sender).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), SinkError<T>> {
        Pin::new(&mut self.sender).start_send(item)
    }

    /// Ready once everything that was sent is accepted; it does not wait for its delivery. See [`Self::flush`] for that.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError<T>>> {
        Pin::new(&mut self.sender).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError<T>>> {
        Pin::new(&mut self.sender).poll_close(cx)
    }
}

/// Waits for an answer, at most until the deadline and then twice as long as the worker waits for what it has to stop;
/// `None` if the worker had nothing to say by then. The second wait begins when the first is over: if the clock jumps, the
/// worker still has its turn.
async fn by<F: Future + Unpin>(deadline: Option<Instant>, mut answer: F) -> Option<F::Output> {
    let Some(deadline) = deadline else { return Some(answer.await) };
    if Handle::try_current().is_err() {
        let now = now();
        let until = now + deadline.saturating_duration_since(now).min(FAR) + 2 * STOPPING;
        let mut timer = Timer::new();
        return poll_fn(|cx| match Pin::new(&mut answer).poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => timer.poll(until, cx).map(|()| None),
        })
        .await;
    }
    match timeout_at(deadline.into(), &mut answer).await {
        Ok(answer) => Some(answer),
        Err(_) => timeout(2 * STOPPING, answer).await.ok(),
    }
}

impl<T> Clone for BackpressureController<T> {
    fn clone(&self) -> Self {
        let (commands, ending) = (self.commands.clone(), Arc::clone(&self.ending));
        Self { sender: self.sender.clone(), commands, ending, smallest_batch: self.smallest_batch }
    }
}

impl<T> fmt::Debug for BackpressureController<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackpressureController").field("state", &self.gauge().state()).finish_non_exhaustive()
    }
}
