//! Two counters over a sliding window.

use std::time::{Duration, Instant};

/// Into how many buckets a window is cut: what is forgotten at once is a 24th of it.
const BUCKETS: usize = 24;

/// Calls, and how many marks they got, in a window that moves on in steps of a 24th of its length.
///
/// The clock starts with the first `now`. One that goes back counts for the newest bucket.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    step: u64,
    start: Option<Instant>,
    newest: u64,
    buckets: [Counts; BUCKETS],
    sum: Counts,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) marks: u64,
}

impl Window {
    pub(crate) fn new(length: Duration) -> Self {
        let step = nanos(length / BUCKETS as u32).max(1);
        Self { step, start: None, newest: 0, buckets: [Counts::default(); BUCKETS], sum: Counts::default() }
    }

    /// Counts, and answers what is in the window then.
    pub(crate) fn add(&mut self, now: Instant, counts: Counts) -> Counts {
        self.roll(now);
        let bucket = &mut self.buckets[(self.newest % BUCKETS as u64) as usize];
        for counter in [bucket, &mut self.sum] {
            counter.calls = counter.calls.saturating_add(counts.calls);
            counter.marks = counter.marks.saturating_add(counts.marks);
        }
        self.sum
    }

    pub(crate) fn counts(&mut self, now: Instant) -> Counts {
        self.roll(now);
        self.sum
    }

    /// Forgets what has become too old.
    fn roll(&mut self, now: Instant) {
        let start = *self.start.get_or_insert(now);
        let current = nanos(now.saturating_duration_since(start)) / self.step;
        for step in 1..=current.saturating_sub(self.newest).min(BUCKETS as u64) {
            let bucket = &mut self.buckets[((self.newest.saturating_add(step)) % BUCKETS as u64) as usize];
            let Counts { calls, marks } = std::mem::take(bucket);
            self.sum.calls = self.sum.calls.saturating_sub(calls);
            self.sum.marks = self.sum.marks.saturating_sub(marks);
        }
        self.newest = self.newest.max(current);
    }
}

/// At most 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const ONE: Counts = Counts { calls: 1, marks: 0 };

    proptest! {
        /// Against a model that keeps every call and when it came.
        #[test]
        fn the_sum_is_what_the_last_24_steps_have_seen(
            steps in prop::collection::vec((0u32..400, 0u64..3, 0u64..3), 1..100),
        ) {
            let mut window = Window::new(240 * MS);
            let start = Instant::now();
            window.counts(start);
            let mut elapsed = Duration::ZERO;
            let mut history = Vec::new();
            for (wait, calls, marks) in steps {
                elapsed += wait * MS / 10;
                history.push((elapsed.as_millis() / 10, calls, marks));
                let sum = window.add(start + elapsed, Counts { calls, marks });
                let newest = elapsed.as_millis() / 10;
                let kept = history.iter().filter(|(bucket, ..)| bucket + 24 > newest);
                let expected = kept.fold((0, 0), |(calls, marks), (_, c, m)| (calls + c, marks + m));
                prop_assert_eq!((sum.calls, sum.marks), expected);
                prop_assert_eq!(window.counts(start + elapsed), sum);
            }
        }
    }

    #[test]
    fn k1_a_clock_that_goes_back_counts_for_the_newest_and_forgets_nothing() {
        let start = Instant::now() + 1000 * MS;
        let mut window = Window::new(24 * MS);
        window.add(start, ONE);
        window.add(start + 5 * MS, ONE);
        assert_eq!(window.add(start - 900 * MS, ONE).calls, 3);
        assert_eq!(window.counts(start + 23 * MS).calls, 3);
        assert_eq!(window.counts(start + 24 * MS).calls, 2, "the third counted at 5 ms");
        assert_eq!(window.counts(start + 29 * MS).calls, 0);
    }

    #[test]
    fn d6_the_shortest_and_the_longest_window_neither_panic_nor_loop() {
        let start = Instant::now();
        let far = start + Duration::from_secs(1 << 32);
        let mut shortest = Window::new(Duration::ZERO);
        shortest.add(start, ONE);
        assert_eq!(shortest.add(far, ONE).calls, 1);
        let mut longest = Window::new(Duration::MAX);
        longest.add(start, ONE);
        let all = Counts { calls: u64::MAX, marks: u64::MAX };
        assert_eq!(longest.add(far, all), all);
    }
}
