//! Futures in flight, polled in place, each only when it was woken.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::relay::{Panic, guarded};

/// Futures that one task polls in place, each only when it was woken.
///
/// Each has a slot, whose number is for its owner to choose; small ones are best. A slot that was left is used again, with its
/// memory and its waker, so that at a steady concurrency nothing is allocated.
pub struct InFlight<F> {
    slots: Vec<Slot<F>>,
    len: usize,
    woken: Arc<Woken>,
}

struct Slot<F> {
    future: Pin<Box<Option<F>>>,
    slot_waker: Arc<SlotWaker>,
    waker: Waker,
}

/// Which slots are to be polled, and the task that does it.
#[derive(Default)]
struct Woken {
    state: Mutex<(VecDeque<usize>, Option<Waker>)>,
}

/// Wakes a slot, and with it the task. One that outlives its future costs whoever has the slot next a poll.
struct SlotWaker {
    slot: usize,
    is_queued: AtomicBool,
    woken: Arc<Woken>,
}

impl<F> InFlight<F> {
    /// Nothing is in flight.
    pub fn new() -> Self {
        Self { slots: Vec::new(), len: 0, woken: Arc::default() }
    }

    /// How many futures there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes in a future, which is to be [polled](Self::poll) or [queued](Self::queue) at once. The slot must be free.
    pub fn insert(&mut self, slot: usize, future: F) {
        while self.slots.len() <= slot {
            let slot = self.slots.len();
            let slot_waker =
                Arc::new(SlotWaker { slot, is_queued: AtomicBool::new(false), woken: Arc::clone(&self.woken) });
            self.slots.push(Slot { future: Box::pin(None), waker: Arc::clone(&slot_waker).into(), slot_waker });
        }
        self.slots[slot].future.set(Some(future));
        self.len += 1;
    }

    /// Counts a future as woken. The task is not: whoever queues it polls.
    pub fn queue(&mut self, slot: usize) {
        // AcqRel: pairs with the swap in `next_woken`, as in `wake_by_ref`.
        if self.slots.get(slot).is_some_and(|slot| !slot.slot_waker.is_queued.swap(true, Ordering::AcqRel)) {
            self.woken.lock().0.push_back(slot);
        }
    }

    /// Drops a future, if it is there. Tells whether it was. If its `Drop` panics it is gone all the same, and nobody else is
    /// concerned.
    pub fn abort(&mut self, slot: usize) -> bool {
        let Some(slot) = self.slots.get_mut(slot).filter(|slot| slot.future.is_some()) else { return false };
        self.len -= 1;
        if let Err(panic) = guarded(|| slot.future.set(None)) {
            // What it carries is the user's, too, and may panic where it is dropped.
            std::mem::forget(panic);
        }
        true
    }

    /// From now on this task is woken, once, when a future is; at once if one has been. Without any future, no task is.
    pub fn register(&mut self, cx: &Context<'_>) {
        if self.len == 0 {
            return self.unregister();
        }
        let task = cx.waker().clone();
        let mut woken = self.woken.lock();
        if woken.0.is_empty() {
            let replaced = woken.1.replace(task);
            drop(woken);
            drop(replaced);
        } else {
            drop(woken);
            task.wake();
        }
    }

    /// From now on no task is woken.
    pub fn unregister(&mut self) {
        let task = self.woken.lock().1.take();
        drop(task);
    }

    /// The slot that was woken first, which is to be [polled](Self::poll). Its future may be gone.
    pub fn next_woken(&mut self) -> Option<usize> {
        let slot = self.woken.lock().0.pop_front()?;
        // AcqRel: pairs with the swap in `wake_by_ref`. A wake from here on queues the slot again, and the poll sees all that
        // was done before an earlier one.
        self.slots[slot].slot_waker.is_queued.swap(false, Ordering::AcqRel);
        Some(slot)
    }
}

impl<F: Future> InFlight<F> {
    /// Polls those that were woken until one is ready, or has panicked, and so is gone. One that is woken meanwhile is left for
    /// the next look.
    pub fn poll_next(&mut self) -> Option<(usize, Result<F::Output, Panic>)> {
        if self.len == 0 {
            return None;
        }
        let woken = self.woken.lock().0.len();
        for _ in 0..woken {
            let slot = self.next_woken()?;
            if let Some(outcome) = self.poll(slot) {
                return Some((slot, outcome));
            }
        }
        None
    }

    /// Polls one, if it is there. When it is ready, or has panicked, it is gone.
    pub fn poll(&mut self, slot: usize) -> Option<Result<F::Output, Panic>> {
        let Slot { future, waker, .. } = self.slots.get_mut(slot)?;
        let future = future.as_mut().as_pin_mut()?;
        let outcome = match guarded(|| future.poll(&mut Context::from_waker(waker))) {
            Ok(Poll::Pending) => return None,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        self.abort(slot);
        Some(outcome)
    }
}

impl<F> Default for InFlight<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> fmt::Debug for InFlight<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<F> Drop for InFlight<F> {
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

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // AcqRel: pairs with the swap in `next_woken`.
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

    fn registered<F>(in_flight: &mut InFlight<F>) -> Arc<Task> {
        let task = Arc::new(Task::default());
        in_flight.register(&Context::from_waker(&Arc::clone(&task).into()));
        task
    }

    fn start<F: Future>(in_flight: &mut InFlight<F>, slot: usize, future: F) -> Option<Result<F::Output, Panic>> {
        in_flight.insert(slot, future);
        in_flight.poll(slot)
    }

    type Wakers = Arc<Mutex<Vec<Waker>>>;

    /// Never ready; leaves its waker each time it is polled.
    fn held(wakers: &Wakers) -> impl Future<Output = ()> + use<> {
        let wakers = Arc::clone(wakers);
        poll_fn(move |cx| {
            wakers.lock().unwrap().push(cx.waker().clone());
            Poll::Pending
        })
    }

    #[test]
    fn w2_many_futures_wake_the_task_once_between_two_looks() {
        let (wakers, mut in_flight) = (Wakers::default(), InFlight::new());
        (0..10).for_each(|slot| assert!(start(&mut in_flight, slot, held(&wakers)).is_none()));
        let task = registered(&mut in_flight);
        for waker in wakers.lock().unwrap().split_off(0) {
            waker.wake_by_ref();
            waker.wake();
        }
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        assert!(in_flight.poll_next().is_none());
        assert_eq!(wakers.lock().unwrap().len(), 10, "each is polled once");
    }

    #[test]
    fn w6_a_task_that_registers_after_a_future_was_woken_is_woken_at_once() {
        let (wakers, mut in_flight) = (Wakers::default(), InFlight::new());
        assert!(start(&mut in_flight, 0, held(&wakers)).is_none());
        wakers.lock().unwrap().pop().unwrap().wake();
        let task = registered(&mut in_flight);
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        assert!(in_flight.poll_next().is_none());
        assert_eq!(Arc::strong_count(&task), 1, "it is not woken twice");
    }

    #[test]
    fn w1_the_latest_task_is_woken_and_none_when_nothing_is_in_flight() {
        let (wakers, mut in_flight) = (Wakers::default(), InFlight::new());
        assert!(start(&mut in_flight, 0, held(&wakers)).is_none());
        let (before, latest) = (registered(&mut in_flight), registered(&mut in_flight));
        wakers.lock().unwrap().pop().unwrap().wake();
        assert_eq!([before, latest].map(|task| task.0.load(Ordering::SeqCst)), [0, 1]);
        assert!(in_flight.poll_next().is_none());
        let idle = registered(&mut in_flight);
        in_flight.abort(0);
        in_flight.register(&Context::from_waker(&Arc::clone(&idle).into()));
        assert_eq!(Arc::strong_count(&idle), 1);
        wakers.lock().unwrap().pop().unwrap().wake();
        assert_eq!(idle.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_slot_is_used_again_and_a_late_wake_of_its_last_future_costs_a_poll() {
        let (wakers, mut in_flight) = (Wakers::default(), InFlight::new());
        assert!(start(&mut in_flight, 0, held(&wakers)).is_none());
        assert!(in_flight.abort(0));
        assert!(!in_flight.abort(0));
        assert_eq!(in_flight.len(), 0);
        wakers.lock().unwrap().pop().unwrap().wake();
        assert!(in_flight.poll_next().is_none(), "nobody is there");
        assert!(start(&mut in_flight, 0, held(&wakers)).is_none());
        let task = registered(&mut in_flight);
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        assert!(in_flight.poll_next().is_none());
        assert_eq!((in_flight.len(), in_flight.slots.len(), wakers.lock().unwrap().len()), (1, 1, 2));
        let task = registered(&mut in_flight);
        wakers.lock().unwrap().pop().unwrap().wake();
        assert_eq!(task.0.load(Ordering::SeqCst), 1, "its own wake is not taken for the late one");
    }

    #[test]
    fn what_is_queued_is_polled_once_and_wakes_nobody() {
        let (wakers, mut in_flight) = (Wakers::default(), InFlight::new());
        in_flight.insert(0, held(&wakers));
        in_flight.queue(0);
        in_flight.queue(0);
        assert_eq!((in_flight.next_woken(), in_flight.next_woken()), (Some(0), None));
        assert!(in_flight.poll(0).is_none());
        let task = registered(&mut in_flight);
        in_flight.queue(0);
        assert_eq!((task.0.load(Ordering::SeqCst), in_flight.next_woken()), (0, Some(0)));
    }

    #[test]
    fn d5_a_future_that_wakes_itself_is_polled_once_a_look() {
        let polls = AtomicUsize::new(0);
        let mut in_flight = InFlight::new();
        let restless = poll_fn(|cx| {
            polls.fetch_add(1, Ordering::SeqCst);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(start(&mut in_flight, 0, restless).is_none());
        for looks in 1..4 {
            assert_eq!(polls.load(Ordering::SeqCst), looks);
            let task = registered(&mut in_flight);
            assert_eq!(task.0.load(Ordering::SeqCst), 1);
            assert!(in_flight.poll_next().is_none());
        }
    }

    #[test]
    fn s8_a_future_that_panics_is_gone_and_the_others_stay() {
        let mut in_flight: InFlight<Pin<Box<dyn Future<Output = u8>>>> = InFlight::new();
        assert!(matches!(start(&mut in_flight, 0, Box::pin(async { panic!("as told") })), Some(Err(_))));
        assert!(matches!(start(&mut in_flight, 1, Box::pin(async { 7 })), Some(Ok(7))));
        assert!(start(&mut in_flight, 2, Box::pin(pending())).is_none());
        assert!(in_flight.poll_next().is_none() && in_flight.poll(0).is_none());
        assert_eq!(in_flight.len(), 1);
    }

    #[test]
    fn s8_a_future_whose_drop_panics_is_gone_and_its_answer_is_not_lost() {
        struct Panics(bool);
        impl Future for Panics {
            type Output = u8;
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u8> {
                if self.0 { Poll::Ready(7) } else { Poll::Pending }
            }
        }
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("as told");
            }
        }
        let mut in_flight = InFlight::new();
        assert!(matches!(start(&mut in_flight, 0, Panics(true)), Some(Ok(7))));
        assert!(start(&mut in_flight, 1, Panics(false)).is_none());
        assert!(in_flight.abort(1) && !in_flight.abort(1) && !in_flight.abort(0));
        assert!(in_flight.is_empty());
    }

    #[test]
    fn t6_a_waker_that_outlives_everything_holds_no_task() {
        let (wakers, mut in_flight) = (Wakers::default(), InFlight::new());
        assert!(start(&mut in_flight, 0, held(&wakers)).is_none());
        let task = registered(&mut in_flight);
        drop(in_flight);
        assert_eq!(Arc::strong_count(&task), 1);
        wakers.lock().unwrap().pop().unwrap().wake();
        assert_eq!(task.0.load(Ordering::SeqCst), 0);
    }
}
