//! The worker task of a batcher.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use backpressure_core::DropReason;
use tower_service::Service;

use super::engine::Engine;
use crate::batch::answers::Answers;
use crate::batch::exchange::{Exchange, Run, Runner, Turn};

/// The future that does the work of a [`Batch`](crate::Batch): made by [`Batch::pair`](crate::Batch::pair), to be spawned.
///
/// It calls the inner service and polls its futures in place; no further task is spawned. It ends when every handle is gone
/// and every call answered, or after a [drain](crate::Batch::drain). It runs on any executor; lingering and deadlines need
/// tokio's time.
///
/// Dropped before its end, it drops the inner calls and answers those who wait with
/// [`Closed`](crate::BatchError::Closed).
#[must_use = "nothing is answered unless the worker is polled"]
pub struct BatchWorker<S, Req, Resp>
where
    S: Service<Vec<Req>>,
{
    exchange: Arc<Exchange<Req, Resp, S::Error>>,
    /// `None` where callers may run it: it is in the exchange then, or with one of them.
    engine: Option<Box<Engine<S, Req, Resp>>>,
}

impl<S, Req, Resp> BatchWorker<S, Req, Resp>
where
    S: Service<Vec<Req>>,
    S::Response: Answers<Resp, S::Error>,
{
    pub(crate) fn new(exchange: Arc<Exchange<Req, Resp, S::Error>>, service: S) -> Self {
        let engine = Box::new(Engine::new(Arc::clone(&exchange), service));
        Self { exchange, engine: Some(engine) }
    }

    /// Lets go of the inner service's readiness when nobody is left to use it. Before [`led_by_callers`](Self::led_by_callers),
    /// or it has no effect.
    ///
    /// A service that is asked for readiness may take a permit for the call to come, or a place in line for one. When all the
    /// callers of that batch go away, the next batch uses it; but until there is one, others may miss it. With
    /// this, the service is then dropped and replaced by a fresh clone. [`BatchLayer`](crate::BatchLayer) does so.
    pub fn releasing_readiness(mut self) -> Self
    where
        S: Clone,
    {
        if let Some(engine) = &mut self.engine {
            engine.inner.enable_release();
        }
        self
    }

    /// Lets a caller that is alone call the inner service itself, so that it pays for no trip to another task and back.
    /// [`BatchLayer`](crate::BatchLayer) does so.
    ///
    /// It does if nothing is queued or with the inner service, if batches do not linger then, if the last batch was of one
    /// request too, and if the service is ready at once. The inner call is made in `call`, and polled with the response
    /// future. As soon as anybody else calls or drains, or if the future is dropped, the worker takes the inner call over:
    /// so a response future that is not polled any more holds up nobody but itself. Now and then a call that is alone goes
    /// through the worker all the same, if the service answers without ever being pending: a caller that never waits would not
    /// let others call.
    ///
    /// Where several threads call at once, a caller that completes a batch of its thread's calls calls the inner service
    /// for all of them in `call`, too. What is not answered at once the worker takes over.
    ///
    /// If this is called in a tokio runtime, the inner service runs in the context of that runtime, whoever calls it.
    pub fn led_by_callers(mut self) -> Self
    where
        Req: Send + 'static,
        Resp: Send + 'static,
        S: Send + 'static,
        S::Error: Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        if let Some(engine) = self.engine.take() {
            let mut runner = Some(Runner::new(engine));
            self.exchange.lock().put_back(&mut runner);
        }
        self
    }
}

impl<S, Req, Resp> Future for BatchWorker<S, Req, Resp>
where
    S: Service<Vec<Req>>,
    S::Response: Answers<Resp, S::Error>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(engine) = &mut self.engine {
            return engine.work(cx);
        }
        let waker = cx.waker().clone();
        let turn = self.exchange.lock_uncollected().take_turn(waker);
        match turn {
            Turn::Run(mut runner, _unused) => {
                let worked = runner.as_worker().work(cx);
                if worked.is_pending() {
                    let mut runner = Some(runner);
                    self.exchange.lock_uncollected().put_back(&mut runner);
                }
                worked
            }
            Turn::Later(waker) => {
                waker.wake();
                Poll::Pending
            }
            Turn::Wait(_replaced) => Poll::Pending,
            Turn::Over(_unused) => Poll::Ready(()),
        }
    }
}

/// Nothing in here is pinned in place.
impl<S: Service<Vec<Req>>, Req, Resp> Unpin for BatchWorker<S, Req, Resp> {}

impl<S: Service<Vec<Req>>, Req, Resp> Drop for BatchWorker<S, Req, Resp> {
    fn drop(&mut self) {
        self.exchange.end(None, DropReason::Closed);
        let runner = self.exchange.lock().runner.take();
        drop(runner);
    }
}

impl<S: Service<Vec<Req>>, Req, Resp> fmt::Debug for BatchWorker<S, Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchWorker").field("gauge", &self.exchange.gauge).finish_non_exhaustive()
    }
}
