//! The handle that producers hold.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backpressure_channel::{SendError, Sender, Sending, Sent, SinkError};
use backpressure_core::{BackpressureConfig, Gauge, Snapshot};
use futures_sink::Sink;
use tokio::sync::{mpsc, oneshot};

use crate::builder::ControllerBuilder;
use crate::drain::{DrainReport, Parcel};

/// Many producers in front of one flush target. See the [crate] for the whole picture.
///
/// A handle: clone it for more producers. When the last one is dropped, what was accepted is flushed and the work ends;
/// to wait for that, and to bound it, [`drain`](Self::drain). It is a [`Sink`] too, so a stream can be forwarded into it.
pub struct BackpressureController<T> {
    sender: Sender<T>,
    commands: mpsc::UnboundedSender<Command<T>>,
}

/// What a handle may ask of the worker.
pub(crate) enum Command<T> {
    Flush(oneshot::Sender<()>),
    Drain { began: Instant, deadline: Option<Instant>, done: oneshot::Sender<Parcel<T>> },
}

impl<T> BackpressureController<T> {
    /// Starts building a controller.
    pub fn builder(config: BackpressureConfig) -> ControllerBuilder<T> {
        ControllerBuilder::new(config)
    }

    pub(crate) const fn new(sender: Sender<T>, commands: mpsc::UnboundedSender<Command<T>>) -> Self {
        Self { sender, commands }
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
    pub fn push(&self, item: T) -> Sending<'_, T> {
        self.sender.send(item)
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
    /// before the call has a fate (delivered, failed for good, evicted or abandoned by a drain).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, the flush goes on all the same.
    pub async fn flush(&self) {
        let (done, answer) = oneshot::channel();
        // A worker that is gone has left nothing without a fate.
        if self.commands.send(Command::Flush(done)).is_ok() {
            let _ = answer.await;
        }
    }

    /// Stops the intake, delivers what was accepted and reports. Returns by the deadline, counted from the call, even if
    /// the flush target never answers: what was not delivered by then is handed back in the report and counted as
    /// dropped for `DropReason::DrainDeadline`. [`Duration::MAX`] waits as long as it takes.
    ///
    /// Producers get their items back as closed from the call on. If several handles drain, the earliest deadline counts.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, the drain goes on, and what it abandons goes to the next that asked for a report or to
    /// the `on_drop` hook.
    pub async fn drain(&self, deadline: Duration) -> DrainReport<T> {
        let began = now();
        let (done, answer) = oneshot::channel();
        let command = Command::Drain { began, deadline: began.checked_add(deadline), done };
        if self.commands.send(command).is_err() {
            return DrainReport::nothing_left();
        }
        self.sender.close_channel();
        answer.await.map_or(DrainReport::nothing_left(), Parcel::open)
    }

    /// Whether the intake is closed: a drain has begun, or the flush target is gone.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
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

/// Tokio's clock, so that a paused one is followed.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl<T> Clone for BackpressureController<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), commands: self.commands.clone() }
    }
}

impl<T> fmt::Debug for BackpressureController<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackpressureController").field("state", &self.gauge().state()).finish_non_exhaustive()
    }
}
