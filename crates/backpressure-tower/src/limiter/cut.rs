//! Calls that are given up by their caller or by a timeout.

use std::time::Duration;

use backpressure_core::DropReason;

use super::fate::Fate;
use super::permit::Permit;
use super::queued_call::QueuedCall;
use super::refusals::nanos;
use super::shared::Shared;

/// By when a call must be answered, or it is cut by a timeout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    /// From when on a call that is given up was cut, in nanoseconds of the limiter's own.
    due: u64,
    /// How long its caller has given it, in nanoseconds; the most that there is if the time is the service's own.
    patience: u64,
}

impl Deadline {
    /// For a call that may take as long as it takes.
    pub(crate) const NEVER: Self = Self { due: u64::MAX, patience: 0 };

    fn has_passed(&self, limiter: &Shared) -> bool {
        self.due != u64::MAX && limiter.now().get() >= self.due
    }
}

impl Shared {
    /// The deadline of a call that comes now and may take so long: by a timeout of the `service`'s own, and by its `caller`.
    pub(super) fn deadline(&self, service: Option<Duration>, caller: Option<Duration>) -> Deadline {
        let (service, caller) = (service.map_or(u64::MAX, nanos), caller.map_or(u64::MAX, nanos));
        let patience = if caller < service { caller } else { u64::MAX };
        // Whoever cuts it may have begun to count before it came here.
        let nine_tenths = service.min(caller) / 10 * 9;
        Deadline { due: self.now().get().saturating_add(nine_tenths), patience }
    }
}

/// What a call holds.
pub(crate) trait Hold {
    /// Gives it back for a call that is not waited for any longer.
    fn give_up(self, deadline: &Deadline);
}

impl Hold for Permit {
    fn give_up(self, deadline: &Deadline) {
        if deadline.has_passed(self.limiter()) && !std::thread::panicking() {
            let fate = self.limiter().cuts.fate(deadline.patience);
            self.end(fate);
        }
    }
}

/// A call that is cut while it waits never came to the service, so it says nothing about that.
impl Hold for QueuedCall {
    fn give_up(mut self, deadline: &Deadline) {
        if self.limiter().is_some_and(|limiter| deadline.has_passed(limiter)) {
            self.leave(DropReason::TimedOut, Some(Fate::Hurried));
        }
    }
}
