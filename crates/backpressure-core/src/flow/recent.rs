//! The recent past of a part, independent of how often it is read.

use std::time::{Duration, Instant};

use super::work::{WorkShares, WorkTimes};

/// A reading is kept for so long before the next one takes its place.
const KEPT: Duration = Duration::from_secs(5);

/// The shares of the last five to ten seconds, or of the time between two looks if that is longer. Many may look at it, each at
/// its own pace: they see the same past.
#[derive(Debug, Clone, Copy)]
pub struct RecentWork {
    older: WorkTimes,
    newer: (Instant, WorkTimes),
}

impl RecentWork {
    /// Begins at `now`, when the times were these.
    pub const fn new(now: Instant, times: WorkTimes) -> Self {
        Self { older: times, newer: (now, times) }
    }

    /// The times are these at `now`. Answers the shares of what was spent recently; `None` while no time has passed. A `now`
    /// that goes backwards is harmless.
    pub fn observe(&mut self, now: Instant, times: WorkTimes) -> Option<WorkShares> {
        let (at, newer) = self.newer;
        if now.saturating_duration_since(at) >= KEPT {
            self.older = newer;
            self.newer = (now, times);
        }
        times.since(&self.older).shares()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Busy in every odd minute, idle in the others.
    fn times(seconds: u32) -> WorkTimes {
        let (minutes, rest) = (seconds / 60, seconds % 60);
        let is_busy = minutes % 2 == 1;
        let busy = minutes / 2 * 60 + if is_busy { rest } else { 0 };
        WorkTimes { busy: busy * SECOND, idle: (seconds - busy) * SECOND, ..WorkTimes::default() }
    }

    #[test]
    fn whoever_looks_how_often_sees_the_last_seconds() {
        for period in [1, 3, 7, 20] {
            let start = Instant::now();
            let mut recent = RecentWork::new(start, times(0));
            assert_eq!(recent.observe(start, times(0)), None);
            for second in (period..=240).step_by(period as usize) {
                let shares = recent.observe(start + second * SECOND, times(second)).unwrap();
                let into_minute = second % 60;
                if into_minute >= 10.max(period) {
                    let is_busy = second / 60 % 2 == 1;
                    assert_eq!(shares.busy, f64::from(u8::from(is_busy)), "every {period} s, at {second} s");
                }
            }
        }
    }

    #[test]
    fn k1_a_clock_that_goes_back_is_harmless() {
        let start = Instant::now() + 100 * SECOND;
        let mut recent = RecentWork::new(start, times(0));
        assert_eq!(recent.observe(start - 50 * SECOND, times(0)), None);
        assert_eq!(recent.observe(start - 20 * SECOND, times(10)).map(|shares| shares.idle), Some(1.0));
    }
}
