//! The baseline: how long calls take when none of them queues.

use super::{Quantiles, Window};

/// How long calls took in a window, or take when none waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Baseline {
    /// The mean by Little's law, in seconds.
    residence: f64,
    quantiles: Option<Quantiles>,
    /// By how many seconds those that left were longer in flight than those that are will be.
    behind: f64,
}

/// In a window that is not much longer than the calls in it, those that leave came under the limit before. If there are fewer
/// in flight now than Little's law says for their latencies, those to come will take less.
fn behind(window: &Window) -> f64 {
    let (Some(quantiles), Some(latency)) = (window.quantiles, window.latency) else { return 0.0 };
    let (usual, mean, throughput) = (quantiles.middle(), latency.as_secs_f64(), window.throughput());
    if window.length.as_secs_f64() > 4.0 * usual || mean > 2.5 * usual || mean <= 0.0 || throughput <= 0.0 {
        return 0.0;
    }
    let now = window.calls_in_flight() / throughput;
    usual * (1.0 - (now / mean).min(1.0))
}

impl Baseline {
    /// What a window says; `None` if nothing departed in it.
    pub(super) fn of(window: &Window) -> Option<Self> {
        Some(Self { residence: window.residence()?, quantiles: window.quantiles, behind: behind(window) })
    }

    /// The same of a part that was full as soon as it began: only the first calls met no queue.
    pub(super) fn of_the_first(&self) -> Self {
        Self { quantiles: self.quantiles.map(|quantiles| quantiles.near_the_lowest()), ..*self }
    }

    /// How long a call usually takes, in seconds.
    pub(super) fn usual(&self) -> f64 {
        self.quantiles.map_or(self.residence, |quantiles| quantiles.middle())
    }

    pub(super) const fn residence(&self) -> f64 {
        self.residence
    }

    /// By how many seconds calls were later in a window than this.
    pub(super) fn delay(&self, seen: &Self) -> f64 {
        match (seen.quantiles, self.quantiles) {
            (Some(now), Some(then)) => now.shift_since(&then) - seen.behind,
            // Nothing was answered that says how long calls take.
            (None, Some(_)) => 0.0,
            (_, None) => seen.residence - self.residence,
        }
    }

    /// A part of the way from this to `seen`.
    pub(super) fn towards(&self, seen: &Self, part: f64) -> Self {
        let quantiles = match (self.quantiles, seen.quantiles) {
            (Some(from), Some(to)) => Some(from.towards(&to, part)),
            (from, to) => from.or(to),
        };
        Self { residence: self.residence + part * (seen.residence - self.residence), quantiles, behind: 0.0 }
    }
}
