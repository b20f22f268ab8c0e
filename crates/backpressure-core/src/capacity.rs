//! Capacity by time: as many items as are drained within a duration.

use std::time::Duration;

use crate::error::ConfigError;

/// A capacity that bounds how long items are queued, instead of how many are: as many items as the consumer drains within a
/// duration (Little's law: length = rate × delay), between a floor and a ceiling.
///
/// A bound in items means a short delay in front of a fast consumer and a long one in front of a slow consumer. This one
/// follows the measured rate: see [`TimedCapacity`](crate::TimedCapacity).
///
/// ```
/// use std::time::Duration;
/// use backpressure_core::{BackpressureConfig, Capacity};
///
/// let capacity = Capacity::within(Duration::from_millis(200)).floor(100).ceiling(50_000);
/// let config = BackpressureConfig::builder().capacity_within(capacity).build()?;
/// assert_eq!(config.capacity(), 100); // nothing is known of the consumer yet
///
/// let error = BackpressureConfig::builder().capacity_within(capacity.ceiling(10)).build().unwrap_err();
/// assert_eq!(error.to_string(), "capacity_floor is 100, but must be at most capacity_ceiling (10)");
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    pub(crate) within: Duration,
    pub(crate) floor: usize,
    pub(crate) ceiling: usize,
}

impl Capacity {
    /// As many items as are drained within this time. The floor is 100 items, the ceiling 10 000.
    pub const fn within(duration: Duration) -> Self {
        Self { within: duration, floor: 100, ceiling: 10_000 }
    }

    /// The least capacity: the one it starts with, and that of a consumer that stands still. At least 1, and at least as many
    /// as a batch has. Default 100.
    ///
    /// It has to let enough in for the consumer to be busy, so that its rate can be seen.
    #[must_use]
    pub const fn floor(self, items: usize) -> Self {
        Self { floor: items, ..self }
    }

    /// The largest capacity, however fast the consumer is. At least the floor. Default 10 000.
    #[must_use]
    pub const fn ceiling(self, items: usize) -> Self {
        Self { ceiling: items, ..self }
    }

    /// See [`within`](Self::within).
    pub const fn duration(&self) -> Duration {
        self.within
    }

    /// The least and the largest capacity.
    pub const fn bounds(&self) -> (usize, usize) {
        (self.floor, self.ceiling)
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.within.is_zero() {
            return Err(ConfigError::new("capacity_within", "0", "above 0"));
        }
        if self.floor == 0 {
            return Err(ConfigError::new("capacity_floor", 0, "at least 1"));
        }
        if self.floor > self.ceiling {
            let bound = format!("at most capacity_ceiling ({})", self.ceiling);
            return Err(ConfigError::new("capacity_floor", self.floor, bound));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d7_refusals_name_field_value_and_bound() {
        let refusal = |capacity: Capacity| capacity.check().unwrap_err().to_string();
        assert_eq!(refusal(Capacity::within(Duration::ZERO)), "capacity_within is 0, but must be above 0");
        assert_eq!(
            refusal(Capacity::within(Duration::from_millis(1)).floor(0)),
            "capacity_floor is 0, but must be at least 1"
        );
        let inverted = "capacity_floor is 100, but must be at most capacity_ceiling (7)";
        assert_eq!(refusal(Capacity::within(Duration::from_millis(1)).ceiling(7)), inverted);
    }
}
