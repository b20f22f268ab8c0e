//! The longest wait: the clock decides, the timer only wakes.

use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_rt::{Timer, now};

/// Nothing until it is first polled; then a deadline, and the timer that wakes at it.
#[derive(Debug)]
pub(crate) struct WaitTimeout {
    timer: Timer,
    /// The wait was found to have no end.
    is_endless: bool,
}

impl WaitTimeout {
    pub(crate) const NEW: Self = Self { timer: Timer::new(), is_endless: false };

    /// Ready once as much time has passed since the first poll as was the longest wait then. A wait too long for the clock
    /// never ends.
    pub(crate) fn poll(&mut self, max_wait: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let begun = self.timer.deadline();
        if self.is_endless || (begun.is_none() && max_wait == Duration::MAX) {
            self.is_endless = true;
            return Poll::Pending;
        }
        let now = now();
        let Some(deadline) = begun.or_else(|| now.checked_add(max_wait)) else {
            self.is_endless = true;
            return Poll::Pending;
        };
        if deadline <= now { Poll::Ready(()) } else { self.timer.poll(deadline, cx) }
    }
}
