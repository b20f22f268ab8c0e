//! The bounds of a limit, and its initial value.

use crate::ConfigError;

/// The range of an adaptive limit, and the value it starts from, in calls in flight.
///
/// The default is 2 to 10 000, starting at 16. The floor keeps a service that is in trouble answering somebody, which is
/// also how it finds out that the trouble is over. The ceiling bounds what a limit that was fooled can cost; it should
/// be well above what the service ever needs, calls that hang included. A start that is low costs a few round trips, for a
/// limit that is felt doubles until something queues; one that is high costs a service that comes up under overload its
/// first second.
///
/// ```
/// use backpressure_core::limit::Bounds;
///
/// let bounds = Bounds::new(4, 200)?.start(20)?;
/// assert_eq!((bounds.min(), bounds.max(), bounds.initial()), (4, 200, 20));
/// assert!(Bounds::new(0, 200).is_err());
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    min: usize,
    max: usize,
    start: usize,
}

impl Bounds {
    /// The range from `min` to `max`, both included, starting at 16 or at the nearest bound.
    ///
    /// # Errors
    ///
    /// Refuses a `min` of zero (`limit_min`), under which nothing would be admitted and nothing learned, and a `min`
    /// above `max`.
    pub fn new(min: usize, max: usize) -> Result<Self, ConfigError> {
        if min == 0 {
            return Err(ConfigError::new("limit_min", min, "at least 1"));
        }
        if min > max {
            return Err(ConfigError::new("limit_min", min, format_args!("at most limit_max ({max})")));
        }
        Ok(Self { min, max, start: Self::default().start.clamp(min, max) })
    }

    /// The limit before anything was learned.
    ///
    /// # Errors
    ///
    /// Refuses a `start` outside of the range (`limit_start`).
    pub fn start(mut self, start: usize) -> Result<Self, ConfigError> {
        if !(self.min..=self.max).contains(&start) {
            let bound = format_args!("from {} to {}", self.min, self.max).to_string();
            return Err(ConfigError::new("limit_start", start, bound));
        }
        self.start = start;
        Ok(self)
    }

    /// The lowest limit.
    pub const fn min(&self) -> usize {
        self.min
    }

    /// The highest limit.
    pub const fn max(&self) -> usize {
        self.max
    }

    /// The limit before anything was learned.
    pub const fn initial(&self) -> usize {
        self.start
    }

    /// The whole limit nearest to `limit` within the range; the floor for NaN.
    pub(crate) fn round(&self, limit: f64) -> usize {
        (limit.round() as usize).clamp(self.min, self.max)
    }

    /// `limit` within the range; the floor for NaN.
    pub(crate) fn clamp(&self, limit: f64) -> f64 {
        limit.max(self.min as f64).min(self.max as f64)
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { min: 2, max: 10_000, start: 16 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d7_refusals_name_field_value_and_bound() {
        let refusal = |min, max| Bounds::new(min, max).unwrap_err().to_string();
        assert_eq!(refusal(0, 9), "limit_min is 0, but must be at least 1");
        assert_eq!(refusal(10, 9), "limit_min is 10, but must be at most limit_max (9)");
        let outside = Bounds::new(2, 9).unwrap().start(10).unwrap_err().to_string();
        assert_eq!(outside, "limit_start is 10, but must be from 2 to 9");
    }

    #[test]
    fn the_start_is_16_or_the_nearest_bound() {
        let start = |min, max| Bounds::new(min, max).unwrap().initial();
        assert_eq!((start(1, 100), start(1, 4), start(80, 100)), (16, 4, 80));
    }

    #[test]
    fn d6_any_number_is_brought_into_the_range() {
        let bounds = Bounds::new(2, usize::MAX).unwrap();
        for (limit, whole) in [(f64::NAN, 2), (-1.0, 2), (2.5, 3), (f64::INFINITY, usize::MAX), (1e300, usize::MAX)] {
            assert_eq!(bounds.round(limit), whole);
            assert!(bounds.clamp(limit) >= 2.0);
        }
        assert_eq!(Bounds::default().clamp(f64::NAN), 2.0);
    }
}
