//! Hand-driven polls, wakers that count, and hooks that remember.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use backpressure_channel::{Receiver, Sender, Sent, SinkError, channel};
use backpressure_core::{BackpressureConfig, BackpressureConfigBuilder, Counts, DropReason, Gauge, Strategy};
use futures_sink::Sink;

/// A waker that counts how often it is woken, and knows how many of its clones are still around.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wakes(Arc<Counter>);

#[derive(Debug, Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    /// Clones of the waker that somebody keeps.
    pub(crate) fn kept(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }

    pub(crate) fn poll<F: Future + ?Sized>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker()))
    }

    /// Calls a `poll_*` function.
    pub(crate) fn run<R>(&self, poll: impl FnOnce(&mut Context<'_>) -> R) -> R {
        poll(&mut Context::from_waker(&self.waker()))
    }
}

/// A future that is polled by hand, with a waker of its own.
#[derive(Debug)]
pub(crate) struct Task<F> {
    future: Pin<Box<F>>,
    pub(crate) wakes: Wakes,
}

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future: Box::pin(future), wakes: Wakes::default() }
    }

    /// A future that is polled once, and is pending.
    #[track_caller]
    pub(crate) fn pending(future: F) -> Self {
        let mut task = Self::new(future);
        assert!(task.poll().is_pending());
        task
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        self.wakes.poll(self.future.as_mut())
    }

    pub(crate) fn poll_by(&mut self, waker: &Waker) -> Poll<F::Output> {
        self.future.as_mut().poll(&mut Context::from_waker(waker))
    }

    pub(crate) fn poll_with(&mut self, wakes: &Wakes) -> Poll<F::Output> {
        wakes.poll(self.future.as_mut())
    }

    #[track_caller]
    pub(crate) fn finish(mut self) -> F::Output {
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("still pending"),
        }
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.wakes.count() > 0
    }
}

/// Resolves a future that has no reason to wait.
#[track_caller]
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    Task::new(future).finish()
}

/// The `Sink` methods of a sender, without the pinning.
pub(crate) trait SinkPolls<T> {
    fn ready(&mut self, wakes: &Wakes) -> Poll<Result<(), SinkError<T>>>;
    fn start(&mut self, item: T) -> Result<(), SinkError<T>>;
    fn flush(&mut self, wakes: &Wakes) -> Poll<Result<(), SinkError<T>>>;
    fn close(&mut self, wakes: &Wakes) -> Poll<Result<(), SinkError<T>>>;
}

impl<T> SinkPolls<T> for Sender<T> {
    fn ready(&mut self, wakes: &Wakes) -> Poll<Result<(), SinkError<T>>> {
        wakes.run(|cx| Pin::new(self).poll_ready(cx))
    }

    fn start(&mut self, item: T) -> Result<(), SinkError<T>> {
        Pin::new(self).start_send(item)
    }

    fn flush(&mut self, wakes: &Wakes) -> Poll<Result<(), SinkError<T>>> {
        wakes.run(|cx| Pin::new(self).poll_flush(cx))
    }

    fn close(&mut self, wakes: &Wakes) -> Poll<Result<(), SinkError<T>>> {
        wakes.run(|cx| Pin::new(self).poll_close(cx))
    }
}

pub(crate) const READY: Poll<Result<(), SinkError<u32>>> = Poll::Ready(Ok(()));

/// Where the drop hook puts what it is given.
#[derive(Debug)]
pub(crate) struct Losses<T>(Arc<Mutex<Vec<(T, DropReason)>>>);

impl<T> Losses<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn push(&self, item: T, reason: DropReason) {
        self.0.lock().expect("no test panics here").push((item, reason));
    }

    pub(crate) fn take(&self) -> Vec<(T, DropReason)> {
        std::mem::take(&mut self.0.lock().expect("no test panics here"))
    }
}

impl<T: Send + 'static> Losses<T> {
    pub(crate) fn hook(&self) -> impl Fn(T, DropReason) + Send + Sync + 'static {
        let losses = self.clone();
        move |item, reason| losses.push(item, reason)
    }
}

impl<T> Clone for Losses<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Every strategy; `Block` without a longest wait, so that no timer is involved.
pub(crate) const STRATEGIES: [Strategy; 6] = [
    Strategy::block_forever(),
    Strategy::DropOldest,
    Strategy::DropNewest,
    Strategy::Sample { one_in: 3 },
    Strategy::Reject,
    Strategy::DropLowest,
];

pub(crate) fn config(capacity: usize, strategy: Strategy) -> BackpressureConfigBuilder {
    BackpressureConfig::builder().capacity(capacity).strategy(strategy)
}

#[track_caller]
pub(crate) fn built(config: BackpressureConfigBuilder) -> BackpressureConfig {
    config.build().expect("a valid configuration")
}

/// A channel with this capacity and strategy.
pub(crate) fn open<T>(capacity: usize, strategy: Strategy) -> (Sender<T>, Receiver<T>) {
    channel(built(config(capacity, strategy)))
}

/// A channel that blocks for as long as it takes.
pub(crate) fn blocking<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    open(capacity, Strategy::block_forever())
}

/// Sends items into a channel that has room for them.
#[track_caller]
pub(crate) fn fill<T>(tx: &Sender<T>, items: impl IntoIterator<Item = T>) {
    for item in items {
        let sent = tx.try_send(item);
        assert!(matches!(sent, Ok(Sent::Accepted)), "{sent:?}");
    }
}

/// Runs a test that would not come to an end if user code were called under a lock.
pub(crate) fn finishes(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _done = done;
        test();
    });
    let waited = finished.recv_timeout(Duration::from_secs(30));
    assert_ne!(waited, Err(mpsc::RecvTimeoutError::Timeout), "a deadlock");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// For an answer that does not matter here.
pub(crate) fn ignore<T>(_answer: T) {}

/// Everything that is queued.
pub(crate) fn drained<T>(rx: &mut Receiver<T>) -> Vec<T> {
    let mut items = Vec::new();
    rx.try_recv_many(&mut items, usize::MAX, usize::MAX);
    items
}

/// The counts, which balance.
#[track_caller]
pub(crate) fn balanced(gauge: &Gauge) -> Counts {
    let counts = gauge.snapshot().counts;
    assert!(counts.balances(), "{counts:?}");
    counts
}
