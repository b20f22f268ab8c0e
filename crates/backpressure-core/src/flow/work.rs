//! The work of a part: how it spends its time.

use std::time::{Duration, Instant};

use super::activity::{Activity, Work};

/// Adds up the time spent idle, busy and blocked. The three sums are together the time that has passed.
///
/// ```
/// use std::time::{Duration, Instant};
/// use backpressure_core::{Work, WorkClock};
///
/// let start = Instant::now();
/// let mut clock = WorkClock::new(start, Work::Idle);
/// clock.enter(start + Duration::from_secs(1), Work::Busy);
/// let times = clock.read(start + Duration::from_secs(4));
/// assert_eq!((times.idle, times.busy), (Duration::from_secs(1), Duration::from_secs(3)));
/// assert_eq!(times.shares().unwrap().busy, 0.75);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkClock {
    activity: Activity,
    since: Instant,
    spent: WorkTimes,
}

impl WorkClock {
    /// Starts at `now`, doing this.
    pub fn new(now: Instant, activity: impl Into<Activity>) -> Self {
        Self { activity: activity.into(), since: now, spent: WorkTimes::default() }
    }

    /// What is being done.
    pub const fn activity(&self) -> Activity {
        self.activity
    }

    /// From `now` on this is done. A `now` that repeats or goes backwards is harmless.
    pub fn enter(&mut self, now: Instant, activity: impl Into<Activity>) {
        self.spent = self.read(now);
        self.since = self.since.max(now);
        self.activity = activity.into();
    }

    /// The sums at `now`.
    pub fn read(&self, now: Instant) -> WorkTimes {
        self.spent.and(self.activity, now.saturating_duration_since(self.since))
    }

    /// Since when it is being done, and the sums until then.
    pub(crate) const fn base(&self) -> (Instant, WorkTimes) {
        (self.since, self.spent)
    }
}

/// Time spent idle, busy and blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorkTimes {
    /// Waiting for input.
    pub idle: Duration,
    /// Working.
    pub busy: Duration,
    /// Held up by what is behind.
    pub blocked: Duration,
}

impl WorkTimes {
    pub(crate) const fn from_array([idle, busy, blocked]: [Duration; 3]) -> Self {
        Self { idle, busy, blocked }
    }

    /// The time spent so.
    pub const fn time(&self, work: Work) -> Duration {
        match work {
            Work::Idle => self.idle,
            Work::Busy => self.busy,
            Work::Blocked => self.blocked,
        }
    }

    const fn time_mut(&mut self, work: Work) -> &mut Duration {
        match work {
            Work::Idle => &mut self.idle,
            Work::Busy => &mut self.busy,
            Work::Blocked => &mut self.blocked,
        }
    }

    /// With this much more time, spent so.
    pub(crate) fn and(mut self, activity: Activity, time: Duration) -> Self {
        let (work, taken, places) = activity.parts();
        let nanos = time.as_nanos() * u128::from(taken) / u128::from(places);
        let spent = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(time);
        for (work, time) in [(work, spent), (Work::Idle, time - spent)] {
            let total = self.time_mut(work);
            *total = total.saturating_add(time);
        }
        self
    }

    /// All of it.
    pub fn total(&self) -> Duration {
        self.idle.saturating_add(self.busy).saturating_add(self.blocked)
    }

    /// What came after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self::from_array(Work::ALL.map(|work| self.time(work).saturating_sub(earlier.time(work))))
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self::from_array(Work::ALL.map(|work| self.time(work).saturating_add(other.time(work))))
    }

    /// The shares of the time, which add up to 1. `None` if no time has passed.
    pub fn shares(&self) -> Option<WorkShares> {
        let total = self.total().as_secs_f64();
        let share = |work| self.time(work).as_secs_f64() / total;
        (total > 0.0).then(|| WorkShares {
            idle: share(Work::Idle),
            busy: share(Work::Busy),
            blocked: share(Work::Blocked),
        })
    }
}

/// Shares of the time, each 0 to 1, together 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorkShares {
    /// Waiting for input.
    pub idle: f64,
    /// Working.
    pub busy: f64,
    /// Held up by what is behind.
    pub blocked: f64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn activity() -> impl Strategy<Value = Activity> {
        let whole = prop::sample::select(&Work::ALL[..]).prop_map(Activity::from);
        let busy = (0usize..=4).prop_map(|taken| Activity::busy(taken, 4));
        prop_oneof![whole, busy.clone(), busy.prop_map(|busy| busy.held_up(true))]
    }

    proptest! {
        /// Against a model that walks through the time in steps of a millisecond, each split into quarters.
        #[test]
        fn the_three_add_up_to_the_time_that_has_passed(
            first in activity(),
            edges in prop::collection::vec((0u32..50, activity()), 0..40),
            rest in 0u32..50,
        ) {
            let start = Instant::now();
            let at = |ms: usize| start + Duration::from_millis(ms as u64);
            let mut clock = WorkClock::new(start, first);
            let mut model = Vec::new();
            let mut doing = first;
            for (wait, next) in edges {
                model.extend(std::iter::repeat_n(doing, wait as usize));
                clock.enter(at(model.len()), next);
                prop_assert_eq!(clock.activity(), next);
                doing = next;
            }
            model.extend(std::iter::repeat_n(doing, rest as usize));
            let mut quarters = [0; 3];
            for activity in &model {
                let (work, taken, places) = activity.parts();
                quarters[work as usize] += 4 * taken / places;
                quarters[Work::Idle as usize] += 4 - 4 * taken / places;
            }
            let times = clock.read(at(model.len()));
            for work in Work::ALL {
                prop_assert_eq!(times.time(work), Duration::from_millis(1) / 4 * quarters[work as usize]);
            }
            prop_assert_eq!(times.total(), Duration::from_millis(model.len() as u64));
            if let Some(shares) = times.shares() {
                prop_assert!((shares.idle + shares.busy + shares.blocked - 1.0).abs() < 1e-9);
            }
        }

        /// Whatever the clock does, the sums are the furthest that it got, to the nanosecond.
        #[test]
        fn k1_a_clock_that_jumps_is_harmless(edges in prop::collection::vec((0u64..1000, 0usize..=3), 1..40)) {
            let start = Instant::now() + Duration::from_secs(1);
            let mut clock = WorkClock::new(start, Work::Idle);
            let mut furthest = 0;
            for (ms, taken) in edges {
                clock.enter(start + Duration::from_millis(ms) - Duration::from_millis(300), Activity::busy(taken, 3));
                furthest = ms.saturating_sub(300).max(furthest);
                prop_assert_eq!(clock.read(start).total(), Duration::from_millis(furthest));
            }
        }
    }

    #[test]
    fn what_came_between_two_readings() {
        let times = |idle, busy, blocked| WorkTimes::from_array([idle, busy, blocked].map(Duration::from_secs));
        assert_eq!(times(5, 6, 7).since(&times(1, 2, 3)), times(4, 4, 4));
        assert_eq!(times(0, 0, 0).shares(), None);
        assert_eq!(times(1, 0, 3).shares().map(|shares| shares.blocked), Some(0.75));
    }
}
