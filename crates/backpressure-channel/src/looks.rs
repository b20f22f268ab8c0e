//! When a channel whose items expire looks at the clock.

use std::time::{Duration, Instant};

use backpressure_rt::CoarseClock;

#[derive(Debug)]
pub(crate) struct Looks {
    clock: CoarseClock,
    /// How many items may be taken before the next look.
    pub(crate) takes: usize,
}

impl Looks {
    pub(crate) fn new(max_age: Option<Duration>) -> Self {
        Self { clock: CoarseClock::for_ages(max_age), takes: 0 }
    }

    /// The time, after so many items came.
    pub(crate) fn read(&mut self, came: usize) -> Instant {
        let gone = self.clock.quota().saturating_sub(self.takes);
        self.clock.look(1 + came + gone)
    }

    /// How many items may come, or go, before the next look.
    pub(crate) const fn quota(&self) -> usize {
        self.clock.quota()
    }

    pub(crate) const fn grain(&self) -> Duration {
        self.clock.grain()
    }
}
