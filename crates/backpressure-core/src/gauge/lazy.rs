//! Latency histograms that are allocated on first use.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::histogram::RecentLatencies;
use crate::metric::{DurationCells, Durations};

/// Latencies of the last seconds, for quantiles, and of all time, for whoever reads now and then. Allocated when the first is
/// recorded: most channels never see a producer wait, nor a flush.
#[derive(Debug, Default)]
pub(super) struct LazyLatencies {
    kept: OnceLock<Box<Latencies>>,
}

#[derive(Debug, Default)]
struct Latencies {
    recent: RecentLatencies,
    ever: DurationCells,
}

impl LazyLatencies {
    pub(super) fn record(&self, now: Instant, latency: Duration) {
        let kept = self.kept.get_or_init(Box::default);
        kept.recent.record(now, latency);
        kept.ever.record(latency);
    }

    /// These quantiles of what was recorded in the ten to twenty seconds before `now`.
    pub(super) fn quantiles<const N: usize>(&self, now: Instant, qs: [f64; N]) -> [Option<Duration>; N] {
        let recent = self.kept.get().map(|kept| &kept.recent);
        if let Some(recent) = recent {
            recent.advance(now);
        }
        qs.map(|q| recent?.quantile(q))
    }

    /// All that was recorded; `None` before the first.
    pub(super) fn ever(&self) -> Option<Box<Durations>> {
        self.kept.get().map(|kept| Box::new(kept.ever.read()))
    }
}
