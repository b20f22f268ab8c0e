//! The longest wait: the clock decides, the timer only wakes.

use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_rt::{Timer, now};

/// Nothing until it is first polled; then a deadline, and the timer that wakes at it.
#[derive(Debug)]
pub(crate) struct WaitTimeout {
    timer: Timer,
}

impl WaitTimeout {
    pub(crate) const NEW: Self = Self { timer: Timer::new() };

    /// Ready once this much time has passed since the first poll. A wait too long for the clock never ends.
    pub(crate) fn poll(&mut self, max_wait: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if max_wait == Duration::MAX {
            return Poll::Pending;
        }
        let now = now();
        let Some(deadline) = self.timer.deadline().or_else(|| now.checked_add(max_wait)) else { return Poll::Pending };
        if deadline <= now { Poll::Ready(()) } else { self.timer.poll(deadline, cx) }
    }
}
