//! The configuration of a buffer and of what flushes it.

use std::time::Duration;

use crate::capacity::Capacity;
use crate::error::ConfigError;
use crate::machine::StateMachine;
use crate::pacer::FlushPacer;
use crate::strategy::{Oversize, Strategy};
use crate::watermarks::Watermarks;

/// A checked configuration: bounds, watermarks, strategy, batches and pacing.
///
/// Built by [`BackpressureConfig::builder`], which refuses anything that could not work and says which field, which value
/// and which bound. [`Default`] is the builder's defaults. Every part reads the fields that concern it: a channel has no
/// batches, a controller uses all.
///
/// ```
/// use std::time::Duration;
/// use backpressure_core::{BackpressureConfig, Strategy};
///
/// let config = BackpressureConfig::builder()
///     .capacity(50_000)
///     .strategy(Strategy::DropOldest)
///     .batch_items(500)
///     .flush_interval(Duration::from_millis(20), Duration::from_secs(1))
///     .build()?;
/// assert_eq!(config.capacity(), 50_000);
///
/// let error = BackpressureConfig::builder().capacity(10).batch_items(100).build().unwrap_err();
/// assert_eq!(error.to_string(), "batch_items is 100, but must be at most the capacity (10)");
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BackpressureConfig {
    fields: Fields,
    watermarks: Watermarks,
}

impl BackpressureConfig {
    /// Starts from the defaults.
    pub const fn builder() -> BackpressureConfigBuilder {
        BackpressureConfigBuilder { fields: Fields::DEFAULT }
    }

    /// A builder that holds all of this, to change a field or two.
    ///
    /// Batch items that were never set follow the capacity.
    pub fn to_builder(&self) -> BackpressureConfigBuilder {
        BackpressureConfigBuilder { fields: self.fields.clone() }
    }

    /// See [`BackpressureConfigBuilder::capacity`]. Where it [follows the consumer](BackpressureConfigBuilder::capacity_within),
    /// the floor; of a part in use, what it is now.
    pub const fn capacity(&self) -> usize {
        self.fields.capacity
    }

    /// See [`BackpressureConfigBuilder::capacity_within`].
    pub const fn capacity_within(&self) -> Option<Capacity> {
        self.fields.within
    }

    /// The capacity that was worked out, which is nowhere below the floor.
    pub(crate) const fn set_capacity(&mut self, items: usize) {
        self.fields.capacity = items;
    }

    /// The same with a capacity that was [worked out](crate::TimedCapacity).
    #[doc(hidden)]
    #[must_use]
    pub fn at_capacity(&self, items: usize) -> Self {
        let mut config = self.clone();
        config.set_capacity(items);
        config
    }

    /// See [`BackpressureConfigBuilder::max_weight`].
    pub const fn max_weight(&self) -> Option<usize> {
        self.fields.max_weight
    }

    /// See [`BackpressureConfigBuilder::oversize`].
    pub const fn oversize(&self) -> Oversize {
        self.fields.oversize
    }

    /// The low and the high watermark.
    pub const fn watermarks(&self) -> Watermarks {
        self.watermarks
    }

    /// See [`BackpressureConfigBuilder::hysteresis`].
    pub const fn hysteresis(&self) -> f64 {
        self.fields.hysteresis
    }

    /// See [`BackpressureConfigBuilder::strategy`].
    pub const fn strategy(&self) -> Strategy {
        self.fields.strategy
    }

    /// See [`BackpressureConfigBuilder::max_age`].
    pub const fn max_age(&self) -> Option<Duration> {
        self.fields.max_age
    }

    /// See [`BackpressureConfigBuilder::batch_items`].
    pub const fn batch_items(&self) -> usize {
        match self.fields.batch_items {
            Some(items) => items,
            None if self.fields.capacity < Fields::BATCH_ITEMS => self.fields.capacity,
            None => Fields::BATCH_ITEMS,
        }
    }

    /// See [`BackpressureConfigBuilder::batch_weight`].
    pub const fn batch_weight(&self) -> Option<usize> {
        self.fields.batch_weight
    }

    /// The shortest and the longest flush interval. See [`BackpressureConfigBuilder::flush_interval`].
    pub const fn flush_interval(&self) -> (Duration, Duration) {
        (self.fields.min_interval, self.fields.max_interval)
    }

    /// See [`BackpressureConfigBuilder::target_latency`].
    pub const fn target_latency(&self) -> Duration {
        self.fields.target_latency
    }
}

impl Default for BackpressureConfig {
    fn default() -> Self {
        Self { fields: Fields::DEFAULT, watermarks: Watermarks::default() }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Fields {
    capacity: usize,
    within: Option<Capacity>,
    max_weight: Option<usize>,
    oversize: Oversize,
    low_watermark: f64,
    high_watermark: f64,
    hysteresis: f64,
    strategy: Strategy,
    max_age: Option<Duration>,
    batch_items: Option<usize>,
    batch_weight: Option<usize>,
    min_interval: Duration,
    max_interval: Duration,
    target_latency: Duration,
}

impl Fields {
    const BATCH_ITEMS: usize = 100;

    const DEFAULT: Self = Self {
        capacity: 10_000,
        within: None,
        max_weight: None,
        oversize: Oversize::AdmitAlone,
        low_watermark: 0.5,
        high_watermark: 0.8,
        hysteresis: 0.0,
        strategy: Strategy::block(),
        max_age: None,
        batch_items: None,
        batch_weight: None,
        min_interval: Duration::from_millis(100),
        max_interval: Duration::from_secs(30),
        target_latency: Duration::from_millis(500),
    };
}

/// Collects the fields of a [`BackpressureConfig`]; nothing is checked before [`build`](Self::build).
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct BackpressureConfigBuilder {
    fields: Fields,
}

impl BackpressureConfigBuilder {
    /// The most items the buffer holds. At least 1. Default 10 000.
    ///
    /// A larger buffer rides out longer bursts and makes every item older when the consumer stays slow. Memory is taken
    /// as it is needed, not ahead.
    pub const fn capacity(mut self, items: usize) -> Self {
        self.fields.capacity = items;
        self.fields.within = None;
        self
    }

    /// In place of a [`capacity`](Self::capacity) in items: as many as the consumer drains within a duration, between a floor
    /// and a ceiling, so that what is bounded is how long items are queued. See [`Capacity`].
    ///
    /// A batch may have as many items as the floor allows.
    pub const fn capacity_within(mut self, capacity: Capacity) -> Self {
        self.fields.within = Some(capacity);
        self
    }

    /// The most weight the buffer holds, in whatever unit the items are weighed. At least 1. Default: not weighed.
    ///
    /// Bounds memory where items differ in size. Both bounds hold at once; the tighter one decides the state.
    pub const fn max_weight(mut self, weight: usize) -> Self {
        self.fields.max_weight = Some(weight);
        self
    }

    /// What happens to an item heavier than [`max_weight`](Self::max_weight). Default: it is admitted alone.
    pub const fn oversize(mut self, oversize: Oversize) -> Self {
        self.fields.oversize = oversize;
        self
    }

    /// The utilization from which the state is Elevated. Above 0, below the high watermark. Default 0.5.
    ///
    /// Lower reacts earlier; too low cries wolf on every burst.
    pub const fn low_watermark(mut self, utilization: f64) -> Self {
        self.fields.low_watermark = utilization;
        self
    }

    /// The utilization from which the state is Critical. Above the low watermark, below 1. Default 0.8.
    ///
    /// The room above it is what the upstream has to react in before the buffer is full.
    pub const fn high_watermark(mut self, utilization: f64) -> Self {
        self.fields.high_watermark = utilization;
        self
    }

    /// How far the utilization must fall below the threshold of a state before the state is left. At least 0, below the
    /// low watermark. Default 0: the state is a pure function of the utilization.
    ///
    /// A little (0.05) keeps a buffer that hovers at a watermark from signalling at every item.
    pub const fn hysteresis(mut self, utilization: f64) -> Self {
        self.fields.hysteresis = utilization;
        self
    }

    /// What a full buffer does. Default: [`Strategy::block`], which loses nothing.
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.fields.strategy = strategy;
        self
    }

    /// The age at which an item that is still queued expires (also known as time to live, TTL): it is not delivered, but lost
    /// for [`DropReason::Expired`](crate::DropReason::Expired). Above 0. Default: items do not expire.
    ///
    /// Bounds how stale a delivered item can be when the consumer falls behind or stands still. What has left the buffer,
    /// to a consumer or into a batch in flight, does not expire any more. The time is not read for each item: see the part
    /// that holds the buffer for how late an item may be.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.fields.max_age = Some(age);
        self
    }

    /// The most items in one batch (also known as `max_items`). At least 1, at most the capacity. Default 100, or the
    /// capacity if that is less.
    ///
    /// Larger batches cost less per item and hold up their first item longer under low load.
    pub const fn batch_items(mut self, items: usize) -> Self {
        self.fields.batch_items = Some(items);
        self
    }

    /// The most weight in one batch; an item heavier than this goes alone. At least 1, at most the weight bound, which
    /// must be set. Default: batches are not bounded by weight.
    pub const fn batch_weight(mut self, weight: usize) -> Self {
        self.fields.batch_weight = Some(weight);
        self
    }

    /// The bounds of the adaptive interval (also known as linger, max wait or flush timeout) after which a batch that is
    /// not full is flushed. The floor is above 0 and not above the ceiling. Default 100 ms to 30 s.
    ///
    /// The interval starts at the floor and moves with the latency of the flushes: see
    /// [`FlushPacer`](crate::FlushPacer). A full batch never waits for it.
    pub const fn flush_interval(mut self, floor: Duration, ceiling: Duration) -> Self {
        self.fields.min_interval = floor;
        self.fields.max_interval = ceiling;
        self
    }

    /// How long a flush should take. Above 0. Default 500 ms. Slower flushes lengthen the interval, faster ones shorten it.
    pub const fn target_latency(mut self, latency: Duration) -> Self {
        self.fields.target_latency = latency;
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// The first field whose value is out of its bound, with the value and the bound.
    pub fn build(self) -> Result<BackpressureConfig, ConfigError> {
        let mut fields = self.fields;
        if let Some(capacity) = fields.within {
            capacity.check()?;
            fields.capacity = capacity.bounds().0;
        }
        at_least_one("capacity", Some(fields.capacity))?;
        at_least_one("max_weight", fields.max_weight)?;
        if fields.max_age == Some(Duration::ZERO) {
            return Err(ConfigError::new("max_age", "0s", "above 0"));
        }
        at_least_one("batch_items", fields.batch_items)?;
        at_least_one("batch_weight", fields.batch_weight)?;
        let capacity = if fields.within.is_some() { "capacity_floor" } else { "the capacity" };
        at_most("batch_items", fields.batch_items.unwrap_or(1), fields.capacity, capacity)?;
        if let Some(weight) = fields.batch_weight {
            let Some(bound) = fields.max_weight else {
                return Err(ConfigError::new("batch_weight", weight, "unset while max_weight is unset"));
            };
            at_most("batch_weight", weight, bound, "max_weight")?;
        }
        let watermarks = Watermarks::new(fields.low_watermark, fields.high_watermark)?;
        StateMachine::new(watermarks).hysteresis(fields.hysteresis)?;
        if let Strategy::Sample { one_in: 0 } = fields.strategy {
            return Err(ConfigError::new("one_in", 0, "at least 1"));
        }
        FlushPacer::new(fields.min_interval, fields.max_interval, fields.target_latency)?;
        Ok(BackpressureConfig { fields, watermarks })
    }
}

fn at_least_one(field: &'static str, value: Option<usize>) -> Result<(), ConfigError> {
    if value == Some(0) { Err(ConfigError::new(field, 0, "at least 1")) } else { Ok(()) }
}

fn at_most(field: &'static str, value: usize, bound: usize, name: &str) -> Result<(), ConfigError> {
    if value > bound {
        return Err(ConfigError::new(field, value, format_args!("at most {name} ({bound})")));
    }
    Ok(())
}
