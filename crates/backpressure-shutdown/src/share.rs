//! The share of the time that a stage may use.

use std::time::Duration;

/// What a stage may use of the time that is `left`, of which there was a `total` for so many `stages`, when so many come `later`.
///
/// Half of the total belongs to whoever needs it first. The other half is kept for the stages in equal shares.
pub(crate) fn share(left: Duration, total: Duration, stages: usize, later: usize) -> Duration {
    let kept = total.mul_f64(later.min(stages) as f64 / (2 * stages.max(1)) as f64);
    left.saturating_sub(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn those_that_use_all_they_may_end_together_at_the_deadline() {
        for stages in 1..6 {
            let mut left = 60 * SECOND;
            for later in (0..stages).rev() {
                let time = share(left, 60 * SECOND, stages, later);
                assert!(time >= 60 * SECOND / (2 * stages as u32), "stage {later} of {stages} has {time:?}");
                left -= time;
            }
            assert_eq!(left, Duration::ZERO);
        }
    }

    #[test]
    fn what_a_stage_leaves_over_is_for_those_after_it() {
        assert_eq!(share(6 * SECOND, 6 * SECOND, 3, 2), 4 * SECOND);
        assert_eq!(share(5 * SECOND, 6 * SECOND, 3, 1), 4 * SECOND);
        assert_eq!(share(5 * SECOND, 6 * SECOND, 3, 0), 5 * SECOND);
    }

    #[test]
    fn one_that_takes_more_takes_it_from_those_after_it() {
        assert_eq!(share(SECOND, 6 * SECOND, 3, 1), Duration::ZERO);
        assert_eq!(share(SECOND, 6 * SECOND, 3, 0), SECOND);
        assert_eq!(share(Duration::ZERO, Duration::ZERO, 0, 0), Duration::ZERO);
    }
}
