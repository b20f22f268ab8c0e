//! The time after which a refused client is asked to come back.

use std::sync::LazyLock;
use std::time::Duration;

use crate::random::Random;

/// Shared by all, so that responders stay values without state.
static RANDOM: LazyLock<Random> = LazyLock::new(Random::new);

pub(crate) fn random() -> f64 {
    RANDOM.next_f64()
}

/// Whole seconds for `Retry-After`, at least 1. A wait of 2.3 s becomes 2 or 3, on average 2.3; a short one 1 or 2, so that
/// not even those who were refused together come back together.
pub(crate) fn seconds(retry_after: Duration, random: f64) -> u64 {
    let shortest = Duration::from_millis(1500);
    retry_after.max(shortest).saturating_add(Duration::from_secs_f64(random.clamp(0.0, 1.0))).as_secs()
}

/// A wait that is not no wait: where nothing is known yet, from 50 ms to 150 ms.
#[cfg(feature = "grpc")]
pub(crate) fn pushback(retry_after: Duration, random: f64) -> Duration {
    retry_after.max(Duration::from_millis(50) + Duration::from_millis(100).mul_f64(random.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn whole_seconds_are_right_on_average_and_never_zero() {
        let mean = |wait| (0..1000).map(|n| seconds(wait, f64::from(n) / 1000.0)).sum::<u64>() as f64 / 1000.0;
        for (wait, expected) in [(0, 1.5), (1000, 1.5), (2300, 2.3), (30_000, 30.0)] {
            assert!((mean(wait * MS) - expected).abs() < 0.01, "{wait} ms: {}", mean(wait * MS));
        }
        assert_eq!([0.0, 0.49, 0.5, 0.99].map(|random| seconds(Duration::ZERO, random)), [1, 1, 2, 2]);
    }

    #[test]
    fn d6_the_longest_wait_and_a_broken_random_number_do_not_overflow() {
        assert_eq!(seconds(Duration::MAX, 0.9), u64::MAX);
        assert_eq!(seconds(Duration::ZERO, f64::INFINITY), 2);
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn a_wait_that_is_unknown_is_spread_and_a_known_one_is_kept() {
        assert_eq!([0.0, 0.5, 1.0].map(|random| pushback(Duration::ZERO, random)), [50, 100, 150].map(|ms| ms * MS));
        assert_eq!(pushback(700 * MS, 1.0), 700 * MS);
    }
}
