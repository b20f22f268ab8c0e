//! The builder of a batcher.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backpressure_core::limit::Limit;
use backpressure_core::{BatchSizer, ConfigError, FlushPacer};

use super::layer::BatchLayer;
use super::plan::{BatcherConfig, Dedup, Fallback, Hooks, Inspector, Keyed, Settings};

/// Most keys whose batches linger, unless it is set.
const MAX_KEYS: usize = 1024;

/// Builds a [`BatchLayer`]. Everything has a default.
#[must_use = "a builder does nothing until it is built"]
pub struct BatchLayerBuilder<Req, Resp> {
    config: BatcherConfig,
    when_idle: bool,
    max_keys: usize,
    paced: Option<(Duration, Duration, Duration)>,
    sized: Option<(usize, Duration)>,
    hooks: Hooks<Req, Resp>,
}

impl<Req, Resp> BatchLayer<Req, Resp> {
    /// A builder that holds the defaults.
    pub fn builder() -> BatchLayerBuilder<Req, Resp> {
        BatchLayerBuilder {
            config: BatcherConfig::default(),
            when_idle: false,
            max_keys: MAX_KEYS,
            paced: None,
            sized: None,
            hooks: Hooks {
                inspector: Inspector { weigh: None, deadline: None, least_time: Duration::ZERO },
                sorting: None,
                dedup: None,
                fallback: None,
                limit: None,
            },
        }
    }
}

impl<Req, Resp> BatchLayerBuilder<Req, Resp> {
    /// Most requests in a batch. At least 1, at most the [capacity](Self::capacity). Default 100.
    ///
    /// Larger batches spread the cost of a call over more requests; a failed one takes more of them along.
    pub fn max_items(mut self, items: usize) -> Self {
        self.config.max_items = items;
        self
    }

    /// Most weight in a batch, as `weigh` weighs the requests. At least 1. Default: not weighed.
    ///
    /// A request heavier than this travels alone, in the one batch that may exceed it. `weigh` runs in `call`.
    pub fn max_weight(mut self, weight: usize, weigh: impl Fn(&Req) -> usize + Send + Sync + 'static) -> Self {
        self.config.max_weight = Some(weight);
        self.hooks.inspector.weigh = Some(Arc::new(weigh));
        self
    }

    /// Longest wait (also known as max wait or flush timeout) of a batch's first request for others to join. Default zero.
    ///
    /// With zero, batches form by themselves: a request that finds the inner service idle is sent after one trip through
    /// the scheduler, together with those that were called in the same moment (without the trip, and by its caller itself, if
    /// the last batch was of one request alone), and while the service is busy the next batch gathers. Anything above makes
    /// fuller batches out of few callers, at the price of that wait.
    /// [`Duration::MAX`] waits until the batch is full.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// Longest gap between arrivals, after which a batch lingers no more. Default: none. At or above the linger it has no
    /// effect.
    pub fn quiet(mut self, quiet: Duration) -> Self {
        self.config.quiet = Some(quiet);
        self
    }

    /// Whether a batch lingers only while another is with the inner service. Default `false`.
    ///
    /// So a lone request is sent at once, and those that come meanwhile are gathered for the [linger](Self::linger) even if
    /// the [concurrency](Self::concurrency) would allow more batches.
    pub fn eager_when_idle(mut self, eager: bool) -> Self {
        self.when_idle = eager;
        self
    }

    /// Lets the linger follow the latency of the inner service, between the two bounds: longer when a batch takes more than
    /// 1.5 × `target`, shorter when it takes less than half. Takes the place of [`linger`](Self::linger). See
    /// [`FlushPacer`].
    pub fn adaptive_linger(mut self, floor: Duration, ceiling: Duration, target: Duration) -> Self {
        self.paced = Some((floor, ceiling, target));
        self
    }

    /// Lets the size of batches follow the latency of the inner service: from `min` up to [`max_items`](Self::max_items)
    /// while full batches take at most `target`, down by half when one takes more than 1.5 × that. See [`BatchSizer`].
    pub fn adaptive_size(mut self, min: usize, target: Duration) -> Self {
        self.sized = Some((min, target));
        self
    }

    /// Most calls that wait for their batch. At least 1. Default 10 000.
    ///
    /// With all places taken, `poll_ready` is pending. What is with the inner service does not count: that is bounded by
    /// [`max_items`](Self::max_items) × [`concurrency`](Self::concurrency).
    pub fn capacity(mut self, calls: usize) -> Self {
        self.config.capacity = calls;
        self
    }

    /// The shares of the capacity from which the [gauge](crate::Batch::gauge) is Elevated and Critical. Default 0.5 and 0.8.
    pub fn watermarks(mut self, low: f64, high: f64) -> Self {
        (self.config.low_watermark, self.config.high_watermark) = (low, high);
        self
    }

    /// Most batches that are with the inner service at the same time. At least 1. Default 1.
    ///
    /// One makes the fullest batches; more use an inner service that works on several at once. Its own readiness is
    /// respected, too.
    pub fn concurrency(mut self, batches: usize) -> Self {
        self.config.concurrency = batches;
        self.hooks.limit = None;
        self
    }

    /// Puts the number of batches that are with the inner service under a limit that finds itself. `make` makes one for each
    /// batcher. Takes the place of [`concurrency`](Self::concurrency).
    pub fn adaptive_concurrency<L: Limit + 'static>(mut self, make: impl Fn() -> L + Send + Sync + 'static) -> Self {
        self.hooks.limit = Some(Arc::new(move || Box::new(make())));
        self
    }

    /// Only requests of equal key share a batch. Default: all do.
    ///
    /// Each key has its own batch to gather, and those that may leave take turns, so that a busy key does not hold up the
    /// others. A key is forgotten with its last waiting request. `key` runs in the worker; a panic fails that request alone. A caller
    /// that is alone sends its request without asking for its key.
    pub fn key<K: Hash + Eq + Clone + Send + 'static>(mut self, key: impl Fn(&Req) -> K + Send + Sync + 'static) -> Self
    where
        Req: 'static,
    {
        let key = Arc::new(key);
        self.hooks.sorting = Some(Arc::new(move || Box::new(Keyed::new(Arc::clone(&key)))));
        self
    }

    /// Most keys whose batches linger. At least 1. Default 1024.
    ///
    /// With one key more, the batch that has lingered for the longest time leaves early.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// When the answer to a request is of no use any more, by tokio's clock. Default: never.
    ///
    /// A request that waits until then is answered [`DeadlineExceeded`](crate::BatchError::DeadlineExceeded), and not sent. So
    /// is one that has less than `least_time` left, which is what an answer takes even on a good day. `deadline` runs in
    /// `call`.
    pub fn deadline(
        mut self,
        least_time: Duration,
        deadline: impl Fn(&Req) -> Option<Instant> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.inspector.least_time = least_time;
        self.hooks.inspector.deadline = Some(Arc::new(deadline));
        self
    }

    /// Sends equal requests of a batch once, and gives each of their callers a copy of the answer. Default: all are sent.
    ///
    /// Equal requests are found in what would otherwise have been a batch: with many of them batches come out smaller.
    pub fn deduplicate(mut self) -> Self
    where
        Req: Hash + Eq,
        Resp: Clone,
    {
        self.hooks.dedup = Some(Dedup::NEW);
        self
    }

    /// Sends a batch that failed as a whole again in parts, so that one bad request does not fail its neighbours. Default:
    /// they fail together. It keeps a copy of each batch of more than one.
    pub fn fallback(mut self, fallback: Fallback) -> Self
    where
        Req: Clone,
    {
        self.hooks.fallback = Some((fallback, <[Req]>::to_vec));
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// The first field whose value is out of its bound, with the value and the bound.
    pub fn build(self) -> Result<BatchLayer<Req, Resp>, ConfigError> {
        let buffer = self.config.check()?;
        let max_items = self.config.max_items;
        if self.max_keys == 0 {
            return Err(ConfigError::new("max_keys", 0, "at least 1"));
        }
        if let Some((min, _)) = self.sized.filter(|&(min, _)| min > max_items) {
            return Err(ConfigError::new("batch_size_min", min, format!("at most max_items ({max_items})")));
        }
        let pacer = self.paced.map(|(floor, ceiling, target)| FlushPacer::new(floor, ceiling, target)).transpose()?;
        let sizer = self.sized.map(|(min, target)| BatchSizer::new(min, max_items, target)).transpose()?;
        let Self { config, when_idle, max_keys, hooks, .. } = self;
        let settings = Settings { config, when_idle, max_keys, pacer, sizer, hooks };
        Ok(BatchLayer { settings: Arc::new(settings), buffer })
    }
}

impl<Req, Resp> fmt::Debug for BatchLayerBuilder<Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchLayerBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
