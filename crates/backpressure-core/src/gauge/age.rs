//! The age of the oldest queued item, without a clock read per item.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Marks kept at most; when they are full every other one is forgotten.
const MOST: usize = 64;

/// Remembers, per observation, how many items had been accepted by then.
///
/// An item whose arrival number is not below a mark's count came after that mark, so the newest such mark bounds its age.
/// The bound is as fine as the observations are frequent, and costs nothing where nobody observes.
#[derive(Debug, Default)]
pub(super) struct AgeMarks {
    marks: VecDeque<(u64, Instant)>,
}

impl AgeMarks {
    /// Notes that `accepted` items had been accepted by `now`, and answers the longest that the item with the arrival
    /// number `oldest` can have been queued; `None` while no earlier observation bounds it.
    pub(super) fn observe(&mut self, now: Instant, accepted: u64, oldest: u64) -> Option<Duration> {
        while self.marks.get(1).is_some_and(|&(count, _)| count <= oldest) {
            self.marks.pop_front();
        }
        let age = match self.marks.front() {
            Some(&(count, at)) if count <= oldest => Some(now.saturating_duration_since(at)),
            _ => None,
        };
        if self.marks.len() == MOST {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
        }
        if self.marks.back().is_none_or(|&(count, at)| count <= accepted && at <= now) {
            self.marks.push_back((accepted, now));
        }
        age.filter(|_| oldest < accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_age_is_bounded_by_the_last_observation_before_the_arrival() {
        let start = Instant::now();
        let mut marks = AgeMarks::default();
        assert_eq!(marks.observe(start, 0, 0), None, "nothing is queued");
        assert_eq!(marks.observe(start + seconds(1), 10, 0), Some(seconds(1)));
        assert_eq!(marks.observe(start + seconds(2), 20, 0), Some(seconds(2)));
        assert_eq!(marks.observe(start + seconds(3), 20, 10), Some(seconds(2)), "item 10 came after the mark at 1 s");
        assert_eq!(marks.observe(start + seconds(4), 20, 20), None, "all have left");
    }

    #[test]
    fn an_item_older_than_the_first_observation_has_no_known_age() {
        let start = Instant::now();
        let mut marks = AgeMarks::default();
        assert_eq!(marks.observe(start, 5, 0), None);
        assert_eq!(marks.observe(start + seconds(9), 6, 0), None);
    }

    #[test]
    fn thinning_keeps_the_bound_on_the_safe_side_and_the_memory_bounded() {
        let start = Instant::now();
        let mut marks = AgeMarks::default();
        for n in 0..10_000 {
            let age = marks.observe(start + seconds(n), n + 1, n / 2);
            assert!(marks.marks.len() <= MOST);
            let truth = seconds(n - n / 2);
            assert!(age.is_none_or(|age| age >= truth), "{age:?} at {n}, but the item is {truth:?} old");
        }
    }

    #[test]
    fn a_clock_that_steps_back_is_harmless() {
        let start = Instant::now() + seconds(10);
        let mut marks = AgeMarks::default();
        marks.observe(start, 0, 0);
        assert_eq!(marks.observe(start - seconds(5), 1, 0), Some(Duration::ZERO));
    }
}
