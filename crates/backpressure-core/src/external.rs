//! Configuration from files and the environment, with the feature `serde`.
//!
//! What is read goes through the builders, so that there is no configuration that was not checked, and what is refused is refused in
//! the same words. Every key is flat and every length of time a text, so that TOML, JSON and environment variables read alike.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::limit::Bounds;
use crate::{
    BackpressureConfig, BatchConfig, BatchSizer, Capacity, ConfigError, FlushPacer, Oversize, Strategy, Watermarks,
};

/// A length of time in words, such as `250ms`, `1m 30s` or `forever`.
///
/// # Errors
///
/// Refuses anything else, under the name of the field.
#[doc(hidden)]
pub fn duration(field: &'static str, text: &str) -> Result<Duration, ConfigError> {
    if text == "forever" {
        return Ok(Duration::MAX);
    }
    let bound = "a length of time, such as 250ms, 1m 30s or forever";
    humantime::parse_duration(text).map_err(|_| ConfigError::new(field, format_args!("{text:?}"), bound))
}

/// The same of one that may be left out.
///
/// # Errors
///
/// Those of [`duration`].
#[doc(hidden)]
pub fn some_duration(field: &'static str, text: Option<&str>) -> Result<Option<Duration>, ConfigError> {
    text.map(|text| duration(field, text)).transpose()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BufferKeys {
    capacity: Option<usize>,
    capacity_within: Option<String>,
    capacity_floor: Option<usize>,
    capacity_ceiling: Option<usize>,
    max_weight: Option<usize>,
    oversize: Option<String>,
    low_watermark: Option<f64>,
    high_watermark: Option<f64>,
    hysteresis: Option<f64>,
    strategy: Option<String>,
    max_wait: Option<String>,
    one_in: Option<u32>,
    max_age: Option<String>,
    batch_items: Option<usize>,
    batch_weight: Option<usize>,
    flush_interval_min: Option<String>,
    flush_interval_max: Option<String>,
    target_latency: Option<String>,
}

impl BufferKeys {
    fn build(self) -> Result<BackpressureConfig, ConfigError> {
        let mut builder = BackpressureConfig::builder().strategy(self.strategy()?);
        if let Some(capacity) = self.capacity {
            builder = builder.capacity(capacity);
        }
        if let Some(capacity) = self.capacity_within()? {
            builder = builder.capacity_within(capacity);
        }
        if let Some(weight) = self.max_weight {
            builder = builder.max_weight(weight);
        }
        if let Some(oversize) = self.oversize {
            builder = builder.oversize(match &*oversize {
                "admit-alone" => Oversize::AdmitAlone,
                "refuse" => Oversize::Refuse,
                _ => return Err(ConfigError::new("oversize", format_args!("{oversize:?}"), "admit-alone or refuse")),
            });
        }
        if let Some(low) = self.low_watermark {
            builder = builder.low_watermark(low);
        }
        if let Some(high) = self.high_watermark {
            builder = builder.high_watermark(high);
        }
        if let Some(hysteresis) = self.hysteresis {
            builder = builder.hysteresis(hysteresis);
        }
        if let Some(age) = some_duration("max_age", self.max_age.as_deref())? {
            builder = builder.max_age(age);
        }
        if let Some(items) = self.batch_items {
            builder = builder.batch_items(items);
        }
        if let Some(weight) = self.batch_weight {
            builder = builder.batch_weight(weight);
        }
        let (min, max) = BackpressureConfig::default().flush_interval();
        let floor = some_duration("flush_interval_min", self.flush_interval_min.as_deref())?.unwrap_or(min);
        let ceiling = some_duration("flush_interval_max", self.flush_interval_max.as_deref())?.unwrap_or(max);
        builder = builder.flush_interval(floor, ceiling);
        if let Some(latency) = some_duration("target_latency", self.target_latency.as_deref())? {
            builder = builder.target_latency(latency);
        }
        builder.build()
    }

    fn capacity_within(&self) -> Result<Option<Capacity>, ConfigError> {
        let bounds = [("capacity_floor", self.capacity_floor), ("capacity_ceiling", self.capacity_ceiling)];
        let Some(within) = some_duration("capacity_within", self.capacity_within.as_deref())? else {
            return match bounds.into_iter().find_map(|(field, items)| Some((field, items?))) {
                Some((field, items)) => Err(ConfigError::new(field, items, "unset while capacity_within is unset")),
                None => Ok(None),
            };
        };
        if let Some(items) = self.capacity {
            return Err(ConfigError::new("capacity", items, "unset while capacity_within is set"));
        }
        let mut capacity = Capacity::within(within);
        if let Some(items) = self.capacity_floor {
            capacity = capacity.floor(items);
        }
        if let Some(items) = self.capacity_ceiling {
            capacity = capacity.ceiling(items);
        }
        Ok(Some(capacity))
    }

    fn strategy(&self) -> Result<Strategy, ConfigError> {
        let name = self.strategy.as_deref().unwrap_or("block");
        let known = [
            Strategy::block(),
            Strategy::DropOldest,
            Strategy::DropNewest,
            Strategy::sample(),
            Strategy::Reject,
            Strategy::DropLowest,
        ];
        let Some(mut strategy) = known.into_iter().find(|strategy| strategy.as_str() == name) else {
            let names = known.map(Strategy::as_str).join(", ");
            return Err(ConfigError::new("strategy", format_args!("{name:?}"), format_args!("one of {names}")));
        };
        let unset = |unless| format!("unset unless strategy is {unless}");
        if let Some(wait) = some_duration("max_wait", self.max_wait.as_deref())? {
            let Strategy::Block { max_wait } = &mut strategy else {
                return Err(ConfigError::new("max_wait", format_args!("{wait:?}"), unset("block")));
            };
            *max_wait = wait;
        }
        if let Some(offers) = self.one_in {
            let Strategy::Sample { one_in } = &mut strategy else {
                return Err(ConfigError::new("one_in", offers, unset("sample")));
            };
            *one_in = offers;
        }
        Ok(strategy)
    }
}

/// All keys have the defaults of the builder. `strategy` is the name of one, of which `block` has a `max_wait` and `sample` a `one_in`;
/// `oversize` is `admit-alone` or `refuse`. Lengths of time are texts, such as `"250ms"`, `"1m 30s"` and `"forever"`.
///
/// ```
/// use backpressure_core::BackpressureConfig;
///
/// let config: BackpressureConfig = toml::from_str(
///     r#"
///     capacity = 50_000
///     strategy = "block"
///     max_wait = "250ms"
///     batch_items = 500
///     flush_interval_min = "20ms"
///     flush_interval_max = "1s"
///     "#,
/// )?;
/// assert_eq!(config.batch_items(), 500);
///
/// let refused = toml::from_str::<BackpressureConfig>("capacity = 10\nbatch_items = 500").unwrap_err();
/// assert!(refused.message().contains("batch_items is 500, but must be at most the capacity (10)"));
/// # Ok::<(), toml::de::Error>(())
/// ```
impl<'de> Deserialize<'de> for BackpressureConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BufferKeys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BatchKeys {
    max_items: Option<usize>,
    max_weight: Option<usize>,
    linger: Option<String>,
    quiet: Option<String>,
}

impl BatchKeys {
    fn build(self) -> Result<BatchConfig, ConfigError> {
        let mut builder = BatchConfig::builder();
        if let Some(items) = self.max_items {
            builder = builder.max_items(items);
        }
        if let Some(weight) = self.max_weight {
            builder = builder.max_weight(weight);
        }
        if let Some(linger) = some_duration("linger", self.linger.as_deref())? {
            builder = builder.linger(linger);
        }
        if let Some(quiet) = some_duration("quiet", self.quiet.as_deref())? {
            builder = builder.quiet(quiet);
        }
        builder.build()
    }
}

/// All keys have the defaults of the builder. `linger` and `quiet` are texts, such as `"20ms"`.
impl<'de> Deserialize<'de> for BatchConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BatchKeys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WatermarkKeys {
    low_watermark: Option<f64>,
    high_watermark: Option<f64>,
}

/// The keys are `low_watermark` and `high_watermark`.
impl<'de> Deserialize<'de> for Watermarks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (keys, defaults) = (WatermarkKeys::deserialize(deserializer)?, Self::default());
        let low = keys.low_watermark.unwrap_or(defaults.low());
        Self::new(low, keys.high_watermark.unwrap_or(defaults.high())).map_err(D::Error::custom)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BoundsKeys {
    limit_min: Option<usize>,
    limit_max: Option<usize>,
    limit_start: Option<usize>,
}

/// The keys are `limit_min`, `limit_max` and `limit_start`.
impl<'de> Deserialize<'de> for Bounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (keys, defaults) = (BoundsKeys::deserialize(deserializer)?, Self::default());
        let bounds = Self::new(keys.limit_min.unwrap_or(defaults.min()), keys.limit_max.unwrap_or(defaults.max()));
        let started = bounds.and_then(|bounds| keys.limit_start.map_or(Ok(bounds), |start| bounds.start(start)));
        started.map_err(D::Error::custom)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PacerKeys {
    flush_interval_min: Option<String>,
    flush_interval_max: Option<String>,
    target_latency: Option<String>,
}

impl PacerKeys {
    fn build(self) -> Result<FlushPacer, ConfigError> {
        let defaults = BackpressureConfig::default();
        let (min, max) = defaults.flush_interval();
        let floor = some_duration("flush_interval_min", self.flush_interval_min.as_deref())?.unwrap_or(min);
        let ceiling = some_duration("flush_interval_max", self.flush_interval_max.as_deref())?.unwrap_or(max);
        let target = some_duration("target_latency", self.target_latency.as_deref())?;
        FlushPacer::new(floor, ceiling, target.unwrap_or(defaults.target_latency()))
    }
}

/// The keys are `flush_interval_min`, `flush_interval_max` and `target_latency`, with the defaults of a [`BackpressureConfig`].
impl<'de> Deserialize<'de> for FlushPacer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PacerKeys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SizerKeys {
    batch_size_min: Option<usize>,
    batch_size_max: Option<usize>,
    target_latency: Option<String>,
}

impl SizerKeys {
    fn build(self) -> Result<BatchSizer, ConfigError> {
        let defaults = BackpressureConfig::default();
        let target = some_duration("target_latency", self.target_latency.as_deref())?;
        let max = self.batch_size_max.unwrap_or(defaults.batch_items());
        BatchSizer::new(self.batch_size_min.unwrap_or(1), max, target.unwrap_or(defaults.target_latency()))
    }
}

/// The keys are `batch_size_min`, by default 1, `batch_size_max` and `target_latency`, with the defaults of a [`BackpressureConfig`]:
/// its batch items, and its target latency.
impl<'de> Deserialize<'de> for BatchSizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SizerKeys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}
