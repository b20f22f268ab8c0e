//! The backoff before a retry.

use std::time::Duration;

use backpressure_core::ConfigError;

/// Exponential back-off with full jitter: uniform between nothing and `base` × 2ⁿ, which is at most `ceiling`. It spreads
/// clients that failed together better than any other kind (Brooker, "Exponential backoff and jitter", 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backoff {
    base: Duration,
    ceiling: Duration,
}

impl Backoff {
    pub(super) fn new(base: Duration, ceiling: Duration) -> Result<Self, ConfigError> {
        if base > ceiling {
            let bound = format!("at most backoff_ceiling ({ceiling:?})");
            return Err(ConfigError::new("backoff_base", format_args!("{base:?}"), bound));
        }
        Ok(Self { base, ceiling })
    }

    /// The wait before the retry that follows `retries` others, for a `random` number from 0 to 1.
    pub(super) fn wait(&self, retries: u32, random: f64) -> Duration {
        let doubled = self.base.saturating_mul(1 << retries.min(31));
        let longest = doubled.min(self.ceiling);
        Duration::try_from_secs_f64(longest.as_secs_f64() * random).map_or(longest, |wait| wait.min(longest))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(50), ceiling: Duration::from_secs(10) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_longest_wait_doubles_up_to_the_ceiling() {
        let backoff = Backoff::new(50 * MS, 300 * MS).unwrap();
        let longest = [0, 1, 2, 3, 4, u32::MAX].map(|retries| backoff.wait(retries, 1.0));
        assert_eq!(longest, [50, 100, 200, 300, 300, 300].map(|ms| ms * MS));
        assert_eq!(backoff.wait(2, 0.25), 50 * MS);
        assert_eq!(backoff.wait(2, 0.0), Duration::ZERO);
    }

    #[test]
    fn a_base_above_the_ceiling_is_refused() {
        let refusal = Backoff::new(2 * MS, MS).unwrap_err().to_string();
        assert_eq!(refusal, "backoff_base is 2ms, but must be at most backoff_ceiling (1ms)");
    }

    proptest! {
        #[test]
        fn d6_no_wait_overflows_or_exceeds_the_ceiling(
            base in prop_oneof![Just(Duration::ZERO), Just(Duration::MAX), (0u64..1 << 40).prop_map(Duration::from_nanos)],
            retries: u32,
            random in prop_oneof![0.0..1.0, Just(f64::NAN), Just(f64::INFINITY)],
        ) {
            let ceiling = base.saturating_mul(8);
            let wait = Backoff::new(base, ceiling).unwrap().wait(retries, random);
            prop_assert!(wait <= ceiling);
        }
    }
}
