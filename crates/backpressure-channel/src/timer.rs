//! A timer on any executor: tokio's where there is one, a thread's elsewhere.

use std::time::{Duration, Instant};

use futures_timer::Delay;

#[cfg(not(feature = "tokio"))]
pub(crate) type Timer = Delay;

#[cfg(not(feature = "tokio"))]
pub(crate) fn timer(_deadline: Instant, wait: Duration) -> Timer {
    Delay::new(wait)
}

#[cfg(feature = "tokio")]
pub(crate) use on_tokio::{Timer, timer};

#[cfg(feature = "tokio")]
mod on_tokio {
    use std::future::Future;
    use std::panic::catch_unwind;
    use std::pin::Pin;
    use std::sync::{Mutex, PoisonError};
    use std::task::{Context, Poll};

    use pin_project_lite::pin_project;
    use tokio::runtime::{Handle, Id};
    use tokio::time::{Sleep, sleep_until};

    use super::{Delay, Duration, Instant};

    /// The last of the runtimes that turned out to have no timer. It keeps a program with one such runtime from asking again.
    static WITHOUT_TIME: Mutex<Option<Id>> = Mutex::new(None);

    pin_project! {
        #[project = TimerProjection]
        #[derive(Debug)]
        pub(crate) enum Timer {
            Tokio { #[pin] sleep: Sleep },
            Thread { delay: Delay },
        }
    }

    pub(crate) fn timer(deadline: Instant, wait: Duration) -> Timer {
        match of_runtime(deadline) {
            Some(sleep) => Timer::Tokio { sleep },
            None => Timer::Thread { delay: Delay::new(wait) },
        }
    }

    /// Tokio tells nobody whether a runtime has a timer (`enable_time`): it panics where one is made. So one is made, and the
    /// panic is caught, and reported on stderr as panics are, for the first wait on such a runtime.
    fn of_runtime(deadline: Instant) -> Option<Sleep> {
        let runtime = Handle::try_current().ok()?.id();
        let without_time = || WITHOUT_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        if *without_time() == Some(runtime) {
            return None;
        }
        let sleep = catch_unwind(|| sleep_until(deadline.into())).ok();
        if sleep.is_none() {
            *without_time() = Some(runtime);
        }
        sleep
    }

    impl Future for Timer {
        type Output = ();

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            match self.project() {
                TimerProjection::Tokio { sleep } => sleep.poll(cx),
                TimerProjection::Thread { delay } => Pin::new(delay).poll(cx),
            }
        }
    }
}
