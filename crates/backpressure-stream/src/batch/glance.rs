//! When to look at the clock while items keep coming.

use std::time::{Duration, Instant};

/// Counts items between looks at the clock.
///
/// A look for every item would cost more than the item; too few looks and a source that never pauses outruns every deadline.
/// So the stride between two looks follows the pace of the items: at most 256 of them, and no more than arrive in a quarter
/// of a millisecond at the pace seen last.
#[derive(Debug)]
pub(super) struct Glance {
    stride: u32,
    left: u32,
    last: Option<Instant>,
}

impl Glance {
    /// How late a look may be.
    pub(super) const RESOLUTION: Duration = Duration::from_micros(250);

    const MOST: u32 = 256;

    pub(super) const fn new() -> Self {
        Self { stride: 1, left: 1, last: None }
    }

    /// How many more items may come before the next look; none if it is due.
    #[inline]
    pub(super) const fn left(&self) -> u32 {
        self.left
    }

    /// Counts items.
    #[inline]
    pub(super) const fn count(&mut self, items: u32) {
        self.left = self.left.saturating_sub(items);
    }

    /// Learns from a look at `now`. The stride grows by doubling and shrinks at once.
    pub(super) fn looked(&mut self, now: Instant) {
        let items = u64::from(self.stride - self.left);
        if let Some(last) = self.last.replace(now).filter(|_| items > 0) {
            let nanos = u64::try_from(now.saturating_duration_since(last).as_nanos()).unwrap_or(u64::MAX);
            let affordable = (items * Self::RESOLUTION.as_nanos() as u64).checked_div(nanos).unwrap_or(u64::MAX);
            self.stride = affordable.clamp(1, u64::from(Self::MOST.min(self.stride * 2))) as u32;
        }
        self.left = self.stride;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The items between looks when each takes `pace`, over `items` items.
    fn strides(glance: &mut Glance, now: &mut Instant, pace: Duration, items: u32) -> Vec<u32> {
        let mut strides = Vec::new();
        let mut since = 0;
        for _ in 0..items {
            *now += pace;
            since += 1;
            glance.count(1);
            if glance.left() == 0 {
                glance.looked(*now);
                strides.push(std::mem::take(&mut since));
            }
        }
        strides
    }

    #[test]
    fn b2_slow_items_are_looked_at_one_by_one_and_fast_ones_seldom() {
        let mut now = Instant::now();
        let mut glance = Glance::new();
        let slow = strides(&mut glance, &mut now, Duration::from_millis(1), 8);
        assert_eq!(slow, [1; 8]);
        let fast = strides(&mut glance, &mut now, Duration::from_nanos(10), 1000);
        assert_eq!(fast[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 256]);
    }

    #[test]
    fn b2_at_a_steady_pace_no_look_is_late_by_more_than_the_resolution() {
        for micros in [1, 3, 10, 77, 125, 249] {
            let pace = Duration::from_micros(micros);
            let mut glance = Glance::new();
            let strides = strides(&mut glance, &mut Instant::now(), pace, 2000);
            assert!(strides[1..].iter().all(|&stride| stride * pace <= Glance::RESOLUTION), "{micros}: {strides:?}");
        }
    }

    #[test]
    fn k1_a_clock_that_stands_still_or_jumps_is_harmless() {
        let start = Instant::now();
        let mut glance = Glance::new();
        for now in [start, start, start + Duration::from_secs(u32::MAX.into()), start] {
            glance.count(glance.left());
            glance.looked(now);
            assert!((1..=256).contains(&glance.stride));
        }
    }
}
