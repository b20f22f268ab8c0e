//! Building a channel.

use std::fmt;
use std::hash::Hash;
use std::time::Instant;

use backpressure_core::{BackpressureConfig, BoundedBuffer, ConfigError, DropReason, Hooks, Priority, Weigh};
use backpressure_rt::sync::Arc;

use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::shared::Shared;

/// A channel with the bounds, watermarks and strategy of `config`. For weights, priorities and hooks see [`Builder`].
///
/// Without a classifier every item has [`Priority::NORMAL`], so `Strategy::DropLowest` discards the incoming item.
pub fn channel<T>(config: BackpressureConfig) -> (Sender<T>, Receiver<T>) {
    Builder::new(config).build()
}

/// Builds a channel whose items are weighed, ranked, told apart by keys, or handed to a hook when they are lost.
///
/// ```
/// use std::sync::mpsc;
/// use backpressure_channel::{Builder, Sent};
/// use backpressure_core::{BackpressureConfig, DropReason, Strategy};
///
/// let config = BackpressureConfig::builder().capacity(100).max_weight(10).strategy(Strategy::DropOldest).build()?;
/// let (lost, losses) = mpsc::channel();
/// let (tx, _rx) = Builder::new(config)
///     .weigh_by(|text: &&str| text.len())
///     .on_drop(move |text, reason| lost.send((text, reason)).unwrap_or_default())
///     .build();
/// assert_eq!(tx.try_send("first"), Ok(Sent::Accepted));
/// assert!(tx.try_send("second").is_ok_and(Sent::is_accepted));
/// assert_eq!(losses.try_recv(), Ok(("first", DropReason::Evicted)));
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct Builder<T> {
    config: BackpressureConfig,
    hooks: Hooks<T>,
    tracked: bool,
}

impl<T> Builder<T> {
    /// Starts from a configuration.
    pub const fn new(config: BackpressureConfig) -> Self {
        Self { config, hooks: Hooks::NONE, tracked: false }
    }

    /// Weighs each item, once, as it is offered. Counts where the configuration bounds the weight; without this every item
    /// weighs 1. Called outside every lock.
    pub fn weigh_by(mut self, weigh: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        self.hooks.weigh_by(weigh);
        self
    }

    /// Weighs each item by its own [`Weigh`]: strings and buffers by their length, so that
    /// [`max_weight`](backpressure_core::BackpressureConfigBuilder::max_weight) is in bytes.
    pub fn weigh_bytes(mut self) -> Self
    where
        T: Weigh,
    {
        self.hooks.weigh_bytes();
        self
    }

    /// Ranks each item, once, as it is offered: higher priorities are delivered first. Called outside every lock.
    pub fn rank_by(mut self, rank: impl Fn(&T) -> Priority + Send + Sync + 'static) -> Self {
        self.hooks.rank_by(rank);
        self
    }

    /// Is fair among keys, so that no key crowds the others out. Each item is asked for its key, once, as it is offered: a
    /// tenant, a host, anything that can be hashed; the key itself is not kept.
    ///
    /// * The keys that have items queued take turns, first in, first out inside a key. Each turn is worth an item, or, where
    ///   the weight is bounded, as much as the heaviest item weighs.
    /// * Under [`Strategy::DropOldest`](backpressure_core::Strategy::DropOldest) what is full evicts the oldest item of the key that
    ///   holds most; that is the key of the item that comes, if no other holds more. So whoever sends too much loses its own items.
    ///   With a bound on the weight, a key that holds at least half of the most weight counts as one that holds most.
    /// * The other strategies treat all keys alike when it is full, and evict nothing for it: under
    ///   [`Strategy::Block`](backpressure_core::Strategy::Block) it is delivery that is fair, not admission.
    /// * 1024 keys have a queue of their own while they have items queued. Those beyond share one until it is empty.
    ///
    /// Called outside every lock. Does not go with [`rank_by`](Self::rank_by): [`try_build`](Self::try_build) refuses, and [`build`](Self::build) panics.
    ///
    /// ```
    /// use backpressure_channel::Builder;
    /// use backpressure_core::{BackpressureConfig, Strategy};
    ///
    /// let config = BackpressureConfig::builder().capacity(4).batch_items(1).strategy(Strategy::DropOldest).build()?;
    /// let (tx, mut rx) = Builder::new(config).fair_by(|&(tenant, _): &(&str, u32)| tenant).build();
    /// for job in [("quiet", 1), ("noisy", 1), ("noisy", 2), ("noisy", 3), ("noisy", 4), ("noisy", 5)] {
    ///     tx.try_send(job)?;
    /// }
    /// let left: Vec<_> = std::iter::from_fn(|| rx.try_recv()).collect();
    /// assert_eq!(left, [("quiet", 1), ("noisy", 3), ("noisy", 4), ("noisy", 5)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fair_by<K: Hash>(mut self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        self.hooks.fair_by(key);
        self
    }

    /// Asks each item, once, as it is offered, for its deadline: an [`Instant`], or `None` if it does not expire. An item that
    /// is still queued then is not delivered, but lost for [`DropReason::Expired`]. With a
    /// [`max_age`](backpressure_core::BackpressureConfigBuilder::max_age) too, whichever comes first counts. Called outside every
    /// lock.
    ///
    /// An item that is past its deadline keeps its place until those before it have gone. For how late it may be, see
    /// [`Receiver`].
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use backpressure_channel::Builder;
    /// use backpressure_core::{BackpressureConfig, DropReason};
    ///
    /// let now = Instant::now();
    /// let (tx, mut rx) = Builder::new(BackpressureConfig::default())
    ///     .expires_by(|&(_, deadline): &(&str, Option<Instant>)| deadline)
    ///     .build();
    /// tx.try_send(("yesterday's", Some(now)))?;
    /// tx.try_send(("for ever", None))?;
    /// assert_eq!(rx.try_recv(), Some(("for ever", None)));
    /// assert_eq!(rx.gauge().snapshot().counts.lost(DropReason::Expired), 1);
    /// # Ok::<(), backpressure_channel::SendError<(&str, Option<Instant>)>>(())
    /// ```
    pub fn expires_by<D: Into<Option<Instant>>>(mut self, deadline: impl Fn(&T) -> D + Send + Sync + 'static) -> Self {
        self.hooks.expires_by(deadline);
        self
    }

    /// Gets each lost item, once, by value, with the reason. Called outside every lock; it may use the channel, and it may
    /// panic: the panic goes to whoever caused the loss, the channel is none the worse.
    pub fn on_drop(mut self, hook: impl Fn(T, DropReason) + Send + Sync + 'static) -> Self {
        self.hooks.on_drop(hook);
        self
    }

    /// Takes all the closures at once, in place of those given so far.
    pub fn hooks(self, hooks: Hooks<T>) -> Self {
        Self { hooks, ..self }
    }

    /// Counts received items as in flight until [`Receiver::reporter`] is told what became of them; otherwise receiving an
    /// item delivers it.
    pub const fn track_outcomes(mut self) -> Self {
        self.tracked = true;
        self
    }

    /// Refuses what [`try_build`](Self::try_build) does.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), ConfigError> {
        self.hooks.check()
    }

    /// Makes the channel.
    ///
    /// # Panics
    ///
    /// Where [`try_build`](Self::try_build) answers with an error.
    pub fn build(self) -> (Sender<T>, Receiver<T>) {
        self.try_build().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Makes the channel, unless the closures contradict each other.
    ///
    /// # Errors
    ///
    /// If items are both [ranked](Self::rank_by) and [fair by key](Self::fair_by), under the name `fair_by`.
    pub fn try_build(self) -> Result<(Sender<T>, Receiver<T>), ConfigError> {
        self.check()?;
        let buffer = BoundedBuffer::new(&self.config);
        let buffer = if self.hooks.is_dating() { buffer.dated() } else { buffer };
        let buffer = if self.hooks.is_ranking() { buffer.prioritized() } else { buffer };
        let buffer = if self.hooks.is_fair() { buffer.fair() } else { buffer };
        let shared = Arc::new(Shared::new(&self.config, buffer, self.hooks, self.tracked));
        let tally = shared.tally();
        Ok((Sender::new(shared.clone()), Receiver::new(shared, tally)))
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).field("hooks", &self.hooks).finish_non_exhaustive()
    }
}
