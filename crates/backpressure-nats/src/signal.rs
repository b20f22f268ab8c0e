//! The pressure of a source: how much of its window is held, and how far behind its consumer is.

use std::time::Duration;

use backpressure_core::{AdmissionMeter, DropReason, Gauge, State};

use crate::clock::now;
use crate::engine::Lag;
use crate::pull::PullCounts;

/// Publishes what happened, in a gauge of its own.
#[derive(Debug)]
pub(crate) struct Signal {
    meter: AdmissionMeter,
    window: usize,
    full_lag: Option<u64>,
    lag: Lag,
    reported: PullCounts,
}

impl Signal {
    pub(crate) fn new(window: usize, full_lag: Option<u64>) -> Self {
        // The meter rounds a large limit down, by less than this.
        let meter = AdmissionMeter::new(window.saturating_add(window >> 13), now);
        Self { meter, window, full_lag, lag: Lag::default(), reported: PullCounts::default() }
    }

    pub(crate) fn gauge(&self) -> Gauge {
        self.meter.gauge()
    }

    pub(crate) const fn seen(&self) -> Lag {
        self.lag
    }

    /// A delivery came, of this age, with so many messages behind it.
    pub(crate) fn came(&mut self, pending: u64, age: Option<Duration>) {
        self.lag.pending = pending;
        self.lag.age = age.or(self.lag.age);
    }

    pub(crate) fn lag(&mut self, lag: Lag) {
        self.lag = Lag { age: lag.age.or(self.lag.age), ..lag };
    }

    /// Brings the gauge up to these counts.
    pub(crate) fn report(&mut self, counts: &PullCounts) {
        let before = std::mem::replace(&mut self.reported, *counts);
        for _ in before.acked..counts.acked {
            self.meter.give_back();
        }
        let lost = |it: &PullCounts| it.naked - it.handed_back + it.termed + it.forgotten;
        for _ in lost(&before)..lost(counts) {
            self.meter.lose(DropReason::Failed);
        }
        // What was settled had come before what came now, so there is a slot for each.
        let came = |it: &PullCounts| it.received - it.handed_back;
        for _ in came(&before)..came(counts) {
            let _ = self.meter.try_take();
        }
        for _ in before.handed_back..counts.handed_back {
            self.meter.rejected();
        }
        let state = self.state(counts.held);
        if self.meter.enter(state) {
            self.meter.notify();
        }
    }

    pub(crate) fn abandon(&self, held: u64, reason: DropReason) {
        for _ in 0..held {
            self.meter.lose(reason);
        }
    }

    /// The worse of the two: the window's, and the lag's.
    fn state(&self, held: u64) -> State {
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let lag = self.full_lag.map_or(0.0, |full| share(self.lag.pending, full));
        match lag.max(share(held, self.window as u64)) {
            share if share < 0.5 => State::Normal,
            share if share < 0.8 => State::Elevated,
            share if share < 1.0 => State::Critical,
            _ => State::Blocked,
        }
    }
}
