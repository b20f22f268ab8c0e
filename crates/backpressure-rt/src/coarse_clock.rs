//! A clock that is read now and then, while items come and go.

use std::time::{Duration, Instant};

use crate::clock::now;
use crate::clock_sampler::ClockSampler;

/// Most items that come, or go, between two looks, and one more.
const MOST: usize = 16;

/// Tells the time for the ages of items.
///
/// At a steady pace the last look is no longer ago than the [grain](Self::grain). After a pause, 15 items at most come and 15 go before
/// there is a look.
#[derive(Debug)]
pub struct CoarseClock {
    sampler: ClockSampler,
    grain: Duration,
}

impl CoarseClock {
    /// For items that expire at this age, or each at a time of its own.
    pub fn for_ages(max_age: Option<Duration>) -> Self {
        let most = Duration::from_millis(1);
        let grain = max_age.map_or(most, |age| most.min(age / 64));
        Self { sampler: ClockSampler::new(MOST), grain }
    }

    /// How long ago the last look is at most, at a steady pace: a millisecond, or a 64th of the age that matters if that is
    /// less.
    pub const fn grain(&self) -> Duration {
        self.grain
    }

    /// The time, after so many items since the last look.
    pub fn look(&mut self, items: usize) -> Instant {
        let now = now();
        self.sampler.count(items);
        self.sampler.sampled(now, self.grain);
        now
    }

    /// How many items may come, or go, before the next look.
    pub const fn quota(&self) -> usize {
        self.sampler.left().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e1_no_more_than_15_items_go_by_without_a_look() {
        let mut clock = CoarseClock::for_ages(Some(Duration::MAX));
        assert_eq!(clock.quota(), 0);
        for _ in 0..100 {
            clock.look(clock.quota() + 1);
            assert!(clock.quota() < MOST);
        }
        clock.look(usize::MAX);
        assert!(clock.quota() < MOST);
    }

    #[test]
    fn d6_the_grain_of_any_age_is_within_a_millisecond() {
        let ms = Duration::from_millis(1);
        let grain = |age| CoarseClock::for_ages(age).grain();
        assert_eq!([grain(None), grain(Some(Duration::MAX)), grain(Some(32 * ms))], [ms, ms, ms / 2]);
        assert_eq!(grain(Some(Duration::from_nanos(1))), Duration::ZERO);
    }
}
