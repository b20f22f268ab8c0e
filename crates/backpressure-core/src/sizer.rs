//! The batch sizer: how many items a batch has, learned from the latency of flushes.

use std::time::Duration;

use crate::ConfigError;

/// One step is this part of the range, so that this many full batches climb it from end to end.
const STEPS: usize = 64;

/// The adaptive batch size: additive increase, multiplicative decrease.
///
/// A full batch that was flushed within the target latency raises the limit by a constant step, 1/64 of the range. One
/// that took more than 1.5 × the target brings it down to half of that batch. In between the limit stays, so that it
/// does not follow the noise of a consumer that is about right. It starts at the lower bound and never leaves the
/// bounds.
///
/// Adding on the way up and multiplying on the way down is the one linear rule by which several that share a consumer
/// arrive at fair shares without knowing of one another (D.-M. Chiu and R. Jain, *Analysis of the Increase and Decrease
/// Algorithms for Congestion Avoidance in Computer Networks*, 1989). A half, because a batch that took 1.5 × the target
/// or a little more then takes 0.75 × or so, well inside it; two thirds would land on the target itself.
///
/// Only a batch that was full under the limit in force tells anything about that limit. A partial one is ignored: a
/// limit that nobody reaches must not grow, and one that was not reached did not make the flush slow. Several batches
/// in flight when the consumer slows down are of one size and ask for the same half, so they shrink the limit once.
///
/// ```
/// use std::time::Duration;
/// use backpressure_core::BatchSizer;
///
/// let ms = Duration::from_millis;
/// let mut sizer = BatchSizer::new(100, 740, ms(500))?;
/// sizer.record(100, ms(200));
/// assert_eq!(sizer.limit(), 110);
/// sizer.record(50, ms(200));
/// assert_eq!(sizer.limit(), 110);
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct BatchSizer {
    min: usize,
    max: usize,
    target: Duration,
    limit: usize,
}

impl BatchSizer {
    /// A sizer that keeps the limit between `min` and `max` items, and flushes near the `target` latency.
    ///
    /// # Errors
    ///
    /// Refuses a `min` of zero (`batch_size_min`), a `min` above `max`, and a `target` of zero (`target_latency`),
    /// which no flush could meet.
    pub fn new(min: usize, max: usize, target: Duration) -> Result<Self, ConfigError> {
        if min == 0 {
            return Err(ConfigError::new("batch_size_min", min, "at least 1"));
        }
        if min > max {
            return Err(ConfigError::new("batch_size_min", min, format_args!("at most batch_size_max ({max})")));
        }
        if target.is_zero() {
            return Err(ConfigError::new("target_latency", "0", "above 0"));
        }
        Ok(Self { min, max, target, limit: min })
    }

    /// Takes another upper bound, at least the lower one, and another target; the limit moves into the bounds. They are those
    /// of a configuration that was checked.
    #[doc(hidden)]
    pub fn reconfigure(&mut self, max: usize, target: Duration) {
        self.set_max(max);
        self.target = target;
    }

    /// Takes another upper bound in the same way.
    #[doc(hidden)]
    pub fn set_max(&mut self, max: usize) {
        self.max = max.max(self.min);
        self.limit = self.limit.min(self.max);
    }

    /// Most items that a batch should have now.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Learns from a flush of `items` items that took `latency`.
    pub fn record(&mut self, items: usize, latency: Duration) {
        if items < self.limit {
            return;
        }
        if latency <= self.target {
            let step = (self.max - self.min).div_ceil(STEPS);
            self.limit = self.limit.saturating_add(step).min(self.max);
        } else if latency > self.target.saturating_add(self.target / 2) {
            self.limit = self.limit.min(items / 2).max(self.min);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET: Duration = Duration::from_millis(100);
    const FAST: Duration = Duration::from_millis(100);
    const FAIR: Duration = Duration::from_millis(150);
    const SLOW: Duration = Duration::from_millis(151);

    #[test]
    fn the_limit_follows_a_trace_worked_out_by_hand() {
        let mut sizer = BatchSizer::new(10, 650, TARGET).unwrap();
        let trace = [
            (10, FAST, 20),
            (20, FAST, 30),
            (29, FAST, 30), // not full
            (30, FAIR, 30),
            (30, FAST, 40),
            (40, FAST, 50),
            (49, SLOW, 50), // not full
            (50, SLOW, 25),
            (25, FAST, 35),
            (35, SLOW, 17),
            (17, SLOW, 10), // 8, clamped
            (10, SLOW, 10),
        ];
        for (step, (items, latency, limit)) in trace.into_iter().enumerate() {
            sizer.record(items, latency);
            assert_eq!(sizer.limit(), limit, "step {step}");
        }
    }

    #[test]
    fn the_whole_range_is_climbed_in_64_full_batches() {
        for (min, max) in [(1, 65), (1, 10_000), (1, usize::MAX), (1, 2), (7, 7)] {
            let mut sizer = BatchSizer::new(min, max, TARGET).unwrap();
            for _ in 0..STEPS {
                sizer.record(sizer.limit(), FAST);
            }
            assert_eq!(sizer.limit(), max);
        }
    }

    #[test]
    fn h2_batches_in_flight_together_shrink_the_limit_once() {
        let mut sizer = BatchSizer::new(1, 64, TARGET).unwrap();
        while sizer.limit() < 64 {
            sizer.record(sizer.limit(), FAST);
        }
        for _ in 0..8 {
            sizer.record(64, SLOW);
        }
        assert_eq!(sizer.limit(), 32);
    }

    #[test]
    fn a_consumer_as_slow_as_its_batches_are_large_ends_up_near_the_target() {
        let mut sizer = BatchSizer::new(1, 1000, TARGET).unwrap();
        let cost = Duration::from_micros(500);
        let mut settled = Vec::new();
        for batch in 0..500 {
            let items = sizer.limit();
            sizer.record(items, cost * items as u32);
            if batch >= 100 {
                settled.push(sizer.limit());
            }
        }
        assert!(settled.iter().all(|limit| (100..=300).contains(limit)), "200 items take 100 ms: {settled:?}");
    }

    #[test]
    fn refusals_name_field_value_and_bound() {
        let refusal = |min, max, target| BatchSizer::new(min, max, target).unwrap_err().to_string();
        assert_eq!(refusal(0, 9, TARGET), "batch_size_min is 0, but must be at least 1");
        assert_eq!(refusal(10, 9, TARGET), "batch_size_min is 10, but must be at most batch_size_max (9)");
        assert_eq!(refusal(1, 9, Duration::ZERO), "target_latency is 0, but must be above 0");
    }

    #[test]
    fn d6_the_longest_durations_saturate() {
        let mut sizer = BatchSizer::new(1, usize::MAX, Duration::MAX).unwrap();
        sizer.record(usize::MAX, Duration::MAX);
        assert_eq!(sizer.limit(), 1 + (usize::MAX - 1).div_ceil(STEPS));
    }

    proptest! {
        #[test]
        fn the_limit_stays_in_bounds_whatever_is_recorded(
            bounds in (1usize..500, 1usize..500),
            flushes in prop::collection::vec((any::<usize>(), 0u64..300), 0..100),
        ) {
            let (min, max) = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
            let mut sizer = BatchSizer::new(min, max, TARGET).unwrap();
            for (items, latency) in flushes {
                sizer.record(items % (2 * max), Duration::from_millis(latency));
                prop_assert!((min..=max).contains(&sizer.limit()));
            }
        }
    }
}
