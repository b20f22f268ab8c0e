//! A clock that is read now and then, while items come and go.

use std::time::{Duration, Instant};

use crate::clock::now;
use crate::clock_sampler::ClockSampler;

/// Most items that go by without a look: so many when the pace drops all at once.
const MOST: usize = 16;

/// Tells the time for the ages of items.
///
/// At a steady pace the last look is no longer ago than the [grain](Self::grain). After a pause, so many items go by at most
/// before there is a look.
#[derive(Debug)]
pub struct CoarseClock {
    sampler: ClockSampler,
    grain: Duration,
    is_due: bool,
}

impl CoarseClock {
    /// For items that expire at this age, or each at a time of its own.
    pub fn for_ages(max_age: Option<Duration>) -> Self {
        let most = Duration::from_millis(1);
        let grain = max_age.map_or(most, |age| most.min(age / 64));
        Self { sampler: ClockSampler::new(MOST), grain, is_due: false }
    }

    /// How long ago the last look is at most, at a steady pace: a millisecond, or a 64th of the age that matters if that is
    /// less.
    #[inline]
    pub const fn grain(&self) -> Duration {
        self.grain
    }

    /// How many items may go by before one looks.
    pub const fn left(&self) -> usize {
        if self.is_due { 0 } else { self.sampler.left().saturating_sub(1) }
    }

    /// Counts an item, and answers the time if it is time to look.
    #[inline]
    pub fn tick(&mut self) -> Option<Instant> {
        self.sampler.count(1);
        (self.is_due || self.sampler.is_due()).then(|| self.look())
    }

    /// Looks at the next item, come what may: for whoever is about to wait.
    pub const fn hurry(&mut self) {
        self.is_due = true;
    }

    /// The time.
    #[inline(never)]
    pub fn look(&mut self) -> Instant {
        let now = now();
        self.sampler.sampled(now, self.grain);
        self.is_due = false;
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e1_no_more_than_16_items_go_by_without_a_look() {
        let mut clock = CoarseClock::for_ages(Some(Duration::MAX));
        let mut since = 0;
        for item in 0..1000 {
            since = if clock.tick().is_some() { 0 } else { since + 1 };
            assert!(since < MOST, "at {item}");
        }
        assert!(clock.left() > 0);
        clock.hurry();
        assert_eq!(clock.left(), 0);
        assert!(clock.tick().is_some());
    }

    #[test]
    fn d6_the_grain_of_any_age_is_within_a_millisecond() {
        let ms = Duration::from_millis(1);
        let grain = |age| CoarseClock::for_ages(age).grain();
        assert_eq!([grain(None), grain(Some(Duration::MAX)), grain(Some(32 * ms))], [ms, ms, ms / 2]);
        assert_eq!(grain(Some(Duration::from_nanos(1))), Duration::ZERO);
    }
}
