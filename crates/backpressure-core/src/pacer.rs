//! The flush pacer: how long a partial batch waits, learned from the latency of flushes.

use std::time::Duration;

use crate::ConfigError;

/// The adaptive flush interval.
///
/// A consumer that is slow is spared the small batches: after a flush that took more than 1.5 × the target latency the
/// interval grows by half, so that batches get fuller and fewer. After one that took less than 0.5 × the target it
/// shrinks by a fifth, so that items wait less. In between it stays. It starts at the floor and never leaves the
/// bounds.
///
/// It grows faster than it shrinks because the two mistakes cost differently: an interval that is too short adds load
/// to a consumer in trouble, one that is too long adds a delay that the ceiling bounds.
///
/// The interval is for partial batches only; a full one has nothing to wait for.
///
/// ```
/// use std::time::Duration;
/// use backpressure_core::FlushPacer;
///
/// let ms = Duration::from_millis;
/// let mut pacer = FlushPacer::new(ms(100), ms(30_000), ms(500))?;
/// assert_eq!(pacer.interval(), ms(100));
/// pacer.record(ms(751));
/// assert_eq!(pacer.interval(), ms(150));
/// pacer.record(ms(249));
/// assert_eq!(pacer.interval(), ms(120));
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FlushPacer {
    floor: Duration,
    ceiling: Duration,
    target: Duration,
    interval: Duration,
}

impl FlushPacer {
    /// A pacer that keeps the interval between `floor` and `ceiling`, and flushes near the `target` latency.
    ///
    /// Equal bounds make the interval constant.
    ///
    /// # Errors
    ///
    /// Refuses a `floor` of zero, which could never grow, or above the ceiling (both as `flush_interval_min`), and a
    /// `target` of zero (`target_latency`), which no flush could meet.
    pub fn new(floor: Duration, ceiling: Duration, target: Duration) -> Result<Self, ConfigError> {
        for (field, value) in [("flush_interval_min", floor), ("target_latency", target)] {
            if value.is_zero() {
                return Err(ConfigError::new(field, "0", "above 0"));
            }
        }
        if floor > ceiling {
            let bound = format!("at most flush_interval_max ({ceiling:?})");
            return Err(ConfigError::new("flush_interval_min", format_args!("{floor:?}"), bound));
        }
        Ok(Self { floor, ceiling, target, interval: floor })
    }

    /// Takes other bounds and another target; the interval moves into the bounds. They are those of a configuration that was
    /// checked.
    #[doc(hidden)]
    pub fn reconfigure(&mut self, floor: Duration, ceiling: Duration, target: Duration) {
        *self = Self { floor, ceiling, target, interval: self.interval.clamp(floor, ceiling.max(floor)) };
    }

    /// How long the first item of a partial batch may wait now.
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Learns from a flush that took `latency`.
    pub fn record(&mut self, latency: Duration) {
        let half = self.target / 2;
        let interval = if latency > self.target.saturating_add(half) {
            self.interval.saturating_add(at_least_one(self.interval / 2))
        } else if latency < self.target - half {
            self.interval.saturating_sub(at_least_one(self.interval / 5))
        } else {
            self.interval
        };
        self.interval = interval.clamp(self.floor, self.ceiling);
    }
}

/// Keeps a step from being rounded to nothing.
fn at_least_one(step: Duration) -> Duration {
    step.max(Duration::from_nanos(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn the_interval_follows_a_trace_worked_out_by_hand() {
        let mut pacer = FlushPacer::new(ms(100), ms(1000), ms(500)).unwrap();
        let trace = [
            (ms(500), us(100_000)), // on target
            (ms(750), us(100_000)), // 1.5 × is not more than 1.5 ×
            (us(750_001), us(150_000)),
            (ms(2000), us(225_000)),
            (ms(2000), us(337_500)),
            (ms(2000), us(506_250)),
            (ms(2000), us(759_375)),
            (ms(2000), us(1_000_000)), // 1 139.0625 ms, clamped
            (ms(2000), us(1_000_000)),
            (ms(250), us(1_000_000)), // 0.5 × is not less than 0.5 ×
            (us(249_999), us(800_000)),
            (ms(0), us(640_000)),
            (ms(0), us(512_000)),
            (ms(600), us(512_000)),
            (ms(800), us(768_000)),
            (ms(10), us(614_400)),
            (ms(10), us(491_520)),
            (ms(10), us(393_216)),
        ];
        for (step, (latency, interval)) in trace.into_iter().enumerate() {
            pacer.record(latency);
            assert_eq!(pacer.interval(), interval, "step {step}");
        }
        for _ in 0..7 {
            pacer.record(ms(10));
        }
        assert_eq!(pacer.interval(), ms(100), "393.216 × 0.8⁷ = 82.46, clamped");
    }

    #[test]
    fn refusals_name_field_value_and_bound() {
        let refusal = |floor, ceiling, target| FlushPacer::new(floor, ceiling, target).unwrap_err().to_string();
        let zero = Duration::ZERO;
        assert_eq!(refusal(zero, ms(1), ms(1)), "flush_interval_min is 0, but must be above 0");
        assert_eq!(refusal(ms(1), ms(1), zero), "target_latency is 0, but must be above 0");
        let inverted = "flush_interval_min is 2ms, but must be at most flush_interval_max (1ms)";
        assert_eq!(refusal(ms(2), ms(1), ms(1)), inverted);
    }

    #[test]
    fn the_smallest_interval_can_grow_and_come_back() {
        let nanos = Duration::from_nanos;
        let mut pacer = FlushPacer::new(nanos(1), nanos(4), nanos(1)).unwrap();
        let grown = [2, 3, 4, 4].map(|expected| {
            pacer.record(nanos(2));
            pacer.interval() == nanos(expected)
        });
        let shrunk = [3, 2, 1, 1].map(|expected| {
            pacer.record(nanos(0));
            pacer.interval() == nanos(expected)
        });
        assert_eq!((grown, shrunk), ([true; 4], [true; 4]));
    }

    #[test]
    fn d6_the_longest_durations_saturate() {
        let max = Duration::MAX;
        let mut pacer = FlushPacer::new(max / 2 + ms(1), max, ms(1)).unwrap();
        pacer.record(max);
        assert_eq!(pacer.interval(), (max / 2 + ms(1)) + (max / 2 + ms(1)) / 2);
        pacer.record(max);
        assert_eq!(pacer.interval(), max);

        let mut patient = FlushPacer::new(ms(1), max, max).unwrap();
        patient.record(max);
        assert_eq!(patient.interval(), ms(1), "the longest latency is not above the longest target");
    }

    proptest! {
        #[test]
        fn the_interval_stays_in_bounds_and_moves_the_right_way(
            bounds in (1u64..10_000, 1u64..10_000),
            target in 1u64..1000,
            latencies in prop::collection::vec(0u64..2000, 1..100),
        ) {
            let (floor, ceiling) = (us(bounds.0.min(bounds.1)), us(bounds.0.max(bounds.1)));
            let mut pacer = FlushPacer::new(floor, ceiling, us(target)).unwrap();
            for latency in latencies {
                let before = pacer.interval();
                pacer.record(us(latency));
                let after = pacer.interval();
                prop_assert!((floor..=ceiling).contains(&after));
                if 2 * latency > 3 * target {
                    prop_assert!(after > before || after == ceiling);
                } else if 2 * latency < target {
                    prop_assert!(after < before || after == floor);
                } else {
                    prop_assert_eq!(after, before);
                }
            }
        }
    }
}
