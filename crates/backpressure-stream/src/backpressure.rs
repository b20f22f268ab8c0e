//! A bounded buffer between a stream and its consumer.

use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use backpressure_core::{BackpressureConfig, BufferHandle, DropReason, Gauge, Priority, Weigh};
use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

use crate::delegate::delegate;
use crate::queue::Queue;
use crate::upstream::Upstream;

pin_project! {
    /// Reads ahead into a bounded buffer. Made by [`backpressure`](crate::BackpressureStreamExt::backpressure).
    ///
    /// Whenever it is polled it takes what the upstream has ready, at most 64 items, into its buffer, and yields the next
    /// one. It works inside the consumer's own poll: it needs no runtime, spawns nothing and locks nothing. While the
    /// consumer is busy elsewhere nothing is read; [`spawn`](Self::spawn) changes that.
    ///
    /// # Strategies
    ///
    /// A stream cannot take an item back, so there are two kinds of strategies here. `Block` and `Reject` lose nothing:
    /// nothing is pulled while there is no room for it, for however long that is. So as not to ask for one item at a time,
    /// they go to the upstream once there is room for 32 items, or for half of the capacity if that is less. The others
    /// read on, and discard what they say they discard.
    ///
    /// With a weight bound an item is weighed once it has been pulled. If it is too heavy for the room left it waits outside
    /// the buffer, and nothing more is pulled, until there is room. One that
    /// [can never be admitted](backpressure_core::Oversize::Refuse) is lost for [`DropReason::Overflow`].
    ///
    /// # Expiry
    ///
    /// Where items expire (see [`max_age`](backpressure_core::BackpressureConfigBuilder::max_age) and
    /// [`expires_by`](Self::expires_by)), they are counted between two looks at the clock, which follow their pace: at a steady
    /// one the last look is a millisecond ago at most, or a 64th of the longest age. After a pause of the consumer up to 15 items are
    /// read or yielded before the next look.
    ///
    /// # Ends
    ///
    /// When the upstream ends, what is queued is still delivered, and the state is `Draining`. A panic of the upstream
    /// passes through at once; polled again the adapter delivers what is queued, then ends, without polling the upstream
    /// any more. Dropping the adapter loses what is queued, for [`DropReason::Closed`]; [`into_parts`](Self::into_parts)
    /// loses nothing.
    ///
    /// ```
    /// use backpressure_core::{BackpressureConfig, Strategy};
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::{StreamExt, stream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), backpressure_core::ConfigError> {
    /// let config = BackpressureConfig::builder().capacity(3).strategy(Strategy::DropOldest).build()?;
    /// let latest = stream::iter(0..20).backpressure(config);
    /// let gauge = latest.gauge();
    ///
    /// assert_eq!(latest.collect::<Vec<_>>().await, [17, 18, 19]);
    /// assert_eq!(gauge.snapshot().counts.evicted(), 17);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct Backpressure<St: Stream> {
        #[pin]
        upstream: Upstream<St>,
        queue: Queue<St::Item>,
    }
}

impl<St: Stream> Backpressure<St> {
    pub(crate) fn new(stream: St, config: BackpressureConfig) -> Self {
        Self { upstream: Upstream::new(stream), queue: Queue::new(config) }
    }

    /// Weighs each item, once, when it is pulled. Counts where the configuration bounds the weight; without this every item
    /// weighs 1.
    pub fn weigh_by(mut self, weigh: impl Fn(&St::Item) -> usize + Send + Sync + 'static) -> Self {
        self.queue.hooks_mut().weigh_by(weigh);
        self
    }

    /// Weighs each item by its own [`Weigh`]: strings and buffers by their length, so that
    /// [`max_weight`](backpressure_core::BackpressureConfigBuilder::max_weight) is in bytes.
    pub fn weigh_bytes(mut self) -> Self
    where
        St::Item: Weigh,
    {
        self.queue.hooks_mut().weigh_bytes();
        self
    }

    /// Ranks each item, once, when it is pulled: higher priorities are delivered first. What was read ahead before
    /// ranks [`NORMAL`](Priority::NORMAL).
    ///
    /// # Panics
    ///
    /// If items are [fair by key](Self::fair_by).
    pub fn rank_by(mut self, rank: impl Fn(&St::Item) -> Priority + Send + Sync + 'static) -> Self {
        self.queue.rank_by(rank);
        self
    }

    /// Is fair among keys, so that no key crowds the others out. Each item is asked for its key, once, when it is pulled: a
    /// tenant, a host, anything that can be hashed; the key itself is not kept.
    ///
    /// * The keys that have items queued take turns, first in, first out inside a key. Each turn is worth an item, or, where
    ///   the weight is bounded, as much as the heaviest item weighs.
    /// * Under [`Strategy::DropOldest`](backpressure_core::Strategy::DropOldest) what is full evicts the oldest item of the key that
    ///   holds most; that is the key of the item that comes, if no other holds more. With a bound on the weight, a key that
    ///   holds at least half of the most weight counts as one that holds most.
    /// * The other strategies treat all keys alike when it is full, and evict nothing for it.
    /// * 1024 keys have a queue of their own while they have items queued. Those beyond share one until it is empty.
    ///
    /// What was read ahead before belongs to a key of its own.
    ///
    /// # Panics
    ///
    /// If items are [ranked](Self::rank_by): either decides who is next.
    ///
    /// ```
    /// use backpressure_core::{BackpressureConfig, Strategy};
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::{StreamExt, stream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), backpressure_core::ConfigError> {
    /// let config = BackpressureConfig::builder().capacity(4).strategy(Strategy::DropOldest).build()?;
    /// let jobs = [("quiet", 1), ("noisy", 1), ("noisy", 2), ("noisy", 3), ("noisy", 4), ("noisy", 5)];
    /// let fair = stream::iter(jobs).backpressure(config).fair_by(|&(tenant, _)| tenant);
    /// let left: Vec<_> = fair.collect().await;
    /// assert_eq!(left, [("quiet", 1), ("noisy", 3), ("noisy", 4), ("noisy", 5)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fair_by<K: Hash>(mut self, key: impl Fn(&St::Item) -> K + Send + Sync + 'static) -> Self {
        self.queue.fair_by(key);
        self
    }

    /// Asks each item, once, when it is pulled, for its deadline: an [`Instant`], or `None` if it does not expire. An item that is
    /// still queued then is not yielded, but lost for [`DropReason::Expired`]. What was read ahead before has no deadline.
    pub fn expires_by<D: Into<Option<Instant>>>(
        mut self,
        deadline: impl Fn(&St::Item) -> D + Send + Sync + 'static,
    ) -> Self {
        self.queue.expires_by(deadline);
        self
    }

    /// Gets each lost item, once, by value, with the reason. It may panic: the panic goes to whoever polls, the adapter is
    /// none the worse.
    pub fn on_drop(mut self, hook: impl Fn(St::Item, DropReason) + Send + Sync + 'static) -> Self {
        self.queue.hooks_mut().on_drop(hook);
        self
    }

    /// Changes bounds and strategy while the stream is in use: it takes what the handle leaves when it is polled next, and its
    /// task is woken for that. Take it before the stream is used; a stream without a handle does not look for one.
    ///
    /// A handle is of no use to a stream that is [spawned](Self::spawn) afterwards.
    ///
    /// ```
    /// use backpressure_core::{BackpressureConfig, Strategy};
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::{StreamExt, stream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), backpressure_core::ConfigError> {
    /// let config = BackpressureConfig::builder().capacity(2).strategy(Strategy::DropOldest);
    /// let mut latest = stream::iter(0..20).backpressure(config.clone().build()?);
    /// let handle = latest.handle();
    /// handle.reconfigure(config.capacity(5).build()?)?;
    /// assert_eq!(latest.collect::<Vec<_>>().await, [15, 16, 17, 18, 19]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn handle(&mut self) -> BufferHandle {
        self.queue.handle()
    }

    /// How full the buffer is, and what has happened in it.
    ///
    /// It is exact whenever the adapter is not being polled, with one exception for the sake of speed: a nearly full buffer
    /// that loses nothing may report that items have left it when up to 1/64 of the capacity have, and no more than 31.
    pub fn gauge(&self) -> Gauge {
        self.queue.gauge()
    }

    /// What was read ahead and not yet yielded, in order, as delivered. The upstream is dropped.
    pub fn into_remainder(self) -> Vec<St::Item> {
        self.into_parts().1
    }

    /// The upstream, and what was read ahead and not yet yielded, in order, as delivered.
    pub fn into_parts(self) -> (St, Vec<St::Item>) {
        let Self { upstream, mut queue } = self;
        (upstream.into_inner(), queue.take_all())
    }
}

#[cfg(feature = "rt")]
impl<St> Backpressure<St>
where
    St: Stream + Send + 'static,
    St::Item: Send + 'static,
{
    /// Moves the upstream into a tokio task, so that a consumer that is busy no longer stops the intake.
    ///
    /// The task feeds a channel with the same bounds, strategy and closures; the gauge is the
    /// [new stream's own](crate::Spawned::gauge). Strategies that lose nothing wait as long as it takes, whatever their
    /// longest wait: a task has nobody to hand an item back to. What was read ahead before comes first, beside the bound.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    ///
    /// ```
    /// use backpressure_core::{BackpressureConfig, State};
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::{StreamExt, stream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), backpressure_core::ConfigError> {
    /// let config = BackpressureConfig::builder().capacity(10).build()?;
    /// let numbers = stream::iter(0..100).backpressure(config).spawn();
    /// let gauge = numbers.gauge();
    ///
    /// tokio::task::yield_now().await; // the consumer is busy elsewhere
    /// assert_eq!(gauge.state(), State::Blocked);
    /// assert_eq!(numbers.count().await, 100);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn(self) -> crate::Spawned<St::Item> {
        let Self { upstream, mut queue } = self;
        let read_ahead = queue.take_all();
        let hooks = std::mem::take(queue.hooks_mut());
        crate::Spawned::new(upstream, read_ahead, queue.config(), hooks)
    }
}

impl<St: Stream> Stream for Backpressure<St> {
    type Item = St::Item;

    /// # Cancel safety
    ///
    /// What was read ahead is kept in the adapter: a consumer that stops polling and starts again misses nothing.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        let this = self.project();
        if let Some(item) = this.queue.coast() {
            return Poll::Ready(Some(item));
        }
        read_ahead(this.upstream, this.queue, cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.queue.size_hint(self.upstream.size_hint())
    }
}

/// Takes in what the upstream has ready, and gives out the next item.
#[inline(never)]
fn read_ahead<St: Stream>(
    mut upstream: Pin<&mut Upstream<St>>,
    queue: &mut Queue<St::Item>,
    cx: &mut Context<'_>,
) -> Poll<Option<St::Item>> {
    queue.adopt();
    let mut pending = false;
    queue.fill(|| match upstream.as_mut().poll_next(cx) {
        Poll::Ready(item) => item,
        Poll::Pending => {
            pending = true;
            None
        }
    });
    let ended = upstream.has_ended();
    if ended {
        queue.drain();
    }
    let item = queue.pop();
    if item.is_some() || ended {
        return Poll::Ready(item);
    }
    queue.idle();
    if !pending || !queue.waits(cx.waker()) {
        cx.waker().wake_by_ref();
    }
    Poll::Pending
}

impl<St: Stream> FusedStream for Backpressure<St> {
    fn is_terminated(&self) -> bool {
        self.upstream.has_ended() && self.queue.is_empty()
    }
}

delegate!(Backpressure<St>);

impl<St: Stream + fmt::Debug> fmt::Debug for Backpressure<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backpressure")
            .field("stream", self.get_ref())
            .field("queued", &self.queue.len())
            .field("state", &self.gauge().state())
            .finish_non_exhaustive()
    }
}
