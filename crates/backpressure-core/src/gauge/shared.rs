//! The state shared by recorder, reporters and gauges.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backpressure_rt::sync::{AtomicBool, Mutex};

use super::age::AgeMarks;
use super::calls::Calls;
use super::clock::Clock;
use super::fill::Fill;
use super::flushes::FlushCells;
use super::lazy::LazyLatencies;
use super::times::StateTimes;
use super::watchers::Watchers;
use super::work::WorkCells;
use crate::config::BackpressureConfig;
use crate::ledger::Ledger;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) ledger: Ledger,
    pub(crate) fill: Fill,
    pub(crate) times: StateTimes,
    pub(crate) watchers: Watchers,
    pub(super) age: Mutex<AgeMarks>,
    pub(crate) work: WorkCells,
    /// Whether whoever fed these instruments is gone.
    pub(crate) ended: AtomicBool,
    pub(super) waits: LazyLatencies,
    pub(super) flushes: FlushCells,
    pub(super) call_times: LazyLatencies,
    pub(crate) clock: Clock,
    /// In a part without a buffer, the calls that the ledger knows nothing of.
    calls: Option<Arc<dyn Calls>>,
}

impl Shared {
    pub(crate) fn new(config: &BackpressureConfig, clock: Clock, tracked: bool) -> Self {
        Self {
            ledger: Ledger::new(tracked),
            fill: Fill::new(config),
            times: StateTimes::new(clock()),
            watchers: Watchers::new(),
            age: Mutex::new(AgeMarks::default()),
            work: WorkCells::new(clock, None),
            ended: AtomicBool::new(false),
            waits: LazyLatencies::default(),
            flushes: FlushCells::new(),
            call_times: LazyLatencies::default(),
            clock,
            calls: None,
        }
    }

    /// These instruments for a part without a buffer.
    pub(crate) fn counting(self, calls: Arc<dyn Calls>) -> Self {
        let work = WorkCells::new(self.clock, Some(Arc::clone(&calls)));
        Self { calls: Some(calls), work, ..self }
    }

    /// A call took so long. Before the first snapshot nobody asks.
    pub(crate) fn call_took(&self, now: Instant, latency: Duration) {
        if self.times.has_started() {
            self.call_times.record(now, latency);
        }
    }

    /// What the calls say, where there are any.
    pub(super) fn calls(&self) -> Option<&dyn Calls> {
        self.calls.as_deref()
    }

    pub(super) fn utilization(&self) -> f64 {
        match self.calls() {
            Some(calls) => calls.utilization(),
            None => self.fill.bounds.read(|bounds| self.fill.utilization(bounds, &self.ledger.handed)),
        }
    }
}
