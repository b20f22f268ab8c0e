//! What a timer sleeps by: tokio's where there is one, a thread's elsewhere.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// Wakes at a deadline, which may be changed.
pub(crate) trait Sleep: Future<Output = ()> + Sized {
    fn until(deadline: Instant) -> Self;
    fn reset(self: Pin<&mut Self>, deadline: Instant);
}

#[cfg(all(feature = "tokio", feature = "thread-timer"))]
pub(crate) type AnySleep = either::Either;
#[cfg(all(feature = "tokio", not(feature = "thread-timer")))]
pub(crate) type AnySleep = tokio::time::Sleep;
#[cfg(not(feature = "tokio"))]
pub(crate) type AnySleep = futures_timer::Delay;

#[cfg(feature = "tokio")]
impl Sleep for tokio::time::Sleep {
    fn until(deadline: Instant) -> Self {
        tokio::time::sleep_until(deadline.into())
    }

    fn reset(self: Pin<&mut Self>, deadline: Instant) {
        tokio::time::Sleep::reset(self, deadline.into());
    }
}

#[cfg(feature = "thread-timer")]
impl Sleep for futures_timer::Delay {
    fn until(deadline: Instant) -> Self {
        Self::new(deadline.saturating_duration_since(crate::clock::now()))
    }

    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        futures_timer::Delay::reset(&mut self, deadline.saturating_duration_since(crate::clock::now()));
    }
}

#[cfg(all(feature = "tokio", feature = "thread-timer"))]
mod either {
    use std::task::{Context, Poll};

    use futures_timer::Delay;
    use pin_project_lite::pin_project;
    use tokio::time::{Sleep as TokioSleep, sleep_until};

    use super::{Future, Instant, Pin, Sleep};
    use crate::tokio_sleep::tokio_sleep;

    pin_project! {
        #[project = Projected]
        #[derive(Debug)]
        pub(crate) enum Either {
            Tokio { #[pin] sleep: TokioSleep },
            Thread { delay: Delay },
        }
    }

    impl Sleep for Either {
        fn until(deadline: Instant) -> Self {
            match tokio_sleep(|| sleep_until(deadline.into())) {
                Some(sleep) => Self::Tokio { sleep },
                None => Self::Thread { delay: Delay::until(deadline) },
            }
        }

        fn reset(self: Pin<&mut Self>, deadline: Instant) {
            match self.project() {
                Projected::Tokio { sleep } => Sleep::reset(sleep, deadline),
                Projected::Thread { delay } => Sleep::reset(Pin::new(delay), deadline),
            }
        }
    }

    impl Future for Either {
        type Output = ();

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            match self.project() {
                Projected::Tokio { sleep } => sleep.poll(cx),
                Projected::Thread { delay } => Pin::new(delay).poll(cx),
            }
        }
    }
}
