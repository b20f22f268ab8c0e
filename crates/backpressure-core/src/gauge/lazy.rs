//! Latencies that take no room before the first.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::histogram::RecentLatencies;

/// [`RecentLatencies`], allocated when the first is recorded: most channels never see a producer wait, nor a flush.
#[derive(Debug, Default)]
pub(super) struct LazyLatencies {
    recent: OnceLock<Box<RecentLatencies>>,
}

impl LazyLatencies {
    pub(super) fn record(&self, now: Instant, latency: Duration) {
        self.recent.get_or_init(Box::default).record(now, latency);
    }

    /// These quantiles of what was recorded in the ten to twenty seconds before `now`.
    pub(super) fn quantiles<const N: usize>(&self, now: Instant, qs: [f64; N]) -> [Option<Duration>; N] {
        let recent = self.recent.get();
        if let Some(recent) = recent {
            recent.advance(now);
        }
        qs.map(|q| recent?.quantile(q))
    }
}
