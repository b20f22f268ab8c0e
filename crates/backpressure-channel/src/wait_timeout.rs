//! The longest wait: a deadline that the clock decides and a timer that only wakes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use crate::timer::{Timer, timer};

/// Tokio's clock where tokio is, so that a paused clock is followed; the system's elsewhere.
#[cfg(feature = "tokio")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(not(feature = "tokio"))]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Nothing until it is first polled; then a deadline, and the timer that wakes at it.
#[derive(Debug)]
pub(crate) struct WaitTimeout {
    /// Boxed, so that a send that need not wait stays small.
    alarm: Option<Pin<Box<Alarm>>>,
}

impl WaitTimeout {
    pub(crate) const NEW: Self = Self { alarm: None };

    /// Ready once this much time has passed since the first poll. A wait too long for the clock never ends.
    pub(crate) fn poll(&mut self, max_wait: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if max_wait == Duration::MAX {
            return Poll::Pending;
        }
        let now = now();
        if self.alarm.is_none() {
            let Some(deadline) = now.checked_add(max_wait) else { return Poll::Pending };
            self.alarm = Some(Box::pin(Alarm { deadline, timer: timer(deadline, max_wait) }));
        }
        let Some(alarm) = &mut self.alarm else { return Poll::Pending };
        let alarm = alarm.as_mut().project();
        if *alarm.deadline <= now { Poll::Ready(()) } else { alarm.timer.poll(cx) }
    }
}

impl Drop for WaitTimeout {
    /// In line for all those who did not have to wait.
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(alarm) = self.alarm.take() {
            retire(alarm);
        }
    }
}

#[cold]
#[inline(never)]
fn retire(alarm: Pin<Box<Alarm>>) {
    drop(alarm);
}

pin_project! {
    #[derive(Debug)]
    struct Alarm {
        deadline: Instant,
        #[pin]
        timer: Timer,
    }
}
