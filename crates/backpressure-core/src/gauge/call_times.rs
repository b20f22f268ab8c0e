//! How long calls take, where they are admitted.

use std::time::{Duration, Instant};

use super::lazy::LazyLatencies;
use crate::metric::Durations;

/// How long calls took from their slot to their answer, of those that were timed since the first snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CallTimes {
    /// Median of the last ten to twenty seconds.
    pub p50: Option<Duration>,
    /// 99th percentile of the same.
    pub p99: Option<Duration>,
    /// How long all of them took.
    pub durations: Durations,
}

impl CallTimes {
    /// `None` if there were none.
    pub(super) fn of(latencies: &LazyLatencies, now: Instant) -> Option<Box<Self>> {
        let durations = *latencies.ever()?;
        let [p50, p99] = latencies.quantiles(now, [0.5, 0.99]);
        Some(Box::new(Self { p50, p99, durations }))
    }

    /// Of two parts: the worst of the quantiles, all of the rest.
    pub(super) fn merge(&self, other: &Self) -> Self {
        Self {
            p50: self.p50.max(other.p50),
            p99: self.p99.max(other.p99),
            durations: self.durations.plus(&other.durations),
        }
    }

    /// These, after those of an earlier part, whose recent past is over.
    pub(super) fn continuing(&self, earlier: &Self) -> Self {
        Self { durations: self.durations.plus(&earlier.durations), ..self.clone() }
    }
}
