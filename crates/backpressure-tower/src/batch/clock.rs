//! Where the time comes from, and an alarm that only wakes: the clock decides.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

/// Tokio's clock, so that a paused one is followed.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Nothing until there is something to wait for.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Sees to it that the task is woken at `deadline`. Ready if that has passed.
    pub(crate) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = deadline.into();
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }

    /// Wakes nobody any more.
    pub(crate) fn disarm(&mut self) {
        self.sleep = None;
    }
}
