//! What a part does with its time.

use std::fmt;
use std::time::{Duration, Instant};

/// What a part does: one of three things at any time, as in Flink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Work {
    /// It waits for input.
    #[default]
    Idle = 0,
    /// It works.
    Busy = 1,
    /// It has something, and what is behind it does not take it.
    Blocked = 2,
}

impl Work {
    /// All three, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Idle, Self::Busy, Self::Blocked];

    /// The word in lower case, as it stands in the `work` attribute of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Blocked => "blocked",
        }
    }

    /// What a part does that works by itself and has been told that somebody behind it holds it up.
    #[must_use]
    pub const fn held_up(self, held_up: bool) -> Self {
        match self {
            Self::Busy if held_up => Self::Blocked,
            work => work,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

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
    work: Work,
    since: Instant,
    spent: WorkTimes,
}

impl WorkClock {
    /// Starts at `now`, doing this.
    pub const fn new(now: Instant, work: Work) -> Self {
        Self { work, since: now, spent: WorkTimes::ZERO }
    }

    /// What is being done.
    pub const fn work(&self) -> Work {
        self.work
    }

    /// From `now` on this is done. A `now` that repeats or goes backwards is harmless.
    pub fn enter(&mut self, now: Instant, work: Work) {
        self.spent = self.read(now);
        self.since = self.since.max(now);
        self.work = work;
    }

    /// The sums at `now`.
    pub fn read(&self, now: Instant) -> WorkTimes {
        let mut times = self.spent;
        let time = times.time_mut(self.work);
        *time = time.saturating_add(now.saturating_duration_since(self.since));
        times
    }

    /// What is being done, since when, and the sums until then.
    pub(crate) const fn parts(&self) -> (Work, Instant, WorkTimes) {
        (self.work, self.since, self.spent)
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
    const ZERO: Self = Self { idle: Duration::ZERO, busy: Duration::ZERO, blocked: Duration::ZERO };

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

    fn work() -> impl Strategy<Value = Work> {
        prop::sample::select(&Work::ALL[..])
    }

    proptest! {
        /// Against a model that walks through the time in steps of a millisecond.
        #[test]
        fn the_three_add_up_to_the_time_that_has_passed(
            first in work(),
            edges in prop::collection::vec((0u32..50, work()), 0..40),
            rest in 0u32..50,
        ) {
            let start = Instant::now();
            let at = |ms: u32| start + Duration::from_millis(ms.into());
            let mut clock = WorkClock::new(start, first);
            let mut model = Vec::new();
            let mut doing = first;
            for (wait, next) in edges {
                model.extend(std::iter::repeat_n(doing, wait as usize));
                clock.enter(at(model.len() as u32), next);
                prop_assert_eq!(clock.work(), next);
                doing = next;
            }
            model.extend(std::iter::repeat_n(doing, rest as usize));
            let times = clock.read(at(model.len() as u32));
            for work in Work::ALL {
                let spent = model.iter().filter(|&&done| done == work).count();
                prop_assert_eq!(times.time(work), Duration::from_millis(spent as u64));
            }
            prop_assert_eq!(times.total(), Duration::from_millis(model.len() as u64));
            if let Some(shares) = times.shares() {
                prop_assert!((shares.idle + shares.busy + shares.blocked - 1.0).abs() < 1e-9);
            }
        }

        /// Whatever the clock does, the sums are the furthest that it got.
        #[test]
        fn k1_a_clock_that_jumps_is_harmless(edges in prop::collection::vec((0u64..1000, work()), 1..40)) {
            let start = Instant::now() + Duration::from_secs(1);
            let mut clock = WorkClock::new(start, Work::Idle);
            let mut furthest = Duration::ZERO;
            for (ms, next) in edges {
                let since = Duration::from_millis(ms);
                clock.enter(start + since - Duration::from_millis(300), next);
                furthest = furthest.max(since.saturating_sub(Duration::from_millis(300)));
                prop_assert_eq!(clock.read(start).total(), furthest);
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
