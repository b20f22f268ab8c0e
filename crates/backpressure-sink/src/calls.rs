//! Futures in flight, polled in place, each only when it was woken.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A panic, to be [resumed](std::panic::resume_unwind).
pub(crate) type Panic = Box<dyn Any + Send>;

/// Slots for futures. A slot that was left is used again, with its memory and its waker, so at a steady concurrency
/// nothing is allocated.
pub(crate) struct Calls<F> {
    slots: Vec<Slot<F>>,
    free: Vec<usize>,
    woken: Arc<Woken>,
}

struct Slot<F> {
    future: Pin<Box<Option<F>>>,
    alarm: Arc<Alarm>,
    waker: Waker,
}

/// Which slots are to be polled, and the task that does it.
#[derive(Default)]
struct Woken {
    state: Mutex<(VecDeque<usize>, Option<Waker>)>,
}

/// Wakes a slot, and with it the task. One that outlives its future costs whoever has the slot next a poll.
struct Alarm {
    slot: usize,
    is_queued: AtomicBool,
    woken: Arc<Woken>,
}

impl<F> Calls<F> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), woken: Arc::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes in a future, which counts as woken. The task is not: whoever pushes polls.
    pub(crate) fn push(&mut self, future: F) {
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = self.slots.len();
            let alarm = Arc::new(Alarm { slot, is_queued: AtomicBool::new(false), woken: Arc::clone(&self.woken) });
            self.slots.push(Slot { future: Box::pin(None), waker: Arc::clone(&alarm).into(), alarm });
            slot
        });
        self.slots[slot].future.set(Some(future));
        if !self.slots[slot].alarm.is_queued.swap(true, Ordering::AcqRel) {
            self.woken.lock().0.push_back(slot);
        }
    }

    /// From now on this task is woken, once, when a future is.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        if self.woken.lock().1.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            return;
        }
        let task = cx.waker().clone();
        let replaced = self.woken.lock().1.replace(task);
        drop(replaced);
    }
}

impl<F: Future> Calls<F> {
    /// Polls one future that was woken; `None` if there is none. One that is ready, or panics, is gone.
    pub(crate) fn poll_one(&mut self) -> Option<Poll<Result<F::Output, Panic>>> {
        let index = self.woken.lock().0.pop_front()?;
        let slot = &mut self.slots[index];
        slot.alarm.is_queued.swap(false, Ordering::AcqRel);
        let Some(future) = slot.future.as_mut().as_pin_mut() else { return Some(Poll::Pending) };
        let polled = catch_unwind(AssertUnwindSafe(|| future.poll(&mut Context::from_waker(&slot.waker))));
        let outcome = match polled {
            Ok(Poll::Pending) => return Some(Poll::Pending),
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        self.free.push(index);
        self.slots[index].future.set(None);
        Some(Poll::Ready(outcome))
    }
}

impl<F> Drop for Calls<F> {
    fn drop(&mut self) {
        let task = self.woken.lock().1.take();
        drop(task);
    }
}

impl Woken {
    /// Nothing under this lock runs the user's code.
    fn lock(&self) -> MutexGuard<'_, (VecDeque<usize>, Option<Waker>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let task = {
            let mut woken = self.woken.lock();
            woken.0.push_back(self.slot);
            woken.1.take()
        };
        task.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn registered<F>(calls: &Calls<F>) -> Arc<Task> {
        let task = Arc::new(Task::default());
        calls.register(&Context::from_waker(&Arc::clone(&task).into()));
        task
    }

    #[test]
    fn w2_many_futures_wake_the_task_once_between_two_looks() {
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let mut calls = Calls::new();
        for _ in 0..10 {
            let wakers = Arc::clone(&wakers);
            calls.push(poll_fn(move |cx| {
                wakers.lock().unwrap().push(cx.waker().clone());
                Poll::<()>::Pending
            }));
        }
        while calls.poll_one().is_some() {}
        let task = registered(&calls);
        for waker in wakers.lock().unwrap().drain(..) {
            waker.wake_by_ref();
            waker.wake();
        }
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        assert_eq!(std::iter::from_fn(|| calls.poll_one()).count(), 10, "each is polled once");
    }

    #[test]
    fn a_slot_is_used_again_and_a_late_wake_of_its_last_future_is_harmless() {
        let late: Arc<Mutex<Option<Waker>>> = Arc::default();
        let mut calls = Calls::new();
        let keep = Arc::clone(&late);
        let first: Pin<Box<dyn Future<Output = u8>>> = Box::pin(poll_fn(move |cx| {
            *keep.lock().unwrap() = Some(cx.waker().clone());
            Poll::Ready(1)
        }));
        calls.push(first);
        assert!(matches!(calls.poll_one(), Some(Poll::Ready(Ok(1)))));
        late.lock().unwrap().take().unwrap().wake_by_ref();
        assert!(matches!(calls.poll_one(), Some(Poll::Pending)), "nobody is there");
        calls.push(Box::pin(pending()));
        assert_eq!((calls.len(), calls.slots.len()), (1, 1));
        assert!(matches!(calls.poll_one(), Some(Poll::Pending)));
        assert!(calls.poll_one().is_none());
    }

    #[test]
    fn t6_a_waker_that_outlives_everything_holds_no_task() {
        let late: Arc<Mutex<Option<Waker>>> = Arc::default();
        let keep = Arc::clone(&late);
        let mut calls = Calls::new();
        calls.push(poll_fn(move |cx| {
            *keep.lock().unwrap() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        let task = registered(&calls);
        assert!(calls.poll_one().is_some());
        drop(calls);
        assert_eq!(Arc::strong_count(&task), 1);
        late.lock().unwrap().take().unwrap().wake();
    }
}
