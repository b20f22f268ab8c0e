//! Any tower service as a sink.

use std::fmt;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use backpressure_core::{ConfigError, Gauge};
use backpressure_rt::InFlight;
use futures_sink::Sink;
use tower_service::Service;

use crate::books::Books;
use crate::error::BackpressureSinkError;
use crate::phase::Phase;
use crate::progress::{BUDGET, Stopped};

/// Any tower service as a sink of its requests: an item sent is a call made.
///
/// * `poll_ready` is ready when fewer calls than the [`concurrency`](Self::concurrency) are in flight and the service
///   itself is ready. The service that was ready is the one that is called.
/// * `start_send` makes the call. The calls are polled in place, without a task each, whenever the sink is polled; one that
///   is slow holds up no other.
/// * `poll_flush` is ready when every call has been answered.
/// * `poll_close` likewise; after it the service is not called again.
///
/// Responses are dropped, or given to [`on_response`](Self::on_response) as they come.
///
/// # Errors
///
/// The error of a call surfaces once, from the poll that comes across it; the other calls go on. An error of the service's
/// own `poll_ready` means that it cannot be called again, so from then on the sink is closed, except for calls in flight.
///
/// # Cancel safety
///
/// The futures of `send`, `flush` and `close` hold nothing but an item that has not been sent. Dropping the sink drops the
/// calls in flight.
///
/// # Example
///
/// ```
/// use backpressure_sink::ServiceSink;
/// use futures_util::{StreamExt, stream};
/// use tower::service_fn;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let database = service_fn(|row: u32| async move { Ok::<_, std::io::Error>(row * 10) });
/// let (responses, answered) = std::sync::mpsc::channel();
/// let sink = ServiceSink::new(database)
///     .concurrency(8)?
///     .on_response(move |key| responses.send(key).unwrap_or_default());
///
/// stream::iter(1..=3).map(Ok).forward(sink).await?;
/// assert_eq!(answered.iter().sum::<u32>(), 60);
/// # Ok(())
/// # }
/// ```
#[must_use = "sinks do nothing unless polled"]
pub struct ServiceSink<S, T>
where
    S: Service<T>,
{
    service: S,
    /// Whether the service is ready and has not been called since.
    readied: bool,
    /// Whether the service has failed for good.
    broken: bool,
    calls: InFlight<S::Future>,
    /// Slots that calls have left.
    vacant: Vec<usize>,
    books: Books,
    concurrency: usize,
    on_response: Option<Box<dyn FnMut(S::Response) + Send>>,
    phase: Phase,
    item: PhantomData<fn(T)>,
}

impl<S: Service<T>, T> ServiceSink<S, T> {
    /// One call at a time, in order. For more see [`concurrency`](Self::concurrency).
    pub fn new(service: S) -> Self {
        Self {
            service,
            readied: false,
            broken: false,
            calls: InFlight::new(),
            vacant: Vec::new(),
            books: Books::new(1),
            concurrency: 1,
            on_response: None,
            phase: Phase::Open,
            item: PhantomData,
        }
    }

    /// The most calls in flight. At least 1. Default 1. Calls that are in flight together may be answered in any order.
    ///
    /// The [`gauge`](Self::gauge) starts anew.
    ///
    /// # Errors
    ///
    /// Refuses 0.
    pub fn concurrency(self, calls: usize) -> Result<Self, ConfigError> {
        if calls == 0 {
            return Err(ConfigError::new("concurrency", 0, "at least 1"));
        }
        let made = self.calls.len();
        let mut books = Books::new(calls.max(made));
        (0..made).for_each(|_| books.dispatch());
        Ok(Self { concurrency: calls, books, ..self })
    }

    /// Gets each response as it comes. If it panics, that goes to whoever polls; the sink is none the worse.
    pub fn on_response(self, hook: impl FnMut(S::Response) + Send + 'static) -> Self {
        Self { on_response: Some(Box::new(hook)), ..self }
    }

    /// How many of the calls that may be in flight are, and what became of the others. Also
    /// [`Blocked`](backpressure_core::State::Blocked) from a poll that found the service not ready to the next that finds it
    /// ready, however few the calls.
    ///
    /// Whoever was told to wait counts as a [producer that waits](backpressure_core::Snapshot::producers_waiting) until the
    /// sink is found ready, fails, is closed or is dropped.
    pub fn gauge(&self) -> Gauge {
        self.books.gauge()
    }

    /// The service.
    pub const fn get_ref(&self) -> &S {
        &self.service
    }

    /// The service. Calling it directly is outside the concurrency.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.service
    }

    /// The service. Calls in flight are dropped.
    pub fn into_inner(self) -> S {
        self.service
    }

    /// Deals with the calls that have been answered, up to the first that failed.
    fn poll_calls(&mut self, cx: &Context<'_>) -> Result<Stopped, BackpressureSinkError<T, S::Error>> {
        for _ in 0..BUDGET {
            let Some(slot) = self.calls.next_woken() else {
                self.calls.register(cx);
                return Ok(if self.calls.is_empty() { Stopped::Done } else { Stopped::Waiting });
            };
            let Some(outcome) = self.calls.poll(slot) else { continue };
            self.vacant.push(slot);
            match outcome {
                Ok(Ok(response)) => {
                    self.books.deliver();
                    if let Some(hook) = &mut self.on_response {
                        hook(response);
                    }
                }
                Ok(Err(source)) => {
                    self.books.fail();
                    return Err(BackpressureSinkError::Inner { source, lost: 1, in_doubt: 0 });
                }
                Err(panic) => {
                    self.books.fail();
                    resume_unwind(panic);
                }
            }
        }
        Ok(if self.calls.is_empty() { Stopped::Done } else { Stopped::Yielding })
    }

    /// Ready once a call can be made.
    fn poll_readiness(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BackpressureSinkError<T, S::Error>>> {
        if self.phase != Phase::Open {
            return Poll::Ready(Err(BackpressureSinkError::Closed(None)));
        }
        let stopped = self.poll_calls(cx)?;
        if self.broken {
            return Poll::Ready(Err(BackpressureSinkError::Closed(None)));
        }
        if self.calls.len() >= self.concurrency {
            return stopped.poll(cx).map(Ok);
        }
        if !self.readied {
            let ready = self.service.poll_ready(cx);
            self.books.stall(ready.is_pending());
            let ready = ready!(ready);
            self.broken = ready.is_err();
            ready.map_err(|source| BackpressureSinkError::Inner { source, lost: 0, in_doubt: 0 })?;
            self.readied = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Service<T>, T> Sink<T> for ServiceSink<S, T> {
    type Error = BackpressureSinkError<T, S::Error>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = self.get_mut();
        let polled = this.poll_readiness(cx);
        if polled.is_pending() {
            this.books.begin_wait();
        } else {
            this.books.end_wait();
        }
        polled
    }

    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), Self::Error> {
        let this = self.get_mut();
        if this.phase != Phase::Open || this.broken {
            this.books.reject();
            return Err(BackpressureSinkError::Closed(Some(item)));
        }
        if !std::mem::take(&mut this.readied) {
            this.books.reject();
            return Err(BackpressureSinkError::Full(item));
        }
        let call = this.service.call(item);
        let slot = this.vacant.pop().unwrap_or(this.calls.len());
        this.calls.insert(slot, call);
        this.calls.queue(slot);
        this.books.dispatch();
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.get_mut().poll_calls(cx)?.poll(cx).map(Ok)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = self.get_mut();
        if this.phase == Phase::Open {
            this.phase = Phase::Draining;
            this.books.drain();
        }
        ready!(this.poll_calls(cx)?.poll(cx));
        this.phase = Phase::Closed;
        Poll::Ready(Ok(()))
    }
}

/// Nothing in here is ever pinned in place: a service needs no pin, and the calls are pinned on the heap.
impl<S: Service<T>, T> Unpin for ServiceSink<S, T> {}

impl<S: Service<T> + fmt::Debug, T> fmt::Debug for ServiceSink<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceSink")
            .field("service", &self.service)
            .field("in_flight", &self.calls.len())
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
