//! AIMD: additive increase, multiplicative decrease.

use std::time::Duration;

use super::{Bounds, Limit, Window};
use crate::ConfigError;

/// Additive increase, multiplicative decrease: the limit falls by a tenth after a window with an
/// [overload](super::Outcome::Overload) or a mean latency above the timeout, and rises by 4 after one that used at least half
/// of it, or by as large a part of 4 as were not cancelled.
///
/// It must be told when too late is, and keeps the part right at that edge: every call is nearly too late all the time.
/// [`Fast`](super::Fast) needs no such number.
///
/// D.-M. Chiu and R. Jain, *Analysis of the Increase and Decrease Algorithms for Congestion Avoidance in Computer Networks*,
/// 1989, with the constants of Netflix's concurrency-limits; the step is larger because it is taken once per window
/// rather than with every call.
///
/// ```
/// use std::time::{Duration, Instant};
/// use backpressure_core::limit::{Aimd, Bounds, Limit, Window};
///
/// let ms = Duration::from_millis;
/// let mut limit = Aimd::new(Bounds::new(1, 100)?.start(50)?, ms(100))?;
/// let mut window = Window::new(Instant::now(), ms(100));
/// (window.departures, window.in_flight, window.peak) = (30, 48.0, 50);
/// window.latency = Some(ms(20));
/// assert_eq!(limit.update(&window), 54);
/// window.latency = Some(ms(101));
/// assert_eq!(limit.update(&window), 49);
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Aimd {
    bounds: Bounds,
    timeout: Duration,
    limit: f64,
    rise: Rise,
}

/// By how much the limit rises.
#[derive(Debug, Clone, Copy)]
enum Rise {
    PerWindow(f64),
    PerSecond(f64),
}

impl Aimd {
    const STEP: f64 = 4.0;
    const BACKOFF: f64 = 0.9;
    /// In seconds. A longer window, in which next to nothing was answered, is no reason for a leap.
    const LONGEST: f64 = 1.0;

    /// A limit within `bounds` that takes calls of more than `timeout` as a sign of overload.
    ///
    /// # Errors
    ///
    /// Refuses a `timeout` of zero (`limit_timeout`), which no call could meet.
    pub fn new(bounds: Bounds, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            return Err(ConfigError::new("limit_timeout", "0", "above 0"));
        }
        Ok(Self { bounds, timeout, limit: bounds.initial() as f64, rise: Rise::PerWindow(Self::STEP) })
    }

    /// For one of several callers that share a part: the limit rises by so many calls a second instead of by 4 a window, which
    /// is the default. A window longer than a second counts as a second.
    ///
    /// All of them see the same answers come late, and all fall by a tenth of what they have. What they rise by must be the
    /// same, too, or they drift apart: who has more calls answered has shorter windows, and more of them. Ten a second was
    /// measured with ten callers. More of it finds room sooner, and overshoots by more.
    ///
    /// ```
    /// use std::time::Duration;
    /// use backpressure_core::limit::{Aimd, Bounds};
    ///
    /// // Answers are of use within 200 ms; half of it leaves time for the way there and back.
    /// let limit = Aimd::new(Bounds::default(), Duration::from_millis(100))?.with_rise_per_second(10)?;
    /// # Ok::<(), backpressure_core::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Refuses 0 (`limit_rise`), with which the limit would only fall.
    pub fn with_rise_per_second(mut self, calls: u32) -> Result<Self, ConfigError> {
        if calls == 0 {
            return Err(ConfigError::new("limit_rise", calls, "at least 1"));
        }
        self.rise = Rise::PerSecond(f64::from(calls));
        Ok(self)
    }

    fn rise(&self, window: &Window) -> f64 {
        match self.rise {
            Rise::PerWindow(calls) => calls,
            Rise::PerSecond(calls) => calls * window.length.as_secs_f64().min(Self::LONGEST),
        }
    }
}

impl Limit for Aimd {
    fn limit(&self) -> usize {
        self.bounds.round(self.limit)
    }

    fn update(&mut self, window: &Window) -> usize {
        let is_late = window.latency.is_some_and(|latency| latency > self.timeout);
        if window.overloads > 0 || is_late {
            self.limit = self.bounds.clamp(self.limit * Self::BACKOFF);
        } else if window.departures > 0 && window.is_half_used(self.limit) {
            self.limit = self.bounds.clamp(self.limit + self.rise(window) * window.answered_share());
        }
        self.limit()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn d7_a_timeout_of_zero_is_refused() {
        let refused = Aimd::new(Bounds::default(), Duration::ZERO).unwrap_err().to_string();
        assert_eq!(refused, "limit_timeout is 0, but must be above 0");
    }

    #[test]
    fn who_rises_per_second_gets_as_far_in_one_window_as_in_ten_short_ones() {
        let limit = Aimd::new(Bounds::new(1, 100).unwrap(), Duration::from_millis(50)).unwrap();
        let after = |windows: u32| {
            let mut limit = limit.clone().with_rise_per_second(20).unwrap();
            let window =
                Window { departures: 10, peak: 100, ..Window::new(Instant::now(), Duration::from_secs(1) / windows) };
            (0..windows).map(|_| limit.update(&window)).last()
        };
        assert_eq!([1, 10].map(after), [Some(36); 2]);
        let stalled = Window { departures: 1, peak: 100, ..Window::new(Instant::now(), Duration::MAX) };
        assert_eq!(limit.clone().with_rise_per_second(20).unwrap().update(&stalled), 36);
    }

    #[test]
    fn d7_a_rise_of_zero_is_refused() {
        let limit = Aimd::new(Bounds::default(), Duration::from_millis(50)).unwrap();
        assert_eq!(limit.with_rise_per_second(0).unwrap_err().to_string(), "limit_rise is 0, but must be at least 1");
    }
}
