//! When to look at the clock while items keep coming.

use std::time::{Duration, Instant};

/// Counts items between looks at the clock.
///
/// A look for every item would cost more than the item; too few looks and a source that never pauses outruns every deadline.
/// So the stride between two looks follows the pace of the items: at most 256 of them, and no more than arrive in a quarter
/// of a millisecond at the pace seen last.
///
/// The count itself is kept where the items go, so that it costs nothing.
#[derive(Debug)]
pub(super) struct ClockSampler {
    stride: usize,
    /// The count at which to stop.
    stop_at: usize,
    /// How many items after that a look is due: none unless something else is to be done first.
    beyond: usize,
    last: Option<Instant>,
}

impl ClockSampler {
    /// How late a look may be.
    pub(super) const RESOLUTION: Duration = Duration::from_micros(250);

    const MOST: usize = 256;

    pub(super) const fn new() -> Self {
        Self { stride: 1, stop_at: 1, beyond: 0, last: None }
    }

    /// The count at which to stop. Whoever sets the count back sets it back as far.
    #[inline]
    pub(super) const fn stop_at(&mut self) -> &mut usize {
        &mut self.stop_at
    }

    /// How many more items may come before the next look.
    #[inline]
    const fn left(&self, count: usize) -> usize {
        self.stop_at - count + self.beyond
    }

    /// Whether a look is due.
    #[inline]
    pub(super) const fn is_due(&self, count: usize) -> bool {
        self.left(count) == 0
    }

    /// Takes notice of something that is worth an item, but not counted as one, unless that is the last before the stop.
    #[inline]
    pub(super) const fn pass(&mut self, count: usize) -> bool {
        let passes = count + 1 < self.stop_at;
        if passes {
            self.stop_at -= 1;
        }
        passes
    }

    /// Halts after `most` items if no look is due before that.
    #[inline]
    pub(super) fn stop_after(&mut self, most: usize, count: usize) {
        let left = self.left(count);
        self.stop_at = count + left.min(most);
        self.beyond = left - left.min(most);
    }

    /// Learns from a look at `now`. The stride grows by doubling and shrinks at once.
    pub(super) fn sampled(&mut self, now: Instant, count: usize) {
        let items = (self.stride - self.left(count)) as u64;
        if let Some(last) = self.last.replace(now).filter(|_| items > 0) {
            let nanos = u64::try_from(now.saturating_duration_since(last).as_nanos()).unwrap_or(u64::MAX);
            let affordable = (items * Self::RESOLUTION.as_nanos() as u64).checked_div(nanos).unwrap_or(u64::MAX);
            self.stride = affordable.clamp(1, Self::MOST.min(self.stride * 2) as u64) as usize;
        }
        self.stop_at = count + self.stride;
        self.beyond = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The items between looks when each takes `pace`, over `items` items.
    fn strides(sampler: &mut ClockSampler, now: &mut Instant, pace: Duration, items: u32) -> Vec<u32> {
        let mut strides = Vec::new();
        let mut since = 0;
        for _ in 0..items {
            *now += pace;
            since += 1;
            *sampler.stop_at() -= 1;
            if sampler.is_due(0) {
                sampler.sampled(*now, 0);
                strides.push(std::mem::take(&mut since));
            }
        }
        strides
    }

    #[test]
    fn b2_slow_items_are_looked_at_one_by_one_and_fast_ones_seldom() {
        let mut now = Instant::now();
        let mut sampler = ClockSampler::new();
        let slow = strides(&mut sampler, &mut now, Duration::from_millis(1), 8);
        assert_eq!(slow, [1; 8]);
        let fast = strides(&mut sampler, &mut now, Duration::from_nanos(10), 1000);
        assert_eq!(fast[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 256]);
    }

    #[test]
    fn b2_at_a_steady_pace_no_look_is_late_by_more_than_the_resolution() {
        for micros in [1, 3, 10, 77, 125, 249] {
            let pace = Duration::from_micros(micros);
            let mut sampler = ClockSampler::new();
            let strides = strides(&mut sampler, &mut Instant::now(), pace, 2000);
            assert!(
                strides[1..].iter().all(|&stride| stride * pace <= ClockSampler::RESOLUTION),
                "{micros}: {strides:?}"
            );
        }
    }

    #[test]
    fn d5_a_stop_on_the_way_does_not_put_the_look_off() {
        let mut sampler = ClockSampler::new();
        strides(&mut sampler, &mut Instant::now(), Duration::from_nanos(10), 1000);
        let left = sampler.left(0);
        sampler.stop_after(2, 0);
        assert!(sampler.pass(0));
        assert!(!sampler.pass(0), "the last before the stop_at");
        assert!(!sampler.is_due(1));
        sampler.stop_after(usize::MAX, 1);
        assert_eq!((sampler.stop_at, sampler.left(1)), (left - 1, left - 2));
        assert!(sampler.is_due(left - 1));
    }

    #[test]
    fn k1_a_clock_that_stands_still_or_jumps_is_harmless() {
        let start = Instant::now();
        let mut sampler = ClockSampler::new();
        for now in [start, start, start + Duration::from_secs(u32::MAX.into()), start] {
            *sampler.stop_at() = 0;
            sampler.sampled(now, 0);
            assert!((1..=256).contains(&sampler.stride));
        }
    }
}
