//! Durations recorded over the whole lifetime, in fixed buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper edges in nanoseconds, from 100 µs to a minute.
const EDGES: [u64; 18] = {
    const US: u64 = 1_000;
    const MS: u64 = 1_000 * US;
    const S: u64 = 1_000 * MS;
    [
        100 * US,
        250 * US,
        500 * US,
        MS,
        2_500 * US,
        5 * MS,
        10 * MS,
        25 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        S,
        2_500 * MS,
        5 * S,
        10 * S,
        30 * S,
        60 * S,
    ]
};

/// How many durations of which length there were, ever: a histogram with fixed buckets.
///
/// Unlike the quantiles of a [`Snapshot`](crate::Snapshot), which tell of the last seconds, it only grows, so that whoever
/// reads it now and then can tell what came between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Durations {
    counts: [u64; EDGES.len() + 1],
    sum: Duration,
}

impl Durations {
    /// The upper edges of all buckets but the last, which has none; in seconds, rising.
    pub const EDGES: [f64; EDGES.len()] = {
        let mut edges = [0.0; EDGES.len()];
        let mut i = 0;
        while i < EDGES.len() {
            edges[i] = EDGES[i] as f64 / 1e9;
            i += 1;
        }
        edges
    };

    /// How many there were in each bucket. A duration that equals an edge is below it.
    pub const fn buckets(&self) -> &[u64; EDGES.len() + 1] {
        &self.counts
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What they add up to.
    pub const fn sum(&self) -> Duration {
        self.sum
    }

    /// Counts one in.
    pub fn record(&mut self, duration: Duration) {
        self.counts[bucket(duration)] += 1;
        self.sum = self.sum.saturating_add(duration);
    }

    /// What came after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            counts: std::array::from_fn(|i| self.counts[i].saturating_sub(earlier.counts[i])),
            sum: self.sum.saturating_sub(earlier.sum),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            counts: std::array::from_fn(|i| self.counts[i].saturating_add(other.counts[i])),
            sum: self.sum.saturating_add(other.sum),
        }
    }
}

fn bucket(duration: Duration) -> usize {
    let nanos = nanos(duration);
    EDGES.partition_point(|&edge| edge < nanos)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The same, for many threads.
#[derive(Debug)]
pub(crate) struct DurationCells {
    counts: [AtomicU64; EDGES.len() + 1],
    sum: AtomicU64,
}

impl Default for DurationCells {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self { counts: std::array::from_fn(|_| zero()), sum: zero() }
    }
}

impl DurationCells {
    pub(crate) fn record(&self, duration: Duration) {
        self.counts[bucket(duration)].fetch_add(1, Ordering::Relaxed);
        let more = |sum: u64| Some(sum.saturating_add(nanos(duration)));
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    pub(crate) fn read(&self) -> Durations {
        Durations {
            counts: std::array::from_fn(|i| self.counts[i].load(Ordering::Relaxed)),
            sum: Duration::from_nanos(self.sum.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_whose_edge_it_does_not_exceed() {
        let mut durations = Durations::default();
        for (nanos, bucket) in [(0, 0), (100_000, 0), (100_001, 1), (60_000_000_000, 17), (60_000_000_001, 18)] {
            let before = durations;
            durations.record(Duration::from_nanos(nanos));
            assert_eq!(durations.since(&before).buckets()[bucket], 1, "{nanos} ns");
        }
        durations.record(Duration::MAX);
        assert_eq!((durations.buckets()[18], durations.count()), (2, 6));
    }

    #[test]
    fn edges_rise_and_are_in_seconds() {
        assert!(Durations::EDGES.is_sorted_by(|a, b| a < b));
        assert_eq!((Durations::EDGES[3], Durations::EDGES[12]), (0.001, 1.0));
    }

    #[test]
    fn cells_count_as_the_plain_ones_do() {
        let (cells, mut plain) = (DurationCells::default(), Durations::default());
        for duration in [Duration::ZERO, Duration::from_millis(3), Duration::from_secs(100)] {
            cells.record(duration);
            plain.record(duration);
        }
        assert_eq!(cells.read(), plain);
        cells.record(Duration::MAX);
        cells.record(Duration::MAX);
        assert_eq!(cells.read().sum(), Duration::from_nanos(u64::MAX), "d6: it stops at the top");
    }
}
