//! A part whose numbers the test makes up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backpressure_core::{Durations, Instrument, Reading, Snapshot, State, WorkTimes};

/// A handle: clones are the same part.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    reading: Arc<Mutex<Reading>>,
}

impl Made {
    pub(crate) fn new() -> Self {
        let made = Self::default();
        made.change(|snapshot| {
            snapshot.capacity = 10;
            snapshot.work = Some(WorkTimes::default());
        });
        made
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        change(reading.snapshot.get_or_insert_default());
    }

    /// So many more items come and go.
    pub(crate) fn pass(&self, items: u64) {
        self.change(|snapshot| {
            snapshot.counts.received += items;
            snapshot.counts.delivered += items;
        });
    }

    /// It spends this time blocked, which is a state as well, or busy, or idle.
    pub(crate) fn spend(&self, [idle, busy, blocked]: [u64; 3]) {
        self.change(|snapshot| {
            let work = snapshot.work.get_or_insert_default();
            work.idle += Duration::from_millis(idle);
            work.busy += Duration::from_millis(busy);
            work.blocked += Duration::from_millis(blocked);
            snapshot.state = if blocked > busy + idle { State::Blocked } else { State::Normal };
            snapshot.utilization = if blocked > busy + idle { 1.0 } else { 0.25 };
        });
    }

    /// A flush took so long.
    pub(crate) fn flush(&self, millis: u64) {
        self.change(|snapshot| {
            let durations: &mut Box<Durations> = snapshot.flush.durations.get_or_insert_default();
            durations.record(Duration::from_millis(millis));
        });
    }

    pub(crate) fn end(&self) {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
    }
}

impl Instrument for Made {
    fn read(&self) -> Reading {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
