//! Rates from counters: how fast they grew over about the last second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use backpressure::Counts;

const WINDOW: Duration = Duration::from_secs(1);

/// Items a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Rates {
    pub(crate) received: f64,
    pub(crate) delivered: f64,
    pub(crate) lost: f64,
}

/// The counters of about the last second.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    seen: VecDeque<(Instant, [u64; 3])>,
}

impl Meter {
    /// Takes note of the counters at `now` and says how fast they grow.
    pub(crate) fn rates(&mut self, now: Instant, counts: &Counts) -> Rates {
        self.seen.push_back((now, [counts.received, counts.delivered, lost(counts)]));
        while self.seen.get(1).is_some_and(|&(then, _)| now.saturating_duration_since(then) >= WINDOW) {
            self.seen.pop_front();
        }
        let (then, before) = self.seen[0];
        let seconds = now.saturating_duration_since(then).as_secs_f64();
        if seconds == 0.0 {
            return Rates::default();
        }
        let rate = |after: u64, before: u64| after.saturating_sub(before) as f64 / seconds;
        Rates {
            received: rate(counts.received, before[0]),
            delivered: rate(counts.delivered, before[1]),
            lost: rate(lost(counts), before[2]),
        }
    }
}

/// Items lost for whatever reason.
pub(crate) fn lost(counts: &Counts) -> u64 {
    counts.dropped() + counts.evicted() + counts.failed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(received: u64, delivered: u64) -> Counts {
        let mut counts = Counts::default();
        counts.received = received;
        counts.delivered = delivered;
        counts
    }

    #[test]
    fn a_rate_is_that_of_the_last_second() {
        let start = Instant::now();
        let mut meter = Meter::default();
        assert_eq!(meter.rates(start, &counts(50, 0)), Rates::default());
        for tenth in 1..=10 {
            meter.rates(start + Duration::from_millis(100 * tenth), &counts(50 + 100 * tenth, 0));
        }
        let faster = (11..=20).map(|tenth| (tenth, 1050 + 200 * (tenth - 10)));
        let last = faster
            .map(|(tenth, received)| meter.rates(start + Duration::from_millis(100 * tenth), &counts(received, 7)));
        let last = last.last().unwrap();
        assert_eq!((last.received.round(), last.delivered, last.lost), (2000.0, 7.0, 0.0));
        assert!(meter.seen.len() <= 12, "only about a second is kept");
    }
}
