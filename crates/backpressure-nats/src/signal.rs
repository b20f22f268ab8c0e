//! The pressure of a source: how much of its window is held, and how far behind its consumer is.

use std::time::{Duration, Instant};

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
    /// When the newest delivery came, which tells how many messages are left.
    came: Option<Instant>,
    reported: PullCounts,
}

impl Signal {
    pub(crate) fn new(window: usize, full_lag: Option<u64>) -> Self {
        // The meter rounds a large limit down, by less than this.
        let meter = AdmissionMeter::new(window.saturating_add(window >> 13), now);
        Self { meter, window, full_lag, lag: Lag::default(), came: None, reported: PullCounts::default() }
    }

    pub(crate) fn gauge(&self) -> Gauge {
        self.meter.gauge()
    }

    pub(crate) const fn seen(&self) -> Lag {
        self.lag
    }

    /// A delivery came, of this age, with so many messages behind it.
    pub(crate) fn came(&mut self, now: Instant, pending: u64, age: Option<Duration>) {
        self.came = Some(now);
        self.lag.pending = pending;
        self.lag.age = age.or(self.lag.age);
    }

    /// The server's answer to a question of this time. What came since knows better how many messages are left.
    pub(crate) fn lag(&mut self, lag: Lag, asked: Instant) {
        let is_older = self.came.is_some_and(|came| asked <= came);
        let pending = if is_older { self.lag.pending } else { lag.pending };
        self.lag = Lag { pending, age: lag.age.or(self.lag.age), ..lag };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_before_a_delivery_does_not_say_how_many_messages_are_left() {
        let mut signal = Signal::new(8, Some(50));
        let asked = now();
        signal.came(asked + Duration::from_millis(1), 92, None);
        signal.lag(Lag { pending: 100, ack_pending: 3, ..Lag::default() }, asked);
        assert_eq!((signal.seen().pending, signal.seen().ack_pending), (92, 3));
        signal.lag(Lag { pending: 60, ..Lag::default() }, asked + Duration::from_millis(2));
        assert_eq!(signal.seen().pending, 60, "other workers took some");
    }
}
