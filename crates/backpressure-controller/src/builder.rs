//! Building a controller.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backpressure_channel::Builder;
use backpressure_core::{BackpressureConfig, DropReason, Keyer, Priority, Weigh};
use tower_service::Service;

use crate::attempt::Policy;
use crate::careful::{Careful, copied};
use crate::controller::BackpressureController;
use crate::flush_fn::FlushFn;
use crate::home::{Anywhere, Home};
use crate::hooks::OnDrop;
use crate::outcome::FlushOutcome;
use crate::retries::Delays;

/// What is done before there is a flush target: weights, priorities, the hook for lost items.
#[must_use = "a builder does nothing until it is spawned"]
pub struct ControllerBuilder<T> {
    config: BackpressureConfig,
    channel: Builder<T>,
    on_drop: Option<OnDrop<T>>,
}

impl<T> BackpressureController<T> {
    /// Starts building a controller.
    pub fn builder(config: BackpressureConfig) -> ControllerBuilder<T> {
        ControllerBuilder::new(config)
    }
}

impl<T> ControllerBuilder<T> {
    pub(crate) fn new(config: BackpressureConfig) -> Self {
        Self { channel: Builder::new(config.clone()).track_outcomes(), config, on_drop: None }
    }

    /// Weighs each item as it is pushed. Counts where the configuration bounds a weight; without this every item weighs 1.
    pub fn weigh_by(self, weigh: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        Self { channel: self.channel.weigh_by(weigh), ..self }
    }

    /// Weighs each item by its own [`Weigh`]: strings and buffers by their length, so that the weights of the configuration
    /// are in bytes.
    pub fn weigh_bytes(self) -> Self
    where
        T: Weigh,
    {
        Self { channel: self.channel.weigh_bytes(), ..self }
    }

    /// Ranks each item as it is pushed: higher priorities are flushed first.
    pub fn rank_by(self, rank: impl Fn(&T) -> Priority + Send + Sync + 'static) -> Self {
        Self { channel: self.channel.rank_by(rank), ..self }
    }

    /// Is fair among keys, so that no key crowds the others out. Each item is asked for its key, once, as it is pushed: a
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
    /// Batches are filled in turn, too: a batch holds items of as many keys as are waiting. To keep the order of each key while several
    /// batches are in flight, see [`keyed_by`](FlushBuilder::keyed_by). Does not go with [`rank_by`](Self::rank_by), which
    /// [`spawn`](FlushBuilder::spawn) refuses.
    pub fn fair_by<K: Hash>(self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        Self { channel: self.channel.fair_by(key), ..self }
    }

    /// Asks each item, once, as it is pushed, for its deadline: an [`Instant`], or `None` if it does not expire. An item that is
    /// still queued then goes into no batch, but is lost for [`DropReason::Expired`]; with a
    /// [`max_age`](backpressure_core::BackpressureConfigBuilder::max_age) too, whichever comes first counts.
    ///
    /// No batch holds an item that had expired when it was handed to the flush target. What is in flight, waits for its retry or
    /// is [set aside](FlushBuilder::set_aside_at_most) has left the buffer, and does not expire any more. While nothing can be flushed,
    /// what has expired holds its slot until a producer finds the buffer full.
    pub fn expires_by<D: Into<Option<Instant>>>(self, deadline: impl Fn(&T) -> D + Send + Sync + 'static) -> Self {
        Self { channel: self.channel.expires_by(deadline), ..self }
    }

    /// Gets each item that was dropped or evicted, once, by value, with the reason. Called outside every lock; it may
    /// push, and it may panic: the panic goes to whoever caused the loss.
    ///
    /// Failed items go to [`on_failed`](FlushBuilder::on_failed) instead, abandoned ones into the report of the drain.
    pub fn on_drop(mut self, hook: impl Fn(T, DropReason) + Send + Sync + 'static) -> Self
    where
        T: 'static,
    {
        let hook: OnDrop<T> = Arc::new(hook);
        self.on_drop = Some(hook.clone());
        Self { channel: self.channel.on_drop(move |item, reason| hook(item, reason)), ..self }
    }

    /// Flushes into a tower service, so that tower's own layers (retry, timeout, limits) and any circuit breaker compose.
    ///
    /// It answers `()` if it delivers all or nothing, or a [`FlushOutcome`] that says which items failed; a
    /// layer that changes the error type changes it for those items too: convert them with `map_response` and
    /// [`FlushOutcome::map_err`].
    ///
    /// Its `poll_ready` is heeded: while it is pending the buffer fills, and the pressure reaches the producers. If
    /// `poll_ready` fails, the intake closes and what is queued has failed.
    pub fn flush<S>(self, service: S) -> FlushBuilder<T, S>
    where
        S: Service<Vec<T>, Response: Into<FlushOutcome<T, S::Error>>>,
    {
        FlushBuilder {
            config: self.config,
            channel: self.channel,
            on_drop: self.on_drop,
            service,
            concurrency: 1,
            keyer: None,
            set_aside: None,
            smallest_batch: None,
            policy: Policy::NONE,
            judge: None,
            on_failed: None,
        }
    }

    /// Flushes by calling an async closure with each batch.
    ///
    /// `async |batch| …` will do if it captures nothing. One that does is written `move |batch| { let db = db.clone(); async
    /// move { … } }`, because its future has to outlive the call. A call that blocks its thread, such as one of SQLite, goes into
    /// [`spawn_blocking`](tokio::task::spawn_blocking), so that other tasks of this thread are not held up.
    pub fn flush_fn<F, Fut, R, E>(self, f: F) -> FlushBuilder<T, FlushFn<F>>
    where
        F: FnMut(Vec<T>) -> Fut,
        Fut: Future<Output = Result<R, E>>,
        R: Into<FlushOutcome<T, E>>,
    {
        self.flush(FlushFn::new(f))
    }
}

/// What is done about batches and their failures.
#[must_use = "a builder does nothing until it is spawned"]
pub struct FlushBuilder<T, S: Service<Vec<T>>, H: Home = Anywhere> {
    pub(crate) config: BackpressureConfig,
    pub(crate) channel: Builder<T>,
    pub(crate) on_drop: Option<OnDrop<T>>,
    pub(crate) service: S,
    pub(crate) concurrency: usize,
    pub(crate) keyer: Option<Keyer<T>>,
    pub(crate) set_aside: Option<usize>,
    pub(crate) smallest_batch: Option<usize>,
    pub(crate) policy: Policy<T>,
    pub(crate) judge: Option<H::Judge<S::Error>>,
    pub(crate) on_failed: Option<H::OnFailed<T, S::Error>>,
}

impl<T, S, H> FlushBuilder<T, S, H>
where
    S: Service<Vec<T>, Response: Into<FlushOutcome<T, S::Error>>>,
    H: Home,
{
    /// How many batches may be in flight at once. At least 1. Default 1, which keeps the batches in order. To keep the order
    /// of items that belong together with more of them, see [`keyed_by`](Self::keyed_by).
    pub const fn concurrency(mut self, batches: usize) -> Self {
        self.concurrency = batches;
        self
    }

    /// Keeps the order of the items of each key, while batches of other keys are in flight. An item is handed to the flush
    /// target only when all earlier items of its key have been delivered or have failed for good, except those that are
    /// before it in the same batch. That includes their retries, and what is [bisected](Self::bisect). A key in flight
    /// holds up only its own items.
    ///
    /// Items whose key is in flight are set aside when their turn comes, and go as soon as the key is free. The ledger counts
    /// them as in flight, since no strategy can evict them any more. At most
    /// [so many](Self::set_aside_at_most) are; then nothing more leaves the buffer until one of them can go, so it fills,
    /// and the pressure reaches the producers. No more keys are held than items are in flight or set aside.
    ///
    /// The order is that in which items leave the buffer: with [priorities](ControllerBuilder::rank_by), first in, first out
    /// inside a priority. If a flush answers that it delivered a part, the items of one key that failed have to come in their
    /// order, and the later ones are tried again with the earlier ones, not sooner. One that was delivered while an earlier
    /// one failed has been delivered, so a flush target that needs the order fails all that follow.
    ///
    /// The key is hashed and not kept. Called by the worker, for each item once and for each that failed once more; if it
    /// panics, the item shares a key with the others of which it does.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backpressure_controller::BackpressureController;
    /// use backpressure_core::BackpressureConfig;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = BackpressureConfig::builder().capacity(100).batch_items(2).build()?;
    /// let controller = BackpressureController::builder(config)
    ///     .flush_fn(async |batch: Vec<(&str, u32)>| {
    ///         // Whoever writes for Ann is slow.
    ///         let slow = batch.iter().any(|&(name, _)| name == "Ann");
    ///         tokio::time::sleep(Duration::from_millis(if slow { 100 } else { 1 })).await; // tidy: paused clock
    ///         println!("{batch:?}");
    ///         Ok::<_, std::io::Error>(())
    ///     })
    ///     .concurrency(2)
    ///     .keyed_by(|&(name, _)| name)
    ///     .spawn()?;
    /// for event in [("Ann", 1), ("Ann", 2), ("Ann", 3), ("Bob", 1), ("Bob", 2), ("Eve", 1)] {
    ///     controller.push(event).await?;
    /// }
    /// // [("Bob", 1), ("Bob", 2)], [("Eve", 1)], [("Ann", 1), ("Ann", 2)], [("Ann", 3)]
    /// assert!(controller.drain(Duration::from_secs(1)).await.is_complete());
    /// # Ok(())
    /// # }
    /// ```
    pub fn keyed_by<K: Hash>(mut self, key: impl Fn(&T) -> K + Send + 'static) -> Self {
        self.keyer = Some(Keyer::by(key));
        self
    }

    /// The most items that are set aside because their [keys](Self::keyed_by) are in flight. No more are once they weigh
    /// as much as the buffer may hold. At least 1. Default: as many as can be in flight, the
    /// configured batch items × concurrency. More of them let other keys pass a longer run of one that is slow.
    pub const fn set_aside_at_most(mut self, items: usize) -> Self {
        self.set_aside = Some(items);
        self
    }

    /// Lets the size of a full batch adapt between this and the configured one: it grows while full batches are flushed
    /// faster than the target latency, and shrinks when they are slow. See [`BatchSizer`](backpressure_core::BatchSizer).
    pub const fn adapt_batch_items(mut self, smallest: usize) -> Self {
        self.smallest_batch = Some(smallest);
        self
    }

    /// Keeps a copy of every batch in flight, so that a flush that fails as a whole or panics, or that a drain gives up on,
    /// does not take its items with it. What comes back may have arrived all the same: the flush did not say.
    pub fn keep_copies(mut self) -> Self
    where
        T: Clone,
    {
        self.policy.copy = Some(copied);
        self
    }

    /// Retries what failed, and only that, after each of these waits in turn; then it has failed for good. Any cloneable
    /// sequence will do, such as an array or a back-off from a crate. [Keeps copies](Self::keep_copies).
    ///
    /// A [`Verdict`](crate::Verdict) can ask for a longer wait or for no retry. Items of one batch that wait differently long are flushed
    /// again apart; their batch keeps its place among the [concurrent](Self::concurrency) ones until the last of them has a
    /// fate.
    pub fn retry<D>(mut self, delays: D) -> Self
    where
        T: Clone,
        D: IntoIterator<Item = Duration, IntoIter: Send + 'static> + Clone + Send + Sync + 'static,
    {
        let delays: Delays = Arc::new(move || Box::new(delays.clone().into_iter()));
        self.policy.delays = Careful::new(Some(delays));
        self.keep_copies()
    }

    /// The longest wait that a flush target can ask for: what asks for more by [`Verdict::RetryAfter`](crate::Verdict::RetryAfter) is tried again after
    /// this time. Default 30 s. It keeps a target that asks for a year from holding up everything behind it for a year.
    pub const fn cap_retry_after(mut self, longest: Duration) -> Self {
        self.policy.retry_after_cap = longest;
        self
    }

    /// Once a batch that failed as a whole, or panicked, has no retry left, flushes its halves, and the halves of those
    /// that fail, until the poisonous items stand alone: one poison in a batch of `n` costs about `2 log2 n` flushes.
    /// [Keeps copies](Self::keep_copies).
    ///
    /// A batch of several items whose verdict is [`Verdict::Final`](crate::Verdict::Final) is halved at once, since one of them may be the cause; its
    /// halves have the retries that it had left.
    pub fn bisect(mut self) -> Self
    where
        T: Clone,
    {
        self.policy.bisect = true;
        self.keep_copies()
    }
}

impl<T> fmt::Debug for ControllerBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControllerBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<T, S: Service<Vec<T>>, H: Home> fmt::Debug for FlushBuilder<T, S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlushBuilder")
            .field("config", &self.config)
            .field("concurrency", &self.concurrency)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
