//! The numbers of a batcher, which may change while it is in use.

use std::time::Duration;

use backpressure_core::{BackpressureConfig, ConfigError, Watermarks};

/// The numbers of a batcher that may change while it is in use, by [`BatchHandle::reconfigure`](crate::BatchHandle::reconfigure).
/// What each of them means, its bounds and its default are told by the method of
/// [`BatchLayerBuilder`](crate::BatchLayerBuilder) with the same name.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BatcherConfig {
    /// [`capacity`](crate::BatchLayerBuilder::capacity), in calls.
    pub capacity: usize,
    /// The lower of the [`watermarks`](crate::BatchLayerBuilder::watermarks), as a share of the capacity.
    pub low_watermark: f64,
    /// The higher of the [`watermarks`](crate::BatchLayerBuilder::watermarks), as a share of the capacity.
    pub high_watermark: f64,
    /// [`max_items`](crate::BatchLayerBuilder::max_items), in requests.
    pub max_items: usize,
    /// [`max_weight`](crate::BatchLayerBuilder::max_weight), in the unit of its function. `None` if requests are not weighed.
    pub max_weight: Option<usize>,
    /// [`linger`](crate::BatchLayerBuilder::linger). It has no effect where the linger is
    /// [adaptive](crate::BatchLayerBuilder::adaptive_linger).
    pub linger: Duration,
    /// [`quiet`](crate::BatchLayerBuilder::quiet).
    pub quiet: Option<Duration>,
    /// [`concurrency`](crate::BatchLayerBuilder::concurrency), in batches. It has no effect where the concurrency is
    /// [adaptive](crate::BatchLayerBuilder::adaptive_concurrency).
    pub concurrency: usize,
}

impl BatcherConfig {
    /// What the queue gets of it.
    ///
    /// # Errors
    ///
    /// The first field whose value is out of its bound.
    pub(crate) fn check(&self) -> Result<BackpressureConfig, ConfigError> {
        let at_least_1 = [
            ("max_items", Some(self.max_items)),
            ("max_weight", self.max_weight),
            ("concurrency", Some(self.concurrency)),
        ];
        if let Some((field, _)) = at_least_1.into_iter().find(|(_, value)| *value == Some(0)) {
            return Err(ConfigError::new(field, 0, "at least 1"));
        }
        let buffer = BackpressureConfig::builder().capacity(self.capacity);
        let buffer = buffer.low_watermark(self.low_watermark).high_watermark(self.high_watermark).build()?;
        if self.max_items > self.capacity {
            let bound = format!("at most the capacity ({})", self.capacity);
            return Err(ConfigError::new("max_items", self.max_items, bound));
        }
        Ok(buffer)
    }
}

/// The defaults of the [builder](crate::BatchLayerBuilder).
impl Default for BatcherConfig {
    fn default() -> Self {
        let watermarks = Watermarks::default();
        Self {
            capacity: BackpressureConfig::default().capacity(),
            low_watermark: watermarks.low(),
            high_watermark: watermarks.high(),
            max_items: 100,
            max_weight: None,
            linger: Duration::ZERO,
            quiet: None,
            concurrency: 1,
        }
    }
}
