//! Batches by size, weight and time.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backpressure_core::{BatchConfig, BatchSizer, ConfigError, DropReason, FlushPacer, Weigh, Weigher};
use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

use crate::batch::Batches;
use crate::delegate::delegate;
use crate::handle::MicroBatchHandle;
use crate::upstream::Upstream;

pin_project! {
    /// Gathers items into batches. Made by [`micro_batch`](crate::BackpressureStreamExt::micro_batch).
    ///
    /// A batch is yielded when it has its most items or its most weight; when its first item has waited for the linger, even
    /// if the upstream never pauses; when nothing has come for the quiet time; and at the end. It is never empty, and one
    /// after the other the batches are the input. See [`BatchConfig`].
    ///
    /// ```text
    ///  upstream   a  b  c                d                     e f g h i j
    ///             ├───── linger ────────▶│                     ├─ size ──▶
    ///  consumer                  [a b c d]                      [e f g h i]
    /// ```
    ///
    /// While the consumer is busy nothing is pulled; a batch that falls due meanwhile is yielded first. Being asked for a
    /// batch is no reason to close one.
    ///
    /// # Time
    ///
    /// The clock is tokio's. While items keep coming it is read every 256 of them, or as often as it takes to know the time
    /// to a quarter of a millisecond at their pace; a linger below that counts as that much. A timer is armed only when the
    /// upstream pauses with a batch open, once for a batch, and its promise goes with the batch: after a batch that was full
    /// nothing is left that could wake the task. A linger of zero needs no timer: a batch is what the upstream has ready in one go.
    ///
    /// One poll pulls at most 1024 items if no batch closes, then yields to the executor.
    ///
    /// # Expiry
    ///
    /// Where items expire (see [`max_age`](Self::max_age) and [`expires_by`](Self::expires_by)), those that are too old for the
    /// batch are dropped, counted and given to the [hook](Self::on_drop). No batch holds an item that had expired when it was
    /// yielded, and one of which nothing is left is not yielded. An item counts as having come at the latest look at the clock
    /// before it: a poll begins with one, and a batch closes with one.
    ///
    /// # Panics
    ///
    /// When polled outside a tokio runtime with time enabled, if a timer is needed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backpressure_core::{BatchConfig, Weigh, Weigher};
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::StreamExt;
    /// use tokio_stream::wrappers::UnboundedReceiverStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, rx) = tokio::sync::mpsc::unbounded_channel();
    /// let config = BatchConfig::builder().max_items(2).linger(Duration::from_millis(5)).build()?;
    /// let mut batches = UnboundedReceiverStream::new(rx).micro_batch(config);
    ///
    /// for event in ["login", "click", "click"] {
    ///     tx.send(event)?;
    /// }
    /// assert_eq!(batches.next().await, Some(vec!["login", "click"])); // full, at once
    /// assert_eq!(batches.next().await, Some(vec!["click"])); // 5 ms later
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct MicroBatch<St: Stream> {
        #[pin]
        upstream: Upstream<St>,
        batches: Batches<St::Item>,
    }
}

impl<St: Stream> MicroBatch<St> {
    pub(crate) fn new(stream: St, config: BatchConfig) -> Self {
        Self { upstream: Upstream::new(stream), batches: Batches::single(config) }
    }

    /// Weighs each item, once, when it is pulled. Counts where the configuration bounds the weight; without this every item
    /// weighs 1.
    pub fn weigh_by(mut self, weigh: impl Fn(&St::Item) -> usize + Send + Sync + 'static) -> Self {
        self.batches.weigh_by(Weigher::by(weigh));
        self
    }

    /// Weighs each item by its own [`Weigh`]: strings and buffers by their length, so that
    /// [`max_weight`](backpressure_core::BatchConfigBuilder::max_weight) is in bytes.
    pub fn weigh_bytes(mut self) -> Self
    where
        St::Item: Weigh,
    {
        self.batches.weigh_by(Weigher::own());
        self
    }

    /// Adapts the linger to the consumer, within the bounds of `pacer`, instead of the configured one.
    ///
    /// What the consumer takes for a batch is the time from yielding it to being polled again. If that is long the linger
    /// grows, so that batches get fewer and fuller; if it is short the linger shrinks. This reads the clock twice a batch.
    pub fn adapt_linger(mut self, pacer: FlushPacer) -> Self {
        self.batches.adapt_linger(pacer);
        self
    }

    /// Adapts the most items of a batch to the consumer, within the bounds of `sizer`, instead of the configured ones.
    ///
    /// What the consumer takes for a batch is the time from yielding it to being polled again. Full batches that take too
    /// long make the next ones smaller; full ones that do not make them larger. This reads the clock twice a batch.
    pub fn adapt_size(mut self, sizer: BatchSizer) -> Self {
        self.batches.adapt_size(sizer);
        self
    }

    /// Drops items that have been in the adapter for this long when their batch is yielded, for [`DropReason::Expired`].
    ///
    /// It is for a consumer that may be away for longer than the items are worth something. While it is not, the linger says
    /// how old they get.
    ///
    /// # Errors
    ///
    /// Refuses zero.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backpressure_core::{BatchConfig, DropReason};
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::{FutureExt, StreamExt};
    /// use tokio_stream::wrappers::UnboundedReceiverStream;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, rx) = tokio::sync::mpsc::unbounded_channel();
    /// let config = BatchConfig::builder().max_items(10).linger(Duration::from_millis(20)).build()?;
    /// let batches = UnboundedReceiverStream::new(rx).micro_batch(config);
    /// let mut fresh = batches.max_age(Duration::from_secs(1))?.on_drop(|quote, reason| {
    ///     assert_eq!((quote, reason), ("12.50", DropReason::Expired));
    /// });
    ///
    /// tx.send("12.50")?;
    /// assert_eq!(fresh.next().now_or_never(), None); // "12.50" is in the open batch
    /// tokio::time::advance(Duration::from_secs(1)).await; // the consumer is busy elsewhere
    /// tx.send("12.75")?;
    /// assert_eq!(fresh.next().await, Some(vec!["12.75"]));
    /// assert_eq!(fresh.expired(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_age(mut self, max_age: Duration) -> Result<Self, ConfigError> {
        self.batches.max_age(max_age)?;
        Ok(self)
    }

    /// Asks each item, once, when it is pulled, for its deadline: an [`Instant`], or `None` if it does not expire. An item that
    /// is past it when its batch is yielded is not in it, but lost for [`DropReason::Expired`]. With a
    /// [`max_age`](Self::max_age) too, whichever comes first counts. What was pulled before has no deadline.
    pub fn expires_by<D: Into<Option<Instant>>>(
        mut self,
        deadline: impl Fn(&St::Item) -> D + Send + Sync + 'static,
    ) -> Self {
        self.batches.expires_by(deadline);
        self
    }

    /// Gets each lost item, once, by value, with the reason: what has expired, and what is held when the adapter is dropped.
    /// It may panic: the panic goes to whoever polls or drops, the adapter is none the worse.
    pub fn on_drop(mut self, hook: impl Fn(St::Item, DropReason) + Send + Sync + 'static) -> Self {
        self.batches.on_drop(hook);
        self
    }

    /// How many items have expired.
    pub fn expired(&self) -> u64 {
        self.batches.expired()
    }

    /// Changes size, weight, linger and quiet time while the stream is in use: it takes what the handle leaves when it is polled
    /// next, and its task is woken for that. Take it before the stream is used; a stream without a handle does not look for one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backpressure_core::BatchConfig;
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::StreamExt;
    /// use tokio_stream::wrappers::UnboundedReceiverStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, rx) = tokio::sync::mpsc::unbounded_channel();
    /// let config = BatchConfig::builder().max_items(100).linger(Duration::from_secs(3600));
    /// let mut batches = UnboundedReceiverStream::new(rx).micro_batch(config.clone().build()?);
    /// let handle = batches.handle();
    /// let first = tokio::spawn(async move { batches.next().await });
    ///
    /// tx.send("login")?;
    /// tokio::task::yield_now().await; // it is in a batch that would take an hour
    /// handle.reconfigure(config.linger(Duration::from_millis(5)).build()?)?;
    /// assert_eq!(first.await?, Some(vec!["login"]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn handle(&mut self) -> MicroBatchHandle {
        self.batches.handle()
    }

    /// The items that are held, in order. The upstream is dropped.
    pub fn into_remainder(self) -> Vec<St::Item> {
        self.into_parts().1
    }

    /// The upstream, and the items that are held, in order.
    pub fn into_parts(self) -> (St, Vec<St::Item>) {
        (self.upstream.into_inner(), self.batches.into_remainder())
    }
}

impl<St: Stream> MicroBatch<St> {
    #[cold]
    #[inline(never)]
    fn poll_attentively(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<St::Item>>> {
        let this = self.project();
        this.batches.poll_attentively(cx, source(this.upstream))
    }
}

/// What the upstream has, unless it has ended.
#[inline(always)]
fn source<St: Stream>(
    upstream: Pin<&mut Upstream<St>>,
) -> Option<impl FnMut(&mut Context<'_>) -> Poll<Option<St::Item>>> {
    upstream.live().map(|mut live| move |cx: &mut Context<'_>| live.poll_by(|stream| stream.poll_next(cx)))
}

impl<St: Stream> Stream for MicroBatch<St> {
    type Item = Vec<St::Item>;

    /// # Cancel safety
    ///
    /// The open batch is kept in the adapter: a consumer that stops polling and starts again misses nothing.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<St::Item>>> {
        if self.batches.is_attentive() {
            return self.poll_attentively(cx);
        }
        let this = self.project();
        this.batches.poll_next::<false>(cx, source(this.upstream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batches.size_hint(self.upstream.size_hint())
    }
}

impl<St: Stream> FusedStream for MicroBatch<St> {
    fn is_terminated(&self) -> bool {
        self.upstream.has_ended() && self.batches.is_empty()
    }
}

delegate!(MicroBatch<St>);

impl<St: Stream + fmt::Debug> fmt::Debug for MicroBatch<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MicroBatch")
            .field("stream", self.get_ref())
            .field("open", &self.batches.len())
            .finish_non_exhaustive()
    }
}
