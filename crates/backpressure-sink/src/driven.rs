//! The handle to a sink that a driver empties.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use backpressure_core::Gauge;
use futures_sink::Sink;

use crate::error::BackpressureSinkError;
use crate::link::{Shared, Want};

/// A [`BackpressureSink`](crate::BackpressureSink) whose items go out by themselves: a [`Driver`](crate::Driver) delivers
/// them, and flushes the inner sink whenever nothing is queued.
///
/// Made by [`BackpressureSink::drive`](crate::BackpressureSink::drive). As a sink it has the same bound, strategy and hooks:
///
/// * `poll_ready` and `start_send` answer from the buffer alone, and cost no trip to the inner sink;
/// * `poll_flush` is ready when the buffer is empty and the inner sink is flushed;
/// * `poll_close` is ready when what was accepted has been delivered and the inner sink is closed.
///
/// Dropping the handle ends the intake: the driver delivers the rest, closes the inner sink and resolves. If the driver is
/// dropped first, the sink is closed: sending hands the item back, and
/// [`take_remainder`](Self::take_remainder) takes out what was queued.
///
/// # Errors
///
/// An error of the inner sink stops the driver until it has surfaced here, from the next poll of any kind; then the driver
/// goes on. That leaves time to [take the rest back](Self::take_remainder) or to drop the driver.
///
/// # Cancel safety
///
/// As with the sink it was made of: no future of `feed`, `send`, `flush` or `close` holds anything but an item that has
/// not been sent.
///
/// # Example
///
/// ```
/// use backpressure_core::BackpressureConfig;
/// use backpressure_sink::BackpressureSinkExt;
/// use futures_util::{SinkExt, sink};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (arrivals, arrived) = std::sync::mpsc::channel();
/// let inner = Box::pin(sink::unfold((), move |(), item| std::future::ready(arrivals.send(item))));
///
/// let (mut sink, driver) = inner.bounded(BackpressureConfig::default()).drive();
/// let driver = tokio::spawn(driver);
/// sink.feed("the tail").await?; // no flush, no further send
/// tokio::task::yield_now().await;
/// assert_eq!(arrived.try_recv()?, "the tail");
///
/// drop(sink);
/// driver.await??;
/// # Ok(())
/// # }
/// ```
#[must_use = "a handle that is dropped closes the sink"]
pub struct Driven<T, E> {
    shared: Arc<Shared<T, E>>,
}

impl<T, E> Driven<T, E> {
    pub(crate) const fn new(shared: Arc<Shared<T, E>>) -> Self {
        Self { shared }
    }

    /// How full the buffer is, and what has happened to the items.
    pub fn gauge(&self) -> Gauge {
        self.shared.gauge.clone()
    }

    /// Takes back what is queued, in the order of delivery; the sink goes on, empty. The items are counted as lost to a
    /// [closed](backpressure_core::DropReason::Closed) consumer, but are given to the caller instead of the hook.
    pub fn take_remainder(&mut self) -> Vec<T> {
        self.shared.evacuate()
    }
}

impl<T, E> Sink<T> for Driven<T, E> {
    type Error = BackpressureSinkError<T, E>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.shared.poll_for(Want::Room, cx)
    }

    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), Self::Error> {
        self.shared.offer(item)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.shared.poll_for(Want::Flushed, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.shared.close();
        self.shared.poll_for(Want::Closed, cx)
    }
}

impl<T, E> Drop for Driven<T, E> {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

impl<T, E> fmt::Debug for Driven<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven").field("state", &self.shared.gauge.state()).finish_non_exhaustive()
    }
}
