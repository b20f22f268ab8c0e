//! Batches by key.

use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll};

use backpressure_core::{BatchConfig, ConfigError, Weigh, Weigher};
use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

use crate::batch::KeyedBatches;
use crate::delegate::delegate;
use crate::handle::MicroBatchHandle;
use crate::upstream::Upstream;

pin_project! {
    /// Gathers items into a batch per key. Made by [`micro_batch_by`](crate::BackpressureStreamExt::micro_batch_by).
    ///
    /// Each key has a batch of its own, under the bounds of the configuration, which is opened by the key's first item and
    /// yielded together with the key. The items of a key, and so its batches, keep their order. Batches that are due go in
    /// the order in which they fell due: a key with a great many items does not keep the batch of another waiting.
    ///
    /// The number of open batches is bounded: see [`max_keys`](Self::max_keys). At the end what is open is yielded by age.
    ///
    /// It needs a tokio runtime with time enabled as a [`MicroBatch`](crate::MicroBatch) does.
    ///
    /// ```
    /// use backpressure_core::{BatchConfig, Weigh, Weigher};
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::{StreamExt, stream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), backpressure_core::ConfigError> {
    /// let words = stream::iter(["apple", "bean", "avocado", "beet", "carrot", "almond"]);
    /// let by_letter = words.micro_batch_by(|word| word.chars().next(), BatchConfig::builder().max_items(2).build()?);
    /// let batches: Vec<_> = by_letter.collect().await;
    /// assert_eq!(batches, [
    ///     (Some('a'), vec!["apple", "avocado"]),
    ///     (Some('b'), vec!["bean", "beet"]),
    ///     (Some('c'), vec!["carrot"]),
    ///     (Some('a'), vec!["almond"]),
    /// ]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct MicroBatchBy<St: Stream, K, F> {
        #[pin]
        upstream: Upstream<St>,
        key: F,
        batches: KeyedBatches<K, St::Item>,
    }
}

impl<St: Stream, K, F> MicroBatchBy<St, K, F> {
    pub(crate) fn new(stream: St, key: F, config: BatchConfig) -> Self {
        Self { upstream: Upstream::new(stream), key, batches: KeyedBatches::keyed(config) }
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

    /// The most keys that have a batch open. At least 1. Default 1024.
    ///
    /// When an item of yet another key comes, the batch that was opened first is closed to make room. More keys make fuller
    /// batches where keys are many, and hold up to as many times the bounds of a batch in memory.
    ///
    /// # Errors
    ///
    /// Refuses zero.
    pub fn max_keys(mut self, max_keys: usize) -> Result<Self, ConfigError> {
        if max_keys == 0 {
            return Err(ConfigError::new("max_keys", max_keys, "at least 1"));
        }
        self.batches.set_max_keys(max_keys);
        Ok(self)
    }

    /// Changes the batches of all keys while the stream is in use. See [`MicroBatch::handle`](crate::MicroBatch::handle).
    pub fn handle(&mut self) -> MicroBatchHandle {
        self.batches.handle()
    }
}

impl<St: Stream, K: Hash + Eq + Clone, F> MicroBatchBy<St, K, F> {
    /// The batches that are held, by age. The upstream is dropped.
    pub fn into_remainder(self) -> Vec<(K, Vec<St::Item>)> {
        self.into_parts().1
    }

    /// The upstream, and the batches that are held, by age.
    #[expect(clippy::type_complexity, reason = "two parts, each what it says")]
    pub fn into_parts(self) -> (St, Vec<(K, Vec<St::Item>)>) {
        (self.upstream.into_inner(), self.batches.into_remainder())
    }
}

impl<St, K, F> Stream for MicroBatchBy<St, K, F>
where
    St: Stream,
    K: Hash + Eq + Clone,
    F: FnMut(&St::Item) -> K,
{
    type Item = (K, Vec<St::Item>);

    /// # Cancel safety
    ///
    /// Open batches are kept in the adapter: a consumer that stops polling and starts again misses nothing.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let key = this.key;
        let source = this.upstream.live().map(|mut live| {
            move |cx: &mut Context<'_>| {
                let polled = live.poll_by(|stream| stream.poll_next(cx));
                polled.map(|item| item.map(|item| (key(&item), item)))
            }
        });
        this.batches.poll_batch(cx, source)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batches.size_hint(self.upstream.size_hint())
    }
}

impl<St, K, F> FusedStream for MicroBatchBy<St, K, F>
where
    St: Stream,
    K: Hash + Eq + Clone,
    F: FnMut(&St::Item) -> K,
{
    fn is_terminated(&self) -> bool {
        self.upstream.has_ended() && self.batches.is_empty()
    }
}

delegate!(MicroBatchBy<St, K, F>);

impl<St: Stream + fmt::Debug, K, F> fmt::Debug for MicroBatchBy<St, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MicroBatchBy")
            .field("stream", self.get_ref())
            .field("open", &self.batches.len())
            .finish_non_exhaustive()
    }
}
