//! A deadline's alarm: it only wakes, the clock decides.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use pin_project_lite::pin_project;

use crate::sleep::{AnySleep, Sleep};

/// Wakes a task at a deadline. Nothing until there is something to wait for.
///
/// It sleeps by tokio's timer in a runtime that has one. Elsewhere it sleeps by a thread's, with the feature `thread-timer`.
///
/// # Panics
///
/// When polled without the feature `thread-timer` where tokio has no timer.
#[derive(Debug, Default)]
pub struct Timer {
    /// On the heap, so that what holds a timer can be moved, and is small where it never waits.
    alarm: Option<Pin<Box<Alarm>>>,
}

pin_project! {
    #[derive(Debug)]
    struct Alarm {
        deadline: Instant,
        #[pin]
        sleep: AnySleep,
    }
}

impl Timer {
    /// Nothing to wait for.
    pub const fn new() -> Self {
        Self { alarm: None }
    }

    /// When it will wake the task, if it will.
    pub fn deadline(&self) -> Option<Instant> {
        self.alarm.as_ref().map(|alarm| alarm.deadline)
    }

    /// Sees to it that the task is woken at `deadline`. Ready if that has passed by now.
    pub fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let set = || Box::pin(Alarm { deadline, sleep: AnySleep::until(deadline) });
        let mut alarm = self.alarm.get_or_insert_with(set).as_mut().project();
        if *alarm.deadline != deadline {
            *alarm.deadline = deadline;
            Sleep::reset(alarm.sleep.as_mut(), deadline);
        }
        alarm.sleep.poll(cx)
    }

    /// Wakes nobody any more.
    #[inline]
    pub fn disarm(&mut self) {
        if let Some(alarm) = self.alarm.take() {
            retire(alarm);
        }
    }
}

impl Drop for Timer {
    /// In line for all those who did not have to wait.
    #[inline(always)]
    fn drop(&mut self) {
        self.disarm();
    }
}

#[cold]
#[inline(never)]
fn retire(alarm: Pin<Box<Alarm>>) {
    drop(alarm);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    #[cfg(feature = "tokio")]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};
    use std::time::Duration;

    use super::*;
    use crate::clock::now;

    #[cfg(feature = "tokio")]
    #[test]
    fn b5_a_timer_wakes_at_the_latest_deadline_it_was_given_and_not_once_disarmed() {
        #[derive(Default)]
        struct Task(AtomicUsize);
        impl Wake for Task {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (task, mut timer, start) = (Arc::new(Task::default()), Timer::new(), now());
            let waker = Waker::from(Arc::clone(&task));
            let cx = &mut Context::from_waker(&waker);
            let woken = || task.0.load(Ordering::SeqCst);
            let ms = Duration::from_millis;
            assert!(timer.poll(start + ms(10), cx).is_pending());
            assert!(timer.poll(start + ms(20), cx).is_pending());
            assert_eq!(timer.deadline(), Some(start + ms(20)));
            tokio::time::advance(ms(15)).await;
            assert_eq!(woken(), 0);
            tokio::time::advance(ms(6)).await;
            assert_eq!(woken(), 1);
            assert!(timer.poll(start + ms(20), cx).is_ready());
            assert!(timer.poll(start + ms(30), cx).is_pending());
            timer.disarm();
            assert_eq!(timer.deadline(), None);
            tokio::time::advance(ms(15)).await;
            assert_eq!(woken(), 1);
        });
    }

    #[cfg(feature = "thread-timer")]
    #[test]
    fn k1_without_a_runtime_a_thread_wakes() {
        struct Unparks(std::thread::Thread);
        impl Wake for Unparks {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unparks(std::thread::current())));
        let (mut timer, deadline) = (Timer::new(), now() + Duration::from_millis(5));
        while timer.poll(deadline, &mut Context::from_waker(&waker)).is_pending() {
            std::thread::park();
        }
        assert!(now() >= deadline);
    }
}
