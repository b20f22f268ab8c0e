//! A service driven by hand, and wakers that count.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use backpressure_tower::{Overloaded, ShedError};
use tower::Service;

pub(crate) type Answer = Result<u32, ShedError<&'static str>>;

/// Counts how often it is woken.
#[derive(Default)]
pub(crate) struct Task(AtomicUsize);

impl Task {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Arc::clone(self).into()
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

pub(crate) fn poll_by<F: Future + ?Sized>(task: &Arc<Task>, future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&task.waker()))
}

pub(crate) fn is_ready<Req>(service: &mut impl Service<Req>) -> bool {
    let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(!matches!(ready, Poll::Ready(Err(_))), "poll_ready is no place to shed");
    ready.is_ready()
}

pub(crate) fn is_ready_by<Req>(task: &Arc<Task>, service: &mut impl Service<Req>) -> bool {
    service.poll_ready(&mut Context::from_waker(&task.waker())).is_ready()
}

/// A call to a service that is ready.
pub(crate) fn call<S: Service<u32>>(service: &mut S) -> Pin<Box<S::Future>> {
    assert!(is_ready(service));
    Box::pin(service.call(7))
}

pub(crate) fn refusal<T: std::fmt::Debug, E: std::fmt::Debug>(
    answer: Poll<Result<T, ShedError<E>>>,
) -> Option<Overloaded> {
    match answer {
        Poll::Ready(Err(ShedError::Overloaded(overloaded))) => Some(overloaded),
        _ => None,
    }
}

/// A service whose calls are answered by hand. Only the value that was ready may be called, once.
pub(crate) struct Desk {
    shared: Arc<Shared>,
    is_ready: bool,
}

#[derive(Default)]
struct Shared {
    calls: Mutex<VecDeque<Arc<Mutex<Slot>>>>,
    made: AtomicUsize,
}

#[derive(Default)]
struct Slot {
    answer: Option<Result<u32, &'static str>>,
    panics: bool,
    is_dropped: bool,
    waker: Option<Waker>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { shared: Arc::default(), is_ready: false }
    }

    /// A view of the same desk, which is not the one that gets ready.
    pub(crate) fn view(&self) -> Self {
        self.clone()
    }

    /// Calls that were made.
    pub(crate) fn made(&self) -> usize {
        self.shared.made.load(Ordering::SeqCst)
    }

    /// Calls that are neither answered nor dropped.
    pub(crate) fn open(&self) -> usize {
        self.calls().iter().filter(|slot| !slot.lock().unwrap().is_dropped).count()
    }

    /// Answers the oldest open call.
    pub(crate) fn answer(&self, answer: Result<u32, &'static str>) {
        self.settle(|slot| slot.answer = Some(answer));
    }

    /// Answers the newest open call.
    pub(crate) fn answer_newest(&self, answer: Result<u32, &'static str>) {
        let newest = self.calls().pop_back().expect("an open call");
        self.calls().push_front(newest);
        self.answer(answer);
    }

    /// The oldest open call panics when it is polled next.
    pub(crate) fn panic(&self) {
        self.settle(|slot| slot.panics = true);
    }

    fn settle(&self, settle: impl FnOnce(&mut Slot)) {
        let next = std::iter::from_fn(|| self.calls().pop_front()).find(|slot| !slot.lock().unwrap().is_dropped);
        let next = next.expect("an open call");
        let mut slot = next.lock().unwrap();
        settle(&mut slot);
        let waker = slot.waker.take();
        drop(slot);
        waker.into_iter().for_each(Waker::wake);
    }

    fn calls(&self) -> MutexGuard<'_, VecDeque<Arc<Mutex<Slot>>>> {
        self.shared.calls.lock().unwrap()
    }
}

impl Clone for Desk {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), is_ready: false }
    }
}

impl Service<u32> for Desk {
    type Response = u32;
    type Error = &'static str;
    type Future = Call;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u32) -> Call {
        assert!(std::mem::take(&mut self.is_ready), "called without having been ready");
        let slot = Arc::default();
        self.calls().push_back(Arc::clone(&slot));
        self.shared.made.fetch_add(1, Ordering::SeqCst);
        Call(slot)
    }
}

pub(crate) struct Call(Arc<Mutex<Slot>>);

impl Future for Call {
    type Output = Result<u32, &'static str>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.lock().unwrap();
        if slot.panics {
            drop(slot);
            panic!("the service panics");
        }
        slot.waker = Some(cx.waker().clone());
        slot.answer.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.lock().unwrap().is_dropped = true;
    }
}
