//! The time after which to retry, and the slots that are kept free.

use std::time::Duration;

/// The share of the limit to which a part drains before it is worth coming back.
const DRAINED: f64 = 0.8;

/// When a call that was refused should come back: once what is in flight has drained to 0.8 × the limit.
///
/// With `N` in flight, the limit `L` and a throughput of `X` calls per second that takes `(N − 0.8·L)/X`. It is spread by
/// ± 50 % so that those refused together do not return together; `random` is a number from 0 to 1, and 0.5 gives the
/// plain answer.
///
/// Without throughput nobody knows, and the answer is a second, spread like any other; it is never more than a minute.
/// Protocols round as they must: HTTP's `Retry-After` has whole seconds, at least 1.
///
/// ```
/// use std::time::Duration;
/// use backpressure_core::limit::retry_after;
///
/// assert_eq!(retry_after(100, 100, 50.0, 0.5), Duration::from_millis(400));
/// assert_eq!(retry_after(100, 100, 50.0, 0.0), Duration::from_millis(200));
/// ```
pub fn retry_after(in_flight: usize, limit: usize, throughput: f64, random: f64) -> Duration {
    let excess = (in_flight as f64 - DRAINED * limit as f64).max(0.0);
    let seconds = if throughput > 0.0 { (excess / throughput).min(60.0) } else { 1.0 };
    let spread = if random.is_nan() { 0.5 } else { random.clamp(0.0, 1.0) };
    Duration::from_nanos((seconds * (0.5 + spread) * 1e9).min(60e9) as u64)
}

/// How many slots of that `limit` are kept for the most important class: 5 %, at least 2, and never all of them.
///
/// ```
/// use backpressure_core::limit::reserve;
///
/// assert_eq!([1, 2, 3, 10, 100].map(reserve), [0, 1, 2, 2, 5]);
/// ```
pub const fn reserve(limit: usize) -> usize {
    let share = limit / 20;
    let wanted = if share < 2 { 2 } else { share };
    if wanted < limit { wanted } else { limit.saturating_sub(1) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn d6_the_answer_is_a_duration_whatever_is_asked() {
        let max = usize::MAX;
        for random in [0.0, 1.0, f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(retry_after(0, max, 1.0, random), Duration::ZERO);
            for throughput in [0.0, -1.0, f64::NAN] {
                let answer = retry_after(max, 0, throughput, random);
                assert!((Duration::from_millis(500)..=Duration::from_millis(1500)).contains(&answer), "{answer:?}");
            }
            assert!(retry_after(max, 0, f64::MIN_POSITIVE, random) <= Duration::from_secs(60));
        }
    }

    proptest! {
        #[test]
        fn the_answers_are_spread_around_the_time_to_drain(in_flight in 0usize..2000, limit in 1usize..1000, random in 0.0..1.0) {
            let plain = retry_after(in_flight, limit, 1000.0, 0.5);
            let spread = retry_after(in_flight, limit, 1000.0, random);
            prop_assert!(spread >= plain / 2 && spread <= plain * 3 / 2 + Duration::from_nanos(1));
            prop_assert_eq!(plain.is_zero(), in_flight as f64 <= 0.8 * limit as f64);
        }
    }
}
