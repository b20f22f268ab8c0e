//! A buffer with its instruments, a clock that is set by hand, and wakers that count.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use backpressure_core::{
    BackpressureConfig, BackpressureConfigBuilder, BoundedBuffer, Gauge, Moved, Recorder, Reporter, Tag,
};

thread_local! {
    static START: Instant = Instant::now();
    static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static READS: Cell<usize> = const { Cell::new(0) };
}

/// The clock of a [`Part`]: this thread's, set by [`set_clock`].
pub(crate) fn clock() -> Instant {
    READS.set(READS.get() + 1);
    START.with(|start| *start) + ELAPSED.get()
}

/// Sets the clock to so long after its start.
pub(crate) fn set_clock(elapsed: Duration) {
    ELAPSED.set(elapsed);
}

/// How often the clock was read on this thread.
pub(crate) fn clock_reads() -> usize {
    READS.get()
}

pub(crate) struct Part {
    pub(crate) buffer: BoundedBuffer<u32>,
    pub(crate) recorder: Recorder,
    pub(crate) reporter: Reporter,
    pub(crate) gauge: Gauge,
}

impl Part {
    pub(crate) fn new(builder: BackpressureConfigBuilder, tracked: bool) -> Self {
        let config = builder.build().unwrap();
        let recorder = Recorder::new(&config, clock, tracked);
        Self { buffer: BoundedBuffer::new(&config), reporter: recorder.reporter(), gauge: recorder.gauge(), recorder }
    }

    pub(crate) fn of(capacity: usize) -> Self {
        Self::new(BackpressureConfig::builder().capacity(capacity), false)
    }

    /// Puts `items` in or takes some out, one by one, until so many are queued. Notifies on every edge.
    pub(crate) fn hold(&mut self, items: usize) {
        while self.buffer.len() < items {
            assert!(self.buffer.offer(0, Tag::default()).is_accepted());
            self.publish(Moved::NOTHING);
        }
        while self.buffer.len() > items {
            self.buffer.pop();
            self.publish(Moved::taken(1));
        }
    }

    pub(crate) fn publish(&mut self, moved: Moved) {
        if self.recorder.update(&self.buffer, moved) {
            self.reporter.notify();
        }
    }

    pub(crate) fn drain(&mut self) {
        if self.recorder.drain() {
            self.reporter.notify();
        }
    }
}

/// Counts its wakes.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}
