//! Parts of every kind, about which everything is known.

use std::time::{Duration, Instant};

use backpressure_core::limit::{Level, Outcome};
use backpressure_core::{
    BackpressureConfig, BoundedBuffer, FlushReason, Flushed, Gauge, Moved, Recorder, Reporter, Tag, Work,
};
use backpressure_metrics::Registry;
use backpressure_tower::{RetryBudget, ShedLayer, ThrottleLayer};

pub(crate) struct Queue {
    pub(crate) recorder: Recorder,
    pub(crate) buffer: BoundedBuffer<()>,
    pub(crate) reporter: Reporter,
}

impl Queue {
    pub(crate) fn new() -> Self {
        let config = BackpressureConfig::builder().capacity(10).max_weight(100).build().unwrap();
        let recorder = Recorder::new(&config, Instant::now, true);
        Self { buffer: BoundedBuffer::new(&config), reporter: recorder.reporter(), recorder }
    }

    pub(crate) fn gauge(&self) -> Gauge {
        self.recorder.gauge()
    }

    /// An item comes, and nothing else happens.
    pub(crate) fn offer(&mut self) {
        assert!(self.buffer.offer((), Tag::default()).is_accepted());
        let _ = self.recorder.update(&self.buffer, Moved::NOTHING);
    }

    /// A flush of one item takes so long.
    pub(crate) fn flush(&self, ms: u64) {
        let latency = Duration::from_millis(ms);
        self.reporter.flushed(Flushed { at: Instant::now(), latency, items: 1, reason: FlushReason::Full });
    }
}

/// A registry with one part of each kind, and the parts.
pub(crate) fn of_every_kind() -> (Registry, impl Sized) {
    let registry = Registry::new();
    let mut queue = Queue::new();
    queue.reporter.works(Work::Busy);
    queue.gauge().snapshot();
    queue.offer();
    queue.flush(20);
    queue.reporter.paced(Duration::from_millis(100), 8);
    queue.reporter.producer_wait(Instant::now(), Duration::from_millis(20));
    let shed = ShedLayer::fixed(4).unwrap();
    shed.handle().set_shadow(true);
    shed.handle().gauge().snapshot();
    shed.handle().limiter().try_admit(Level::default()).expect("a slot").finish(Outcome::Success);
    let (throttle, budget) = (ThrottleLayer::new(), RetryBudget::default());
    let front = registry.add("front", shed.handle()).unwrap();
    let db = registry.add("db", queue.gauge()).unwrap();
    registry.link(&front, &db).unwrap();
    registry.add("throttle", throttle.clone()).unwrap();
    registry.add("budget", budget.clone()).unwrap();
    (registry, (queue, shed, throttle, budget))
}
