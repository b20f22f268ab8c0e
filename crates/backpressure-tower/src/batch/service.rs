//! The batching service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use backpressure_core::Gauge;
use backpressure_rt::now;
use tower_layer::Layer;
use tower_service::Service;

use super::answers::Answers;
use super::drain::BatchDrain;
use super::error::BatchError;
use super::exchange::{Called, Exchange, LastPush};
use super::future::BatchFuture;
use super::handle::BatchHandle;
use super::layer::BatchLayer;
use super::runner::worker::BatchWorker;

/// Single calls, joined into batches: made by [`BatchLayer`], or together with its worker by [`pair`](Self::pair).
///
/// Clones are cheap and share one batcher. A clone that is ready holds one of its places until it is called or dropped.
///
/// * `poll_ready` is ready when there is a place: when fewer than [`capacity`](crate::BatchLayerBuilder::capacity) calls
///   wait for their batch. Those who wait for a place get one first come, first served. An error means that the batcher
///   has ended; it is never a matter of load.
/// * `call` puts the request into the queue at once. Requests of one handle are sent in their order; where several threads
///   call in the same moment, those of different handles may change places. The response future need not be polled for a
///   request to be sent.
/// * A caller that is alone [leads](crate::BatchWorker::led_by_callers): it calls the inner service in `call`, and polls what
///   it gets with the response future, so that it waits no longer than without a batcher. Where several threads call at once,
///   a caller may do so for others that call on its thread.
///
/// # Cancel safety
///
/// Dropping the response future takes the request back: one that has not been sent never is, and its place is free at once.
/// Of one that was sent the answer is thrown away; when nobody is left of a batch, the inner call is dropped.
///
/// When the last handle is dropped, what is queued is sent without waiting for anything more, and answered.
pub struct Batch<Req, Resp, E> {
    pub(super) exchange: Arc<Exchange<Req, Resp, E>>,
    permit: Permit,
    /// Where its last call was left, if that was in a shard.
    last: Option<LastPush>,
}

/// Where a handle is on its way to a call.
#[derive(Debug)]
enum Permit {
    None,
    /// Waits for one under this key, and since when.
    Waiting(usize, Instant),
    /// With the waker of the task, which is likely to wait for the answer, too.
    Reserved(Waker),
}

impl<Req, Resp, E> Batch<Req, Resp, E> {
    /// A handle, and the worker that has to be polled for anything to happen: spawn it, or give it to an executor of your
    /// own. [`BatchLayer`] spawns it by itself.
    ///
    /// When the worker is dropped, calls that wait are answered [`Closed`](BatchError::Closed).
    pub fn pair<S>(inner: S, layer: &BatchLayer<Req, Resp>) -> (Self, BatchWorker<S, Req, Resp>)
    where
        S: Service<Vec<Req>, Error = E>,
        S::Response: Answers<Resp, E>,
    {
        let exchange = Arc::new(Exchange::new(Arc::clone(&layer.settings), &layer.buffer));
        let worker = BatchWorker::new(Arc::clone(&exchange), inner);
        (Self { exchange, permit: Permit::None, last: None }, worker)
    }

    /// How many calls wait for their batch, how many are with the inner service, and what became of the others. A
    /// `ShedLayer` in front sheds by its state.
    ///
    /// While several threads call at once and the worker has been woken, up to 64 calls a thread may not be counted yet, as
    /// long as the state does not depend on them. Once the worker has had its turn, they are.
    ///
    /// A call whose caller calls the inner service itself counts as waiting until the inner future has been polled once. While
    /// such calls come fast and are answered at once, one in up to 16 is timed for the latencies of the flushes, unless the
    /// batcher learns from them; all of them are counted.
    pub fn gauge(&self) -> Gauge {
        self.exchange.gauge.clone()
    }

    /// A handle that changes the batcher while it is in use.
    pub fn handle(&self) -> BatchHandle<Req, Resp, E> {
        BatchHandle::new(Arc::clone(&self.exchange))
    }

    /// Ends the batcher: takes no more calls, sends what is queued without lingering, and waits until every call is
    /// answered, for `within` at most. After that, calls without an answer are answered [`Closed`](BatchError::Closed), and
    /// what the inner service has in hand is dropped when the worker runs next, which may be after this has returned.
    /// [`Duration::MAX`] waits for ever.
    ///
    /// Several drains may run at once; the earliest deadline counts.
    ///
    /// # Cancel safety
    ///
    /// The drain begins with this call. Dropping the future lifts the deadline and nothing else.
    ///
    /// # Panics
    ///
    /// When first polled outside of a tokio runtime with time enabled.
    pub fn drain(&self, within: Duration) -> BatchDrain<Req, Resp, E> {
        BatchDrain::new(Arc::clone(&self.exchange), within)
    }

    /// Changes what it has of a permit. If it has waited for one, in vain or not, that is counted and timed.
    fn set(&mut self, permit: Permit) -> Permit {
        let before = std::mem::replace(&mut self.permit, permit);
        if let Permit::Waiting(_, since) = before {
            let now = now();
            self.exchange.reporter.producer_waited();
            self.exchange.reporter.producer_wait(now, now.saturating_duration_since(since));
        }
        before
    }

    /// Waits no more, or gives the permit back.
    fn give_up(&mut self) {
        match self.set(Permit::None) {
            Permit::None => {}
            Permit::Waiting(key, _) => drop(self.exchange.update(|state, effects| state.leave(key, effects))),
            Permit::Reserved(waker) => {
                drop(waker);
                self.exchange.release();
            }
        }
    }
}

impl<Req, Resp, E> Service<Req> for Batch<Req, Resp, E> {
    type Response = Resp;
    type Error = BatchError<E>;
    type Future = BatchFuture<Req, Resp, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let mut key = match &self.permit {
            Permit::Reserved(_) => return Poll::Ready(Ok(())),
            Permit::Waiting(key, _) => Some(*key),
            Permit::None if self.exchange.try_acquire() => {
                self.permit = Permit::Reserved(cx.waker().clone());
                return Poll::Ready(Ok(()));
            }
            Permit::None => None,
        };
        let waker = cx.waker().clone();
        let (polled, dropped) = self.exchange.lock().reserve(&mut key, waker);
        drop(dropped);
        match (&polled, key) {
            (Poll::Ready(Ok(())), _) => drop(self.set(Permit::Reserved(cx.waker().clone()))),
            (Poll::Ready(Err(_)), _) => self.give_up(),
            (Poll::Pending, Some(key)) if matches!(self.permit, Permit::None) => {
                self.permit = Permit::Waiting(key, now());
                self.exchange.reporter.producer_waits();
            }
            (Poll::Pending, _) => {}
        }
        polled
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let not_ready = || BatchFuture::new(Called::answered(Err(BatchError::NotReady)));
        if !matches!(self.permit, Permit::Reserved(_)) {
            self.exchange.reporter.rejected();
            return not_ready();
        }
        // If this panics, the permit stays with the handle.
        let call = self.exchange.settings.hooks.inspector.inspect(request);
        let Permit::Reserved(waker) = std::mem::replace(&mut self.permit, Permit::None) else { return not_ready() };
        BatchFuture::new(self.exchange.call(call, waker, &mut self.last))
    }
}

/// A clone has no permit: it has to become ready by itself.
impl<Req, Resp, E> Clone for Batch<Req, Resp, E> {
    fn clone(&self) -> Self {
        self.exchange.attach();
        Self { exchange: Arc::clone(&self.exchange), permit: Permit::None, last: None }
    }
}

impl<Req, Resp, E> Drop for Batch<Req, Resp, E> {
    fn drop(&mut self) {
        self.give_up();
        self.exchange.detach();
    }
}

impl<Req, Resp, E> fmt::Debug for Batch<Req, Resp, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("gauge", &self.exchange.gauge).field("permit", &self.permit).finish()
    }
}

impl<Req, Resp, S> Layer<S> for BatchLayer<Req, Resp>
where
    Req: Send + 'static,
    Resp: Send + 'static,
    S: Service<Vec<Req>> + Clone + Send + 'static,
    S::Response: Answers<Resp, S::Error>,
    S::Error: Send + Sync + 'static,
    S::Future: Send + 'static,
{
    type Service = Batch<Req, Resp, S::Error>;

    fn layer(&self, inner: S) -> Self::Service {
        let (batch, worker) = Batch::pair(inner, self);
        tokio::spawn(worker.releasing_readiness().led_by_callers());
        batch
    }
}
