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
}

impl Aimd {
    const STEP: f64 = 4.0;
    const BACKOFF: f64 = 0.9;

    /// A limit within `bounds` that takes calls of more than `timeout` as a sign of overload.
    ///
    /// # Errors
    ///
    /// Refuses a `timeout` of zero (`limit_timeout`), which no call could meet.
    pub fn new(bounds: Bounds, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            return Err(ConfigError::new("limit_timeout", "0", "above 0"));
        }
        Ok(Self { bounds, timeout, limit: bounds.initial() as f64 })
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
            self.limit = self.bounds.clamp(self.limit + Self::STEP * window.answered_share());
        }
        self.limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d7_a_timeout_of_zero_is_refused() {
        let refused = Aimd::new(Bounds::default(), Duration::ZERO).unwrap_err().to_string();
        assert_eq!(refused, "limit_timeout is 0, but must be above 0");
    }
}
