use std::time::Duration;

use crate::ConfigError;

/// When a batch closes. Everything has a default.
///
/// ```
/// use std::time::Duration;
/// use backpressure_core::BatchConfig;
///
/// let config = BatchConfig::builder().max_items(500).linger(Duration::from_millis(20)).build()?;
/// assert_eq!(config.max_items(), 500);
///
/// let error = BatchConfig::builder().max_items(0).build().unwrap_err();
/// assert_eq!(error.to_string(), "max_items is 0, but must be at least 1");
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchConfig {
    pub(super) max_items: usize,
    max_weight: Option<usize>,
    linger: Duration,
    quiet: Option<Duration>,
}

impl BatchConfig {
    /// A builder that holds the defaults.
    pub fn builder() -> BatchConfigBuilder {
        BatchConfigBuilder { config: BatchConfig::default() }
    }

    /// See [`BatchConfigBuilder::max_items`].
    pub const fn max_items(&self) -> usize {
        self.max_items
    }

    /// See [`BatchConfigBuilder::max_weight`].
    pub const fn max_weight(&self) -> Option<usize> {
        self.max_weight
    }

    /// See [`BatchConfigBuilder::linger`].
    pub const fn linger(&self) -> Duration {
        self.linger
    }

    /// See [`BatchConfigBuilder::quiet`].
    pub const fn quiet(&self) -> Option<Duration> {
        self.quiet
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { max_items: 100, max_weight: None, linger: Duration::from_millis(100), quiet: None }
    }
}

/// Builds a [`BatchConfig`].
#[derive(Debug, Clone)]
#[must_use]
pub struct BatchConfigBuilder {
    config: BatchConfig,
}

impl BatchConfigBuilder {
    /// Most items in a batch. Default 100.
    ///
    /// Larger batches spread the cost of a flush over more items; a failed flush puts more of them at stake. At 1 every
    /// item is a batch.
    pub const fn max_items(mut self, max_items: usize) -> Self {
        self.config.max_items = max_items;
        self
    }

    /// Most weight in a batch, in whatever unit the items are weighed, bytes for example. Default: no bound.
    ///
    /// An item heavier than this is a batch of its own, the one batch that may exceed it.
    pub const fn max_weight(mut self, max_weight: usize) -> Self {
        self.config.max_weight = Some(max_weight);
        self
    }

    /// Longest wait of a batch's first item. Default 100 ms.
    ///
    /// A longer linger makes fuller batches out of a slow input, and delays it. Zero closes a batch at the first look
    /// at the clock, so that a batch is what arrived in one go; [`Duration::MAX`] never closes a batch for its age.
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// Longest gap between arrivals, after which a batch closes although its first item could wait longer. Default:
    /// none.
    ///
    /// It lets the end of a burst go without waiting for the linger, at the price of smaller batches when the input
    /// stutters. At or above the linger it has no effect.
    pub const fn quiet(mut self, quiet: Duration) -> Self {
        self.config.quiet = Some(quiet);
        self
    }

    /// The finished configuration.
    ///
    /// # Errors
    ///
    /// Refuses `max_items` or `max_weight` of zero.
    pub fn build(self) -> Result<BatchConfig, ConfigError> {
        for (field, value) in [("max_items", Some(self.config.max_items)), ("max_weight", self.config.max_weight)] {
            if value == Some(0) {
                return Err(ConfigError::new(field, 0, "at least 1"));
            }
        }
        Ok(self.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d7_a_batch_without_room_is_refused() {
        let refusal = |builder: BatchConfigBuilder| builder.build().unwrap_err().to_string();
        assert_eq!(refusal(BatchConfig::builder().max_items(0)), "max_items is 0, but must be at least 1");
        assert_eq!(refusal(BatchConfig::builder().max_weight(0)), "max_weight is 0, but must be at least 1");
    }

    #[test]
    fn d6_extremes_are_accepted() {
        let large = BatchConfig::builder().max_items(usize::MAX).max_weight(usize::MAX).linger(Duration::MAX);
        assert!(large.quiet(Duration::MAX).build().is_ok());
        let small = BatchConfig::builder().max_items(1).max_weight(1).linger(Duration::ZERO);
        assert!(small.quiet(Duration::ZERO).build().is_ok());
    }

    #[test]
    fn the_builder_starts_from_the_default() {
        assert_eq!(BatchConfig::builder().build(), Ok(BatchConfig::default()));
    }
}
