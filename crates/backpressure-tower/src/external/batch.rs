//! The layer that batches.

use backpressure_core::{BackpressureConfig, ConfigError, some_duration};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::batch::{BatchLayer, BatchLayerBuilder};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    max_items: Option<usize>,
    linger: Option<String>,
    quiet: Option<String>,
    eager_when_idle: bool,
    capacity: Option<usize>,
    low_watermark: Option<f64>,
    high_watermark: Option<f64>,
    concurrency: Option<usize>,
    max_keys: Option<usize>,
    batch_size_min: Option<usize>,
    flush_interval_min: Option<String>,
    flush_interval_max: Option<String>,
    target_latency: Option<String>,
}

impl Keys {
    fn build<Req, Resp>(&self) -> Result<BatchLayerBuilder<Req, Resp>, ConfigError> {
        let mut builder = BatchLayer::builder().eager_when_idle(self.eager_when_idle);
        if let Some(items) = self.max_items {
            builder = builder.max_items(items);
        }
        if let Some(linger) = some_duration("linger", self.linger.as_deref())? {
            builder = builder.linger(linger);
        }
        if let Some(quiet) = some_duration("quiet", self.quiet.as_deref())? {
            builder = builder.quiet(quiet);
        }
        if let Some(calls) = self.capacity {
            builder = builder.capacity(calls);
        }
        builder = builder.watermarks(self.low_watermark.unwrap_or(LOW), self.high_watermark.unwrap_or(HIGH));
        if let Some(batches) = self.concurrency {
            builder = builder.concurrency(batches);
        }
        if let Some(keys) = self.max_keys {
            builder = builder.max_keys(keys);
        }
        self.learned(builder)
    }

    /// Size and linger are learned where there are bounds for them.
    fn learned<Req, Resp>(
        &self,
        mut builder: BatchLayerBuilder<Req, Resp>,
    ) -> Result<BatchLayerBuilder<Req, Resp>, ConfigError> {
        let defaults = BackpressureConfig::default();
        let given = some_duration("target_latency", self.target_latency.as_deref())?;
        let target = given.unwrap_or(defaults.target_latency());
        let min = some_duration("flush_interval_min", self.flush_interval_min.as_deref())?;
        let max = some_duration("flush_interval_max", self.flush_interval_max.as_deref())?;
        let paced = min.is_some() || max.is_some();
        if let (true, Some(linger)) = (paced, &self.linger) {
            return Err(ConfigError::new("linger", linger, "unset with a flush_interval_min or flush_interval_max"));
        }
        if let (false, None, Some(target)) = (paced, self.batch_size_min, given) {
            let bound = "unset without a batch_size_min, flush_interval_min or flush_interval_max";
            return Err(ConfigError::new("target_latency", format_args!("{target:?}"), bound));
        }
        if paced {
            let (floor, ceiling) = defaults.flush_interval();
            builder = builder.adaptive_linger(min.unwrap_or(floor), max.unwrap_or(ceiling), target);
        }
        Ok(match self.batch_size_min {
            Some(min) => builder.adaptive_size(min, target),
            None => builder,
        })
    }
}

/// The defaults of [`BatchLayerBuilder::watermarks`].
const LOW: f64 = 0.5;
const HIGH: f64 = 0.8;

/// All keys have the defaults of the methods of their names: `max_items`, `linger`, `quiet`, `eager_when_idle`, `capacity`,
/// `concurrency` and `max_keys`; the watermarks are `low_watermark` and `high_watermark`. Lengths of time are texts, such as `"2ms"`.
///
/// The size of a batch is [learned](BatchLayerBuilder::adaptive_size) with a `batch_size_min`, and the
/// [linger](BatchLayerBuilder::adaptive_linger) with a `flush_interval_min` or a `flush_interval_max`, both at a `target_latency`; the
/// defaults of these are those of a [`BackpressureConfig`].
///
/// What is read is checked at once; what takes a function is added to the builder.
///
/// ```
/// use backpressure_tower::BatchLayerBuilder;
///
/// let builder: BatchLayerBuilder<u64, String> = toml::from_str("max_items = 64\nlinger = \"2ms\"")?;
/// let layer = builder.deduplicate().build()?;
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<'de, Req, Resp> Deserialize<'de> for BatchLayerBuilder<Req, Resp> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = Keys::deserialize(deserializer)?;
        // Every builder of the same keys would be refused like this one, which is nothing else yet.
        keys.build::<Req, Resp>().and_then(BatchLayerBuilder::build).map_err(D::Error::custom)?;
        keys.build().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    type Builder = BatchLayerBuilder<u64, u64>;

    #[test]
    fn every_key_is_what_its_method_sets() {
        let keys = "max_items = 7\nlinger = \"2ms\"\nquiet = \"1ms\"\neager_when_idle = true\ncapacity = 70\nlow_watermark = 0.1\nhigh_watermark = 0.2\nconcurrency = 3\nmax_keys = 9";
        let built = BatchLayer::<u64, u64>::builder()
            .max_items(7)
            .linger(Duration::from_millis(2))
            .quiet(Duration::from_millis(1))
            .eager_when_idle(true)
            .capacity(70)
            .watermarks(0.1, 0.2)
            .concurrency(3)
            .max_keys(9);
        let settings = |builder: Builder| format!("{:?}", builder.build().unwrap());
        assert_eq!(settings(toml::from_str(keys).unwrap()), settings(built));
        assert_eq!(settings(toml::from_str("").unwrap()), settings(BatchLayer::builder()));
    }

    #[test]
    fn size_and_linger_are_learned_where_they_have_bounds() {
        let settings = |builder: Builder| format!("{:?}", builder.build().unwrap());
        let ms = Duration::from_millis;
        let keys =
            "batch_size_min = 2\nflush_interval_min = \"1ms\"\nflush_interval_max = \"9ms\"\ntarget_latency = \"5ms\"";
        let built = BatchLayer::<u64, u64>::builder().adaptive_size(2, ms(5)).adaptive_linger(ms(1), ms(9), ms(5));
        assert_eq!(settings(toml::from_str(keys).unwrap()), settings(built));
        let config = BackpressureConfig::default();
        let ((min, max), target) = (config.flush_interval(), config.target_latency());
        let built = BatchLayer::<u64, u64>::builder().adaptive_linger(min, max, target);
        assert_eq!(settings(toml::from_str(&format!("flush_interval_min = \"{min:?}\"")).unwrap()), settings(built));
    }

    #[test]
    fn d7_what_the_builder_refuses_is_refused_in_its_words() {
        let refused = |text| toml::from_str::<Builder>(text).unwrap_err().message().to_owned();
        assert_eq!(refused("concurrency = 0"), "concurrency is 0, but must be at least 1");
        assert_eq!(refused("max_items = 9\ncapacity = 8"), "max_items is 9, but must be at most the capacity (8)");
        assert_eq!(refused("low_watermark = 0.9"), "low_watermark is 0.9, but must be below high_watermark (0.8)");
        assert!(refused("linger = \"a while\"").starts_with("linger is \"a while\", but must be a length of time"));
        assert_eq!(
            refused("max_items = 9\nbatch_size_min = 10"),
            "batch_size_min is 10, but must be at most max_items (9)"
        );
        assert_eq!(
            refused("flush_interval_min = \"2s\"\nflush_interval_max = \"1s\""),
            "flush_interval_min is 2s, but must be at most flush_interval_max (1s)"
        );
        assert_eq!(
            refused("flush_interval_min = \"2ms\"\nlinger = \"1ms\""),
            "linger is 1ms, but must be unset with a flush_interval_min or flush_interval_max"
        );
        assert!(refused("target_latency = \"2ms\"").starts_with("target_latency is 2ms, but must be unset without"));
        assert!(refused("max_item = 9").starts_with("unknown field `max_item`"));
    }
}
