//! How often to look at the clock while items keep coming.

use std::time::{Duration, Instant};

/// Counts items between looks at the clock. The gap doubles while it passes in no time compared with the tolerance, and
/// falls back to every item when it does not: at full speed a look is shared by many items, and at any even pace a
/// deadline is noticed within a thirty-second of the tolerance or at the next item.
#[derive(Debug)]
pub(crate) struct ClockSampler {
    left: u32,
    gap: u32,
    last: Option<Instant>,
}

impl ClockSampler {
    /// When the pace drops all at once, this many items at most go by before it is noticed.
    const LONGEST_GAP: u32 = 16;

    pub(crate) const fn new() -> Self {
        Self { left: 1, gap: 1, last: None }
    }

    /// Counts an item, and tells whether to look.
    #[inline]
    pub(crate) const fn count(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    /// Plans the next look after one at `now`.
    pub(crate) fn sampled(&mut self, now: Instant, tolerance: Duration) {
        let passed = self.last.map(|last| now.saturating_duration_since(last));
        let is_fast = passed.is_some_and(|passed| passed < tolerance / 64);
        self.gap = if is_fast { (2 * self.gap).min(Self::LONGEST_GAP) } else { 1 };
        self.left = self.gap;
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_millis(5);

    /// Items at this pace until the linger has passed by the clock and a look has seen it: the delay, and the looks.
    fn run(pace: impl Fn(u32) -> Duration) -> (Duration, u32) {
        let start = Instant::now();
        let (mut now, mut sampler, mut looked) = (start, ClockSampler::new(), 0);
        sampler.sampled(now, LINGER);
        for item in 0.. {
            now += pace(item);
            if sampler.count() {
                looked += 1;
                sampler.sampled(now, LINGER);
                if now - start >= LINGER {
                    break;
                }
            }
        }
        (now - start, looked)
    }

    #[test]
    fn b2_at_any_even_pace_the_deadline_is_noticed_in_time() {
        for micros in [1, 3, 10, 40, 70, 77, 79, 100, 500] {
            let pace = Duration::from_micros(micros);
            let (delay, _) = run(|_| pace);
            assert!(delay <= LINGER + (LINGER / 32).max(pace), "{micros} µs an item: {delay:?}");
        }
    }

    #[test]
    fn at_full_speed_one_look_serves_many_items() {
        let (_, looks) = run(|_| Duration::from_nanos(50));
        assert!(looks < 100_000 / 15, "{looks} looks at 100 000 items");
    }

    #[test]
    fn a_pace_that_drops_is_noticed_within_sixteen_items() {
        let slow = Duration::from_millis(1);
        let (delay, _) = run(|item| if item < 1000 { Duration::from_nanos(50) } else { slow });
        assert!(delay <= 16 * slow, "{delay:?}");
    }
}
