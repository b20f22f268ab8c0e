//! What the user says about the items of a sink.

use std::hash::Hash;
use std::time::Instant;

use backpressure_core::{BoundedBuffer, DropReason, Priority, Weigh};

use crate::sink::BackpressureSink;
use crate::way::Way;

impl<Si, T> BackpressureSink<Si, T> {
    /// Weighs each item, once, as it is offered. Counts where the configuration bounds the weight; without this every item
    /// weighs 1.
    pub fn weigh_by(mut self, weigh: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        self.queue.hooks.weigh_by(weigh);
        self.way.block(Way::Open);
        self
    }

    /// Weighs each item by its own [`Weigh`]: strings and buffers by their length, so that
    /// [`max_weight`](backpressure_core::BackpressureConfigBuilder::max_weight) is in bytes.
    pub fn weigh_bytes(mut self) -> Self
    where
        T: Weigh,
    {
        self.queue.hooks.weigh_bytes();
        self.way.block(Way::Open);
        self
    }

    /// Ranks each item, once, as it is offered: higher priorities are delivered first. What is queued already ranks
    /// [`NORMAL`](Priority::NORMAL).
    ///
    /// # Panics
    ///
    /// If items are [fair by key](Self::fair_by).
    pub fn rank_by(mut self, rank: impl Fn(&T) -> Priority + Send + Sync + 'static) -> Self {
        self.queue.hooks.rank_by(rank);
        self.queue.reorder(BoundedBuffer::prioritized);
        self.way.block(Way::Open);
        self
    }

    /// Is fair among keys, so that no key crowds the others out. Each item is asked for its key, once, as it is offered: a
    /// tenant, a host, anything that can be hashed; the key itself is not kept.
    ///
    /// * The keys that have items queued take turns, first in, first out inside a key. Each turn is worth an item, or, where
    ///   the weight is bounded, as much as the heaviest item weighs.
    /// * Under [`Strategy::DropOldest`](backpressure_core::Strategy::DropOldest) what is full evicts the oldest item of the key that
    ///   holds most; that is the key of the item that comes, if no other holds more. With a bound on the weight, a key that
    ///   holds at least half of the most weight counts as one that holds most.
    /// * The other strategies treat all keys alike when it is full, and evict nothing for it: under
    ///   [`Strategy::Block`](backpressure_core::Strategy::Block) it is delivery that is fair, not admission.
    /// * 1024 keys have a queue of their own while they have items queued. Those beyond share one until it is empty.
    ///
    /// What is queued already belongs to a key of its own.
    ///
    /// # Panics
    ///
    /// If items are [ranked](Self::rank_by): either decides who is next.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use std::future::pending;
    /// use std::pin::pin;
    /// use backpressure_core::{BackpressureConfig, Strategy};
    /// use backpressure_sink::BackpressureSink;
    /// use futures_util::{SinkExt, sink};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = BackpressureConfig::builder().capacity(4).strategy(Strategy::DropOldest).build()?;
    /// let stalled = pin!(sink::unfold((), |(), _job| pending::<Result<(), Infallible>>()));
    /// let mut sink = BackpressureSink::new(stalled, config).fair_by(|&(tenant, _): &(&str, u32)| tenant);
    /// sink.feed(("noisy", 0)).await?; // goes straight to the inner sink
    /// for job in [("quiet", 1), ("noisy", 1), ("noisy", 2), ("noisy", 3), ("noisy", 4), ("noisy", 5)] {
    ///     sink.feed(job).await?;
    /// }
    /// assert_eq!(sink.take_remainder(), [("quiet", 1), ("noisy", 3), ("noisy", 4), ("noisy", 5)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fair_by<K: Hash>(mut self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        self.queue.hooks.fair_by(key);
        self.queue.reorder(BoundedBuffer::fair);
        self.way.block(Way::Open);
        self
    }

    /// Asks each item, once, as it is offered, for its deadline: an [`Instant`], or `None` if it does not expire. An item that is
    /// still queued then is not delivered, but lost for [`DropReason::Expired`]. What is queued already has no deadline.
    pub fn expires_by<D: Into<Option<Instant>>>(mut self, deadline: impl Fn(&T) -> D + Send + Sync + 'static) -> Self {
        self.queue.expires_by(deadline);
        self.way.block(Way::Open);
        self
    }

    /// Gets each lost item, once, by value, with the reason. It may panic: the panic goes to whoever caused the loss, the
    /// sink is none the worse.
    pub fn on_drop(mut self, hook: impl Fn(T, DropReason) + Send + Sync + 'static) -> Self {
        self.queue.hooks.on_drop(hook);
        self
    }
}
