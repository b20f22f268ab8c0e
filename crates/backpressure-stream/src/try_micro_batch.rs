//! Batches of the successes of a stream of results.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backpressure_core::{BatchConfig, BatchSizer, ConfigError, DropReason, FlushPacer, Weigh, Weigher};
use futures_core::{FusedStream, Stream, TryStream};
use pin_project_lite::pin_project;

use crate::batch::Batches;
use crate::delegate::delegate;
use crate::handle::MicroBatchHandle;
use crate::upstream::Upstream;

pin_project! {
    /// Gathers the successes of a stream of results into batches. Made by
    /// [`try_micro_batch`](crate::BackpressureStreamExt::try_micro_batch).
    ///
    /// It is a [`MicroBatch`](crate::MicroBatch) in every respect but one: an error closes the open batch, which is yielded
    /// first, and is then yielded in its place, so that nothing is lost and nothing overtakes. Then it goes on, as far as the
    /// upstream does.
    ///
    /// ```
    /// use backpressure_core::{BatchConfig, Weigh, Weigher};
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::{StreamExt, stream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), backpressure_core::ConfigError> {
    /// let lines = stream::iter([Ok("a"), Ok("b"), Err("torn line"), Ok("c")]);
    /// let batches = lines.try_micro_batch(BatchConfig::builder().max_items(10).build()?);
    /// let batches: Vec<_> = batches.collect().await;
    /// assert_eq!(batches, [Ok(vec!["a", "b"]), Err("torn line"), Ok(vec!["c"])]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct TryMicroBatch<St: TryStream> {
        #[pin]
        upstream: Upstream<St>,
        batches: Batches<St::Ok>,
        // What closed the last batch, and follows it.
        error: Option<St::Error>,
    }
}

impl<St: TryStream> TryMicroBatch<St> {
    pub(crate) fn new(stream: St, config: BatchConfig) -> Self {
        Self { upstream: Upstream::new(stream), batches: Batches::single(config), error: None }
    }

    /// See [`MicroBatch::weigh_by`](crate::MicroBatch::weigh_by).
    pub fn weigh_by(mut self, weigh: impl Fn(&St::Ok) -> usize + Send + Sync + 'static) -> Self {
        self.batches.weigh_by(Weigher::by(weigh));
        self
    }

    /// Weighs each item by its own [`Weigh`]: strings and buffers by their length, so that
    /// [`max_weight`](backpressure_core::BatchConfigBuilder::max_weight) is in bytes.
    pub fn weigh_bytes(mut self) -> Self
    where
        St::Ok: Weigh,
    {
        self.batches.weigh_by(Weigher::own());
        self
    }

    /// See [`MicroBatch::adapt_linger`](crate::MicroBatch::adapt_linger).
    pub fn adapt_linger(mut self, pacer: FlushPacer) -> Self {
        self.batches.adapt_linger(pacer);
        self
    }

    /// See [`MicroBatch::adapt_size`](crate::MicroBatch::adapt_size).
    pub fn adapt_size(mut self, sizer: BatchSizer) -> Self {
        self.batches.adapt_size(sizer);
        self
    }

    /// See [`MicroBatch::max_age`](crate::MicroBatch::max_age). Errors do not expire.
    ///
    /// # Errors
    ///
    /// Refuses zero.
    pub fn max_age(mut self, max_age: Duration) -> Result<Self, ConfigError> {
        self.batches.max_age(max_age)?;
        Ok(self)
    }

    /// See [`MicroBatch::expires_by`](crate::MicroBatch::expires_by).
    pub fn expires_by<D: Into<Option<Instant>>>(
        mut self,
        deadline: impl Fn(&St::Ok) -> D + Send + Sync + 'static,
    ) -> Self {
        self.batches.expires_by(deadline);
        self
    }

    /// See [`MicroBatch::on_drop`](crate::MicroBatch::on_drop).
    pub fn on_drop(mut self, hook: impl Fn(St::Ok, DropReason) + Send + Sync + 'static) -> Self {
        self.batches.on_drop(hook);
        self
    }

    /// How many items have expired.
    pub fn expired(&self) -> u64 {
        self.batches.expired()
    }

    /// See [`MicroBatch::handle`](crate::MicroBatch::handle).
    pub fn handle(&mut self) -> MicroBatchHandle {
        self.batches.handle()
    }

    /// The items that are held, in order. The upstream is dropped, and so is an error that was to follow.
    pub fn into_remainder(self) -> Vec<St::Ok> {
        self.into_parts().1
    }

    /// The upstream, the items that are held, and the error that was to follow the last batch.
    pub fn into_parts(self) -> (St, Vec<St::Ok>, Option<St::Error>) {
        (self.upstream.into_inner(), self.batches.into_remainder(), self.error)
    }
}

impl<St: TryStream> TryMicroBatch<St> {
    #[cold]
    #[inline(never)]
    fn poll_attentively(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<<Self as Stream>::Item>> {
        let this = self.project();
        let polled = this.batches.poll_attentively(cx, source(this.upstream, this.error));
        then_error(polled, this.error)
    }
}

/// The successes that the upstream has, unless it has ended or failed. A failure is kept in `error`.
#[inline(always)]
fn source<'a, St: TryStream>(
    upstream: Pin<&'a mut Upstream<St>>,
    error: &'a mut Option<St::Error>,
) -> Option<impl FnMut(&mut Context<'_>) -> Poll<Option<St::Ok>> + 'a> {
    let live = if error.is_some() { None } else { upstream.live() };
    live.map(|mut live| {
        move |cx: &mut Context<'_>| match live.poll_by(|stream| stream.try_poll_next(cx)) {
            Poll::Ready(Some(Ok(item))) => Poll::Ready(Some(item)),
            Poll::Ready(Some(Err(failure))) => {
                *error = Some(failure);
                Poll::Ready(None)
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
}

/// The batch that comes next, or the error that follows the last one.
#[inline]
fn then_error<B, E>(polled: Poll<Option<B>>, error: &mut Option<E>) -> Poll<Option<Result<B, E>>> {
    match polled {
        Poll::Ready(Some(batch)) => Poll::Ready(Some(Ok(batch))),
        Poll::Ready(None) => Poll::Ready(error.take().map(Err)),
        Poll::Pending => Poll::Pending,
    }
}

impl<St: TryStream> Stream for TryMicroBatch<St> {
    type Item = Result<Vec<St::Ok>, St::Error>;

    /// # Cancel safety
    ///
    /// The open batch is kept in the adapter: a consumer that stops polling and starts again misses nothing.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.batches.is_attentive() {
            return self.poll_attentively(cx);
        }
        let this = self.project();
        let polled = this.batches.poll_next::<false>(cx, source(this.upstream, this.error));
        then_error(polled, this.error)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let error = usize::from(self.error.is_some());
        let (lower, upper) = self.batches.size_hint(self.upstream.size_hint());
        (lower.saturating_add(error), upper.and_then(|upper| upper.checked_add(error)))
    }
}

impl<St: TryStream> FusedStream for TryMicroBatch<St> {
    fn is_terminated(&self) -> bool {
        self.upstream.has_ended() && self.batches.is_empty() && self.error.is_none()
    }
}

delegate!(TryMicroBatch<St> where St: TryStream);

impl<St: TryStream + fmt::Debug> fmt::Debug for TryMicroBatch<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryMicroBatch")
            .field("stream", self.get_ref())
            .field("open", &self.batches.len())
            .finish_non_exhaustive()
    }
}
