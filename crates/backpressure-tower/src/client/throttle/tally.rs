//! What became of the calls, for whoever watches: written under the lock of the rule, read without it.

use std::sync::atomic::{AtomicU64, Ordering};

use backpressure_core::{Family, Metric, Reading};

static REJECTION: Family = Family::gauge(
    "backpressure.throttle.rejection",
    "1",
    "The probability with which the last call that was decided about was held back.",
);
static CALLS: Family =
    Family::counter("backpressure.throttle.calls", "{call}", "Calls, by what became of them.").by("outcome");

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Accepted,
    Refused,
    /// It was not made.
    Throttled,
}

impl Outcome {
    const ALL: [(Self, &str); 3] =
        [(Self::Accepted, "accepted"), (Self::Refused, "refused"), (Self::Throttled, "throttled")];
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: [AtomicU64; Outcome::ALL.len()],
    rejection: AtomicU64,
}

impl Tally {
    /// For whoever has the lock of the rule.
    pub(super) fn count(&self, outcome: Outcome) {
        let calls = &self.calls[outcome as usize];
        calls.store(calls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(super) fn decided(&self, rejection: f64) {
        self.rejection.store(rejection.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Reading {
        let rejection = f64::from_bits(self.rejection.load(Ordering::Relaxed));
        let calls = Outcome::ALL.map(|(outcome, name)| {
            Metric::count(&CALLS, self.calls[outcome as usize].load(Ordering::Relaxed)).with(name)
        });
        calls.into_iter().fold(Reading::default().with(Metric::number(&REJECTION, rejection)), Reading::with)
    }
}
