//! When to look at the clock while items keep coming.

use std::time::{Duration, Instant};

/// Counts items between looks at the clock.
///
/// A look for every item would cost more than the item; too few looks and a source that never pauses outruns every deadline.
/// So the stride between two looks follows the pace of the items: at most a fixed number of them, and no more than arrive
/// within the resolution at the pace seen last. It grows by doubling and shrinks at once.
#[derive(Debug)]
pub struct ClockSampler {
    most: usize,
    stride: usize,
    left: usize,
    last: Option<Instant>,
}

impl ClockSampler {
    /// At most so many items go by without a look: so many when the pace drops all at once.
    pub const fn new(most: usize) -> Self {
        Self { most, stride: 1, left: 1, last: None }
    }

    /// How many more items may come before the next look.
    #[inline]
    pub const fn left(&self) -> usize {
        self.left
    }

    /// Whether a look is due.
    #[inline]
    pub const fn is_due(&self) -> bool {
        self.left == 0
    }

    /// Counts items that came.
    #[inline]
    pub const fn count(&mut self, items: usize) {
        self.left = self.left.saturating_sub(items);
    }

    /// Learns from a look at `now`, which the next one may be late by `resolution` after.
    pub fn sampled(&mut self, now: Instant, resolution: Duration) {
        let items = (self.stride - self.left) as u64;
        if let Some(last) = self.last.replace(now).filter(|_| items > 0) {
            let passed = nanos(now.saturating_duration_since(last));
            let affordable = items.saturating_mul(nanos(resolution)).checked_div(passed).unwrap_or(u64::MAX);
            let most = self.most.min(self.stride.saturating_mul(2)).max(1);
            self.stride = usize::try_from(affordable).unwrap_or(usize::MAX).clamp(1, most);
        }
        self.left = self.stride;
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOLUTION: Duration = Duration::from_micros(250);

    /// The items between looks, until so many have come. Each takes as long as `pace` says.
    fn strides(sampler: &mut ClockSampler, items: u32, pace: impl Fn(u32) -> Duration) -> Vec<u32> {
        let (mut now, mut strides, mut since) = (Instant::now(), Vec::new(), 0);
        for item in 0..items {
            now += pace(item);
            since += 1;
            sampler.count(1);
            if sampler.is_due() {
                sampler.sampled(now, RESOLUTION);
                strides.push(std::mem::take(&mut since));
            }
        }
        strides
    }

    #[test]
    fn b2_slow_items_are_looked_at_one_by_one_and_fast_ones_seldom() {
        let mut sampler = ClockSampler::new(256);
        let (slow, fast) = (Duration::from_millis(1), Duration::from_nanos(10));
        assert_eq!(strides(&mut sampler, 8, |_| slow), [1; 8]);
        assert_eq!(strides(&mut sampler, 1000, |_| fast)[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 256]);
    }

    #[test]
    fn b2_at_a_steady_pace_no_look_is_late_by_more_than_the_resolution() {
        for micros in [1, 3, 10, 77, 125, 249] {
            let pace = Duration::from_micros(micros);
            let strides = strides(&mut ClockSampler::new(256), 2000, |_| pace);
            assert!(strides[1..].iter().all(|&stride| stride * pace <= RESOLUTION), "{micros}: {strides:?}");
        }
    }

    #[test]
    fn b2_a_pace_that_drops_is_noticed_within_the_most() {
        let pace = |item| if item < 1000 { Duration::from_nanos(50) } else { Duration::from_millis(1) };
        let strides = strides(&mut ClockSampler::new(16), 1040, pace);
        assert_eq!(strides.iter().max(), Some(&16));
        assert_eq!(strides[strides.len() - 20..], [1; 20]);
    }

    #[test]
    fn d6_more_items_than_were_left_are_no_harm() {
        let (mut sampler, start) = (ClockSampler::new(0), Instant::now());
        sampler.count(usize::MAX);
        sampler.sampled(start, Duration::MAX);
        sampler.count(7);
        sampler.sampled(start + Duration::from_nanos(1), Duration::MAX);
        assert_eq!(sampler.left(), 1);
    }

    #[test]
    fn k1_a_clock_that_stands_still_or_jumps_is_harmless() {
        let (mut sampler, start) = (ClockSampler::new(256), Instant::now());
        for now in [start, start, start + Duration::from_secs(u32::MAX.into()), start] {
            sampler.count(usize::MAX);
            sampler.sampled(now, RESOLUTION);
            assert!((1..=256).contains(&sampler.left()));
        }
    }
}
