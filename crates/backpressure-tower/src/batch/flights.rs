//! Futures in flight, polled in place, each only when it was woken.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// What a panic left.
pub(super) type Panic = Box<dyn Any + Send>;

/// A slot for every batch, by its number. A slot that was left is used again, with its memory and its waker, so that at a
/// steady concurrency nothing is allocated.
pub(super) struct Flights<F> {
    slots: Vec<Slot<F>>,
    len: usize,
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

impl<F> Flights<F> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), len: 0, woken: Arc::default() }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Takes in a future, which counts as woken. The task is not: whoever pushes polls.
    pub(super) fn push(&mut self, batch: usize, future: F) {
        while self.slots.len() <= batch {
            let slot = self.slots.len();
            let alarm = Arc::new(Alarm { slot, is_queued: AtomicBool::new(false), woken: Arc::clone(&self.woken) });
            self.slots.push(Slot { future: Box::pin(None), waker: Arc::clone(&alarm).into(), alarm });
        }
        self.slots[batch].future.set(Some(future));
        self.len += 1;
        if !self.slots[batch].alarm.is_queued.swap(true, Ordering::AcqRel) {
            self.woken.lock().0.push_back(batch);
        }
    }

    /// Drops a future, if it is there. Tells whether it was.
    pub(super) fn abort(&mut self, batch: usize) -> bool {
        let Some(slot) = self.slots.get_mut(batch).filter(|slot| slot.future.is_some()) else { return false };
        self.len -= 1;
        slot.future.set(None);
        true
    }

    /// From now on this task is woken, once, when a future is.
    pub(super) fn register(&self, cx: &Context<'_>) {
        if self.woken.lock().1.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            return;
        }
        let task = cx.waker().clone();
        let replaced = self.woken.lock().1.replace(task);
        drop(replaced);
    }

    /// From now on no task is woken.
    pub(super) fn unregister(&self) {
        let task = self.woken.lock().1.take();
        drop(task);
    }
}

impl<F: Future> Flights<F> {
    /// Polls those that were woken until one is ready, or has panicked, and so is gone.
    pub(super) fn poll_next(&mut self) -> Option<(usize, Result<F::Output, Panic>)> {
        if self.len == 0 {
            return None;
        }
        let woken = self.woken.lock().0.len();
        for _ in 0..woken {
            let batch = self.woken.lock().0.pop_front()?;
            let slot = &mut self.slots[batch];
            slot.alarm.is_queued.swap(false, Ordering::AcqRel);
            let Some(future) = slot.future.as_mut().as_pin_mut() else { continue };
            let polled = catch_unwind(AssertUnwindSafe(|| future.poll(&mut Context::from_waker(&slot.waker))));
            let outcome = match polled {
                Ok(Poll::Pending) => continue,
                Ok(Poll::Ready(output)) => Ok(output),
                Err(panic) => Err(panic),
            };
            self.abort(batch);
            return Some((batch, outcome));
        }
        None
    }
}

impl<F> Drop for Flights<F> {
    fn drop(&mut self) {
        self.unregister();
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

    fn registered<F>(flights: &Flights<F>) -> Arc<Task> {
        let task = Arc::new(Task::default());
        flights.register(&Context::from_waker(&Arc::clone(&task).into()));
        task
    }

    type Wakers = Arc<Mutex<Vec<Waker>>>;

    /// Never ready; leaves its waker each time it is polled.
    fn shy(wakers: &Wakers) -> impl Future<Output = ()> + use<> {
        let wakers = Arc::clone(wakers);
        poll_fn(move |cx| {
            wakers.lock().unwrap().push(cx.waker().clone());
            Poll::Pending
        })
    }

    #[test]
    fn w2_many_futures_wake_the_task_once_between_two_looks() {
        let (wakers, mut flights) = (Wakers::default(), Flights::new());
        (0..10).for_each(|batch| flights.push(batch, shy(&wakers)));
        assert!(flights.poll_next().is_none());
        let task = registered(&flights);
        for waker in wakers.lock().unwrap().split_off(0) {
            waker.wake_by_ref();
            waker.wake();
        }
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        assert!(flights.poll_next().is_none());
        assert_eq!(wakers.lock().unwrap().len(), 10, "each is polled once");
    }

    #[test]
    fn a_slot_is_used_again_and_a_late_wake_of_its_last_future_is_harmless() {
        let (wakers, mut flights) = (Wakers::default(), Flights::new());
        flights.push(0, shy(&wakers));
        assert!(flights.poll_next().is_none());
        assert!(flights.abort(0));
        assert!(!flights.abort(0));
        assert_eq!(flights.len(), 0);
        wakers.lock().unwrap().pop().unwrap().wake();
        assert!(flights.poll_next().is_none(), "nobody is there");
        flights.push(0, shy(&wakers));
        assert!(flights.poll_next().is_none());
        assert_eq!((flights.len(), flights.slots.len(), wakers.lock().unwrap().len()), (1, 1, 1));
    }

    #[test]
    fn d5_a_future_that_wakes_itself_is_polled_once_a_look() {
        let mut polls = 0;
        let mut flights = Flights::new();
        flights.push(
            0,
            poll_fn(|cx| {
                polls += 1;
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            }),
        );
        assert!(flights.poll_next().is_none());
        drop(flights);
        assert_eq!(polls, 1);
    }

    #[test]
    fn s8_a_future_that_panics_is_gone_and_the_others_stay() {
        let mut flights: Flights<Pin<Box<dyn Future<Output = u8>>>> = Flights::new();
        flights.push(0, Box::pin(async { panic!("as told") }));
        flights.push(1, Box::pin(async { 7 }));
        flights.push(2, Box::pin(pending()));
        assert!(matches!(flights.poll_next(), Some((0, Err(_)))));
        assert!(matches!(flights.poll_next(), Some((1, Ok(7)))));
        assert!(flights.poll_next().is_none());
        assert_eq!(flights.len(), 1);
    }

    #[test]
    fn t6_a_waker_that_outlives_everything_holds_no_task() {
        let (wakers, mut flights) = (Wakers::default(), Flights::new());
        flights.push(0, shy(&wakers));
        let task = registered(&flights);
        assert!(flights.poll_next().is_none());
        drop(flights);
        assert_eq!(Arc::strong_count(&task), 1);
        wakers.lock().unwrap().pop().unwrap().wake();
        assert_eq!(task.0.load(Ordering::SeqCst), 0);
    }
}
