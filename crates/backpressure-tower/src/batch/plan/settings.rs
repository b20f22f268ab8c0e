//! The settings of a batcher: numbers, and the user's functions.

use std::fmt;
use std::sync::Arc;

use backpressure_core::limit::Limit;
use backpressure_core::{BackpressureConfig, BatchSizer, ConfigError, FlushPacer};

use super::call::Inspector;
use super::config::BatcherConfig;
use super::dedup::Dedup;
use super::keys::MakeSort;

/// What becomes of a batch that failed as a whole: by an error, a panic, or an answer of the wrong length.
///
/// Only idempotent requests bear to be sent again. Batches that are sent again go before others, within the same
/// [concurrency](crate::BatchLayerBuilder::concurrency).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fallback {
    /// Each request is sent again in a batch of its own: as many calls as there are requests, whatever the cause.
    OneByOne,
    /// The batch is sent again in two halves, and each half that fails likewise, so that one bad request among `n` is found
    /// with about `2 log2 n` calls and fails alone. If everything is bad, there are `2 n` calls.
    Bisect,
}

/// When a batch waits for more calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linger {
    Never,
    /// While another batch is with the inner service.
    WhileBusy,
    Always,
}

/// What is the same for every batcher of a layer.
pub(crate) struct Settings<Req, Resp> {
    /// The numbers that it begins with.
    pub(crate) config: BatcherConfig,
    pub(crate) when_idle: bool,
    pub(crate) max_keys: usize,
    pub(crate) pacer: Option<FlushPacer>,
    pub(crate) sizer: Option<BatchSizer>,
    pub(crate) hooks: Hooks<Req, Resp>,
}

impl<Req, Resp> Settings<Req, Resp> {
    /// When a batch waits for more calls, under this configuration.
    pub(crate) const fn linger(&self, config: &BatcherConfig) -> Linger {
        match (self.pacer.is_none() && config.linger.is_zero(), self.when_idle) {
            (true, _) => Linger::Never,
            (false, true) => Linger::WhileBusy,
            (false, false) => Linger::Always,
        }
    }

    /// What the queue gets of this configuration, if it may take the place of the one that it began with.
    pub(crate) fn accept(&self, config: &BatcherConfig) -> Result<BackpressureConfig, ConfigError> {
        let buffer = config.check()?;
        let is_weighed = self.hooks.inspector.weigh.is_some();
        match config.max_weight {
            Some(weight) if !is_weighed => {
                return Err(ConfigError::new("max_weight", weight, "unset, as it was when the batcher was built"));
            }
            None if is_weighed => {
                return Err(ConfigError::new("max_weight", "unset", "set, as it was when the batcher was built"));
            }
            _ => {}
        }
        // A sizer begins with the least.
        let least = self.sizer.as_ref().map_or(1, BatchSizer::limit);
        if config.max_items < least {
            let bound = format!("at least batch_size_min ({least})");
            return Err(ConfigError::new("max_items", config.max_items, bound));
        }
        let learned = |field, value: &dyn fmt::Debug, built: &dyn fmt::Debug| {
            let bound = format!("{built:?}, as when the batcher was built, since another one is learned");
            Err(ConfigError::new(field, format_args!("{value:?}"), bound))
        };
        if self.pacer.is_some() && config.linger != self.config.linger {
            return learned("linger", &config.linger, &self.config.linger);
        }
        if self.hooks.limit.is_some() && config.concurrency != self.config.concurrency {
            return learned("concurrency", &config.concurrency, &self.config.concurrency);
        }
        Ok(buffer)
    }
}

/// Makes the limit of each batcher.
pub(crate) type MakeLimit = Arc<dyn Fn() -> Box<dyn Limit> + Send + Sync>;

/// Copies the requests of a batch.
pub(crate) type CopyAll<Req> = fn(&[Req]) -> Vec<Req>;

/// The user's functions.
pub(crate) struct Hooks<Req, Resp> {
    pub(crate) inspector: Inspector<Req>,
    pub(crate) sorting: Option<MakeSort<Req>>,
    pub(crate) dedup: Option<Dedup<Req, Resp>>,
    pub(crate) fallback: Option<(Fallback, CopyAll<Req>)>,
    pub(crate) limit: Option<MakeLimit>,
}
