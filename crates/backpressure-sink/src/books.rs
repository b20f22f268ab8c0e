//! The counters of calls in flight.

use backpressure_core::{
    Activity, BackpressureConfig, BoundedBuffer, DropReason, Gauge, Moved, Recorder, Reporter, Tag,
};
use backpressure_rt::{Relay, now};

use crate::wait::Wait;

/// As many slots as there may be calls, one reserved for each that is in flight, and nothing ever queued.
#[derive(Debug)]
pub(crate) struct Books {
    slots: BoundedBuffer<()>,
    recorder: Recorder,
    reporter: Reporter,
    wait: Wait,
    is_stalled: bool,
    concurrency: usize,
}

impl Books {
    pub(crate) fn new(concurrency: usize) -> Self {
        let config = BackpressureConfig::builder().capacity(concurrency).build().unwrap_or_default();
        let mut recorder = Recorder::new(&config, now, true);
        recorder.works(Activity::IDLE);
        Self {
            slots: BoundedBuffer::new(&config),
            reporter: recorder.reporter(),
            recorder,
            wait: Wait::default(),
            is_stalled: false,
            concurrency,
        }
    }

    pub(crate) fn gauge(&self) -> Gauge {
        self.recorder.gauge()
    }

    pub(crate) fn reject(&self) {
        self.reporter.rejected();
    }

    /// A call was made.
    pub(crate) fn dispatch(&mut self) {
        let admitted = self.slots.offer((), Tag::default()).is_accepted() && self.slots.pop().is_some();
        if admitted && self.slots.try_reserve(0) {
            self.publish(Moved::taken(1));
        }
    }

    /// Says whether a call waits for a service that is not ready.
    pub(crate) fn stall(&mut self, stalled: bool) {
        self.recorder.stall(stalled);
        self.is_stalled = stalled;
        self.publish(Moved::NOTHING);
    }

    /// The producer waits until a call can be made.
    pub(crate) fn begin_wait(&mut self) {
        self.wait.begin(&self.reporter);
    }

    /// The producer does not wait any more.
    #[inline]
    pub(crate) fn end_wait(&mut self) {
        self.wait.end(&self.reporter);
    }

    /// A call was answered.
    pub(crate) fn deliver(&mut self) {
        self.reporter.delivered(1);
        self.release();
    }

    /// A call failed.
    pub(crate) fn fail(&mut self) {
        self.lose(DropReason::Failed);
    }

    pub(crate) fn drain(&mut self) {
        self.end_wait();
        if self.recorder.drain() {
            self.reporter.notify();
        }
    }

    fn lose(&mut self, reason: DropReason) {
        self.reporter.lost(reason, 1);
        self.release();
    }

    fn release(&mut self) {
        self.slots.release(0);
        self.publish(Moved::NOTHING);
    }

    fn publish(&mut self, moved: Moved) {
        self.recorder.works(match self.slots.held() {
            0 if self.is_stalled => Activity::BLOCKED,
            calls => Activity::busy(calls, self.concurrency),
        });
        if self.recorder.update(&self.slots, moved) {
            self.reporter.notify();
        }
    }
}

impl Drop for Books {
    fn drop(&mut self) {
        let mut relay = Relay::new();
        while self.slots.held() > 0 {
            relay.call(|| self.lose(DropReason::Closed));
        }
        relay.call(|| self.drain());
        relay.resume();
    }
}
