//! What the worker does with its time, told when it changes.

use backpressure_core::{Activity, Reporter};

/// What was told last, and what has come up since.
#[derive(Debug, Default)]
pub(crate) struct Does {
    told: Option<Activity>,
    /// Whether a batch waits for the service to become ready.
    stands: bool,
}

impl Does {
    /// A batch found the service not ready.
    pub(crate) fn stand(&mut self) {
        self.stands = true;
    }

    pub(crate) const fn stands(&self) -> bool {
        self.stands
    }

    /// Until the next turn it is busy with the flushes in flight, and blocked if there are none and something `waits` all the
    /// same, for the service or for a retry.
    pub(crate) fn tell(&mut self, reporter: &Reporter, flushes: usize, concurrency: usize, waits: bool) {
        self.stands = false;
        let activity = if flushes == 0 && waits { Activity::BLOCKED } else { Activity::busy(flushes, concurrency) };
        if self.told != Some(activity) {
            self.told = Some(activity);
            reporter.works(activity);
        }
    }
}
