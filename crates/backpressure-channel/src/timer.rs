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
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::task::{Context, Poll};

    use pin_project_lite::pin_project;
    use tokio::runtime::{Handle, Id};
    use tokio::time::{Sleep, sleep_until};

    use super::{Delay, Duration, Instant};

    /// Runtimes that turned out to have no timer. They keep their waits from asking again.
    static WITHOUT_TIME: Mutex<Vec<Id>> = Mutex::new(Vec::new());

    /// So many of them are remembered: enough for a runtime on each core. More would only grow with each runtime there ever was.
    const MOST: usize = 256;

    /// Whether there is any, so that a program that has none takes no lock.
    static IS_ANY: AtomicBool = AtomicBool::new(false);

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
        if IS_ANY.load(Ordering::Relaxed) && without_time().contains(&runtime) {
            return None;
        }
        let sleep = catch_unwind(|| sleep_until(deadline.into())).ok();
        if sleep.is_none() {
            remember(runtime);
        }
        sleep
    }

    #[cold]
    fn remember(runtime: Id) {
        let mut known = without_time();
        if known.len() == MOST {
            known.remove(0);
        }
        known.push(runtime);
        drop(known);
        IS_ANY.store(true, Ordering::Relaxed);
    }

    fn without_time() -> MutexGuard<'static, Vec<Id>> {
        WITHOUT_TIME.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[cfg(test)]
    mod tests {
        use tokio::runtime::Builder;

        use super::*;

        /// Whether a wait on this runtime asks tokio for a timer, and gets one.
        fn asked_and_got(runtime: &tokio::runtime::Runtime) -> (bool, bool) {
            let _context = runtime.enter();
            let known = without_time().contains(&runtime.handle().id());
            (!known, of_runtime(Instant::now()).is_some())
        }

        #[test]
        fn k1_each_runtime_without_a_timer_is_asked_once_however_they_take_turns() {
            let build = |has_time: bool| {
                let mut builder = Builder::new_current_thread();
                if has_time { builder.enable_time() } else { &mut builder }.build().unwrap()
            };
            let without = [build(false), build(false), build(false)];
            let with = build(true);
            assert!(without.iter().all(|runtime| asked_and_got(runtime) == (true, false)));
            for _ in 0..3 {
                assert!(without.iter().all(|runtime| asked_and_got(runtime) == (false, false)));
                assert_eq!(asked_and_got(&with), (true, true));
            }
        }
    }
}
