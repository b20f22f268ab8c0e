//! The time a producer waits for room.

use std::time::Instant;

use backpressure_core::Reporter;
use backpressure_rt::now;

/// When the producer of a sink, which has one, began to wait.
#[derive(Debug, Default)]
pub(crate) struct Wait {
    since: Option<Instant>,
}

impl Wait {
    /// The producer waits, from now on if it did not before.
    pub(crate) fn begin(&mut self, reporter: &Reporter) {
        if self.since.is_none() {
            self.since = Some(now());
            reporter.producer_waits();
        }
    }

    /// The producer does not wait any more, for whatever reason.
    #[inline]
    pub(crate) fn end(&mut self, reporter: &Reporter) {
        if let Some(since) = self.since.take() {
            record(since, reporter);
        }
    }
}

#[inline(never)]
fn record(since: Instant, reporter: &Reporter) {
    let now = now();
    reporter.producer_waited();
    reporter.producer_wait(now, now.saturating_duration_since(since));
}
