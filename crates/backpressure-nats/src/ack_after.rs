//! Acknowledging what a flush delivered, and nothing else.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backpressure_controller::{ControllerBuilder, FlushBuilder, FlushError, FlushFn, FlushOutcome, Verdict};
use tower_service::Service;

use crate::delivery::{Delivery, Settler};

/// A flush target for deliveries that acknowledges what the one inside delivered. Items that it names as failed are passed on
/// unsettled, for the controller to retry or give up; so are those of a flush that failed as a whole.
///
/// Made by [`AckExt`], which says what becomes of what is given up.
#[derive(Debug, Clone)]
pub struct AckAfter<S> {
    inner: S,
}

impl<S> AckAfter<S> {
    /// Around a flush target.
    pub const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<T, S, R> Service<Vec<Delivery<T>>> for AckAfter<S>
where
    S: Service<Vec<Delivery<T>>, Response = R>,
    R: Into<FlushOutcome<Delivery<T>, S::Error>>,
{
    type Response = FlushOutcome<Delivery<T>, S::Error>;
    type Error = S::Error;
    type Future = Acking<S::Future, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, batch: Vec<Delivery<T>>) -> Self::Future {
        let settlers = batch.iter().map(Delivery::settler).collect();
        Acking { flush: Box::pin(self.inner.call(batch)), batch: settlers, items: PhantomData }
    }
}

/// The answer of [`AckAfter`]: when it comes, what was delivered is acknowledged.
///
/// # Cancel safety
///
/// Dropped before it resolves, nothing is acknowledged.
pub struct Acking<F, T> {
    flush: Pin<Box<F>>,
    batch: Vec<Settler>,
    items: PhantomData<fn() -> T>,
}

impl<F, T, R, E> Future for Acking<F, T>
where
    F: Future<Output = Result<R, E>>,
    R: Into<FlushOutcome<Delivery<T>, E>>,
{
    type Output = Result<FlushOutcome<Delivery<T>, E>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.flush.as_mut().poll(cx))?.into();
        let mut failed: Vec<_> = outcome.failed.iter().map(|failed| failed.item.id()).collect();
        failed.sort_unstable();
        let mut delivered = std::mem::take(&mut self.batch);
        delivered.retain(|settler| failed.binary_search(&settler.id()).is_err());
        Settler::acknowledge(&delivered);
        Poll::Ready(Ok(outcome))
    }
}

impl<F, T> fmt::Debug for Acking<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acking").field("batch", &self.batch.len()).finish_non_exhaustive()
    }
}

/// Flush targets for deliveries. What a flush delivered is acknowledged; what it did not, after the controller's own
/// [retries](FlushBuilder::retry) if there are any, is given back by [`Delivery::retry`], or terminated if the verdict is
/// [`Final`](Verdict::Final). Items that are shed, evicted, or abandoned by a drain are given back when they are dropped.
///
/// To do something else about what failed, set [`on_failed`](FlushBuilder::on_failed) afterwards, and call
/// [`give_back`] in it for what is left.
///
/// ```
/// use std::time::Duration;
/// use backpressure_controller::BackpressureController;
/// use backpressure_core::BackpressureConfig;
/// use backpressure_nats::{AckExt, Delivery, PullSource};
///
/// # async fn work(mut source: PullSource<String>) -> Result<(), Box<dyn std::error::Error>> {
/// let config = BackpressureConfig::builder().capacity(1_000).batch_items(100).build()?;
/// let controller = BackpressureController::builder(config)
///     .flush_acked_fn(async |rows: Vec<Delivery<String>>| {
///         for row in &rows {
///             println!("{} under the key {}", row.item(), row.id());
///         }
///         Ok::<_, std::io::Error>(())
///     })
///     .concurrency(4)
///     .spawn()?;
/// let handle = source.handle();
/// while let Some(delivery) = source.next().await {
///     controller.push(delivery).await?;
/// }
/// // The source was stopped. What was taken from it is flushed, answered for, and only then is the connection closed.
/// controller.drain(Duration::from_secs(20)).await;
/// tokio::time::timeout(Duration::from_secs(5), handle.settled()).await?;
/// # Ok(())
/// # }
/// ```
pub trait AckExt<T>: Sized {
    /// Flushes into a service, as [`ControllerBuilder::flush`] does.
    fn flush_acked<S>(self, service: S) -> FlushBuilder<Delivery<T>, AckAfter<S>>
    where
        S: Service<Vec<Delivery<T>>, Response: Into<FlushOutcome<Delivery<T>, S::Error>>>;

    /// Flushes by calling an async closure, as [`ControllerBuilder::flush_fn`] does.
    fn flush_acked_fn<F, Fut, R, E>(self, f: F) -> FlushBuilder<Delivery<T>, AckAfter<FlushFn<F>>>
    where
        F: FnMut(Vec<Delivery<T>>) -> Fut,
        Fut: Future<Output = Result<R, E>>,
        R: Into<FlushOutcome<Delivery<T>, E>>;
}

impl<T> AckExt<T> for ControllerBuilder<Delivery<T>> {
    fn flush_acked<S>(self, service: S) -> FlushBuilder<Delivery<T>, AckAfter<S>>
    where
        S: Service<Vec<Delivery<T>>, Response: Into<FlushOutcome<Delivery<T>, S::Error>>>,
    {
        self.flush(AckAfter::new(service)).keep_copies().on_failed(|items, error| give_back(items, &error))
    }

    fn flush_acked_fn<F, Fut, R, E>(self, f: F) -> FlushBuilder<Delivery<T>, AckAfter<FlushFn<F>>>
    where
        F: FnMut(Vec<Delivery<T>>) -> Fut,
        Fut: Future<Output = Result<R, E>>,
        R: Into<FlushOutcome<Delivery<T>, E>>,
    {
        self.flush_acked(FlushFn::new(f))
    }
}

/// Gives back what failed for good in this process: terminated if the verdict is [`Final`](Verdict::Final), or else to be delivered
/// again as the [redelivery policy](crate::PullConfig::redeliver) says, and not sooner than the verdict asks for.
pub fn give_back<T, E>(items: impl IntoIterator<Item = Delivery<T>>, error: &FlushError<E>) {
    for delivery in items {
        match error.verdict() {
            Verdict::Final => delivery.term(),
            Verdict::RetryAfter(least) => delivery.retry(least),
            Verdict::Retry => delivery.retry(Duration::ZERO),
        };
    }
}
