//! Watermarks: where one state ends and the next begins.

use crate::thresholds::{Band, Thresholds};
use crate::{ConfigError, State};

/// The two utilizations between which pressure rises.
///
/// Utilization is the filled share of a bound, 0 for empty and 1 for full. Below `low` a part is
/// [`Normal`](State::Normal), from `low` on [`Elevated`](State::Elevated), from `high` on
/// [`Critical`](State::Critical), and full is [`Blocked`](State::Blocked). The default is 0.5 and 0.8.
///
/// A lower watermark gives whoever reacts to it more time and leaves more of the buffer unused on a quiet day.
///
/// ```
/// use backpressure_core::{State, Watermarks};
///
/// let watermarks = Watermarks::new(0.5, 0.8)?;
/// assert_eq!(watermarks.classify(0.49), State::Normal);
/// assert_eq!(watermarks.classify(0.5), State::Elevated);
/// assert_eq!(watermarks.classify(0.8), State::Critical);
/// assert_eq!(watermarks.classify(1.0), State::Blocked);
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watermarks {
    low: f64,
    high: f64,
}

impl Watermarks {
    /// Watermarks at `low` and `high`, both as a share of the bound.
    ///
    /// # Errors
    ///
    /// Refuses, under the names `low_watermark` and `high_watermark`, a value that is NaN or not strictly between 0
    /// and 1, and a `low` that is not below `high`: each of the three lower states must have room.
    pub fn new(low: f64, high: f64) -> Result<Self, ConfigError> {
        for (field, value) in [("low_watermark", low), ("high_watermark", high)] {
            if !(value > 0.0 && value < 1.0) {
                return Err(ConfigError::new(field, value, "above 0 and below 1"));
            }
        }
        if low >= high {
            return Err(ConfigError::new("low_watermark", low, format_args!("below high_watermark ({high})")));
        }
        Ok(Self { low, high })
    }

    /// The utilization from which a part is [`Elevated`](State::Elevated). Default 0.5.
    pub const fn low(&self) -> f64 {
        self.low
    }

    /// The utilization from which a part is [`Critical`](State::Critical). Default 0.8.
    pub const fn high(&self) -> f64 {
        self.high
    }

    /// The state at `utilization`; never [`Draining`](State::Draining), which is not a matter of depth.
    ///
    /// NaN counts as [`Blocked`](State::Blocked): a broken measurement must not read as health.
    #[inline]
    pub fn classify(&self, utilization: f64) -> State {
        self.thresholds().classify(utilization)
    }

    /// These watermarks with thresholds for falling that lie `hysteresis` below those for rising.
    pub(crate) fn band(&self, hysteresis: f64) -> Band<f64> {
        let rising = self.thresholds();
        Band { rising, falling: rising.map(|threshold| threshold - hysteresis) }
    }

    const fn thresholds(&self) -> Thresholds<f64> {
        Thresholds { low: self.low, high: self.high, full: 1.0 }
    }

    /// Whether `hysteresis` leaves every falling threshold above zero, so that an empty part is always `Normal`.
    pub(crate) fn check_hysteresis(&self, hysteresis: f64) -> Result<(), ConfigError> {
        if hysteresis >= 0.0 && hysteresis < self.low {
            return Ok(());
        }
        let bound = format!("at least 0 and below low_watermark ({})", self.low);
        Err(ConfigError::new("hysteresis", hysteresis, bound))
    }

    /// Whether every state has a threshold of its own for falling, none above the one for rising, and all above zero.
    pub(crate) fn check_falling(&self, falling: &Thresholds<f64>) -> Result<(), ConfigError> {
        let (rising, Thresholds { low, high, full }) = (self.thresholds(), *falling);
        let is_below = low <= rising.low && high <= rising.high && full <= rising.full;
        if low > 0.0 && low < high && high < full && is_below {
            return Ok(());
        }
        let bound = format!("above 0, rising, and at most {}, {} and {}", rising.low, rising.high, rising.full);
        Err(ConfigError::new("leave_below", format_args!("{low}, {high}, {full}"), bound))
    }
}

impl Default for Watermarks {
    fn default() -> Self {
        Self { low: 0.5, high: 0.8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(low: f64, high: f64) -> String {
        Watermarks::new(low, high).unwrap_err().to_string()
    }

    #[test]
    fn refusals_name_field_value_and_bound() {
        assert_eq!(refusal(0.9, 0.4), "low_watermark is 0.9, but must be below high_watermark (0.4)");
        assert_eq!(refusal(0.5, 0.5), "low_watermark is 0.5, but must be below high_watermark (0.5)");
        assert_eq!(refusal(0.0, 0.5), "low_watermark is 0, but must be above 0 and below 1");
        assert_eq!(refusal(0.5, 1.0), "high_watermark is 1, but must be above 0 and below 1");
        assert_eq!(refusal(0.5, f64::NAN), "high_watermark is NaN, but must be above 0 and below 1");
        assert_eq!(refusal(f64::NEG_INFINITY, 0.5), "low_watermark is -inf, but must be above 0 and below 1");
        assert_eq!(refusal(0.5, f64::INFINITY), "high_watermark is inf, but must be above 0 and below 1");
    }

    #[test]
    fn the_default_would_be_accepted() {
        let default = Watermarks::default();
        assert_eq!(Watermarks::new(default.low(), default.high()), Ok(default));
        assert_eq!((default.low(), default.high()), (0.5, 0.8));
    }

    #[test]
    fn each_threshold_belongs_to_the_state_above_it() {
        let watermarks = Watermarks::new(0.25, 0.75).unwrap();
        for (utilization, state) in [
            (f64::NEG_INFINITY, State::Normal),
            (0.0, State::Normal),
            (0.25_f64.next_down(), State::Normal),
            (0.25, State::Elevated),
            (0.75_f64.next_down(), State::Elevated),
            (0.75, State::Critical),
            (1.0_f64.next_down(), State::Critical),
            (1.0, State::Blocked),
            (f64::INFINITY, State::Blocked),
        ] {
            assert_eq!(watermarks.classify(utilization), state, "at {utilization}");
        }
    }

    #[test]
    fn a_broken_measurement_is_not_health() {
        assert_eq!(Watermarks::default().classify(f64::NAN), State::Blocked);
    }
}
