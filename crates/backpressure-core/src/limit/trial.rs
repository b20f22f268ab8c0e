//! The trial whether more calls in flight mean more throughput.

use std::time::{Duration, Instant};

use super::Window;
use super::baseline::Baseline;

/// What a window was like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) in_flight: f64,
    pub(super) throughput: f64,
    /// How long calls usually took, in seconds.
    usual: f64,
}

/// A trial of a higher limit: are calls just longer than they were, or do they wait?
///
/// Seen from outside both are the same: the limit is reached, and what comes out is no more than before. With half as much
/// again in flight they are told apart. If nothing waits, half as much again is done, and it takes no longer.
#[derive(Debug, Clone, Default)]
pub(super) struct Trials {
    /// The limit to go back to, and what the part did under it, while one is under way.
    current: Option<(f64, Load)>,
    rest_until: Option<Instant>,
}

impl Load {
    pub(super) fn of(window: &Window, seen: &Baseline) -> Self {
        Self { in_flight: window.calls_in_flight(), throughput: window.throughput(), usual: seen.usual() }
    }

    /// Whether there is more in flight `now`, by at least this share, that takes longer and makes no difference to what is
    /// done.
    pub(super) fn is_enough(&self, now: &Self, more: f64) -> bool {
        let grown = now.in_flight / self.in_flight - 1.0;
        grown > more && !self.is_no_slower(now, grown) && now.throughput < self.throughput * (1.0 + 0.6 * grown)
    }

    /// Whether calls take no longer `now`, but for a part of what a queue would make of `grown` as many more.
    fn is_no_slower(&self, now: &Self, grown: f64) -> bool {
        now.usual <= self.usual * (1.0 + 0.4 * grown)
    }
}

impl Trials {
    pub(super) const STEP: f64 = 1.5;
    /// So long after one that failed there is no other.
    const REST: Duration = Duration::from_secs(10);

    /// Begins one, unless the last has just failed. Answers the limit.
    pub(super) fn begin(&mut self, window: &Window, limit: f64, before: Load) -> Option<f64> {
        if self.rest_until.is_some_and(|until| window.end < until) {
            return None;
        }
        self.current = Some((limit, before));
        Some(Self::STEP * limit)
    }

    pub(super) fn give_up(&mut self) {
        self.current = None;
    }

    /// Ends the one that is under way. `Ok` says that there was no queue, `Err` which limit to go back to.
    ///
    /// `unevenness` is by how much departures are off by chance, as a multiple of their square root.
    pub(super) fn judge(&mut self, window: &Window, now: &Load, unevenness: f64) -> Option<Result<(), f64>> {
        let (limit, before) = self.current.take()?;
        let grown = now.in_flight / before.in_flight - 1.0;
        let noise = 2.0 * unevenness * (window.departures as f64).sqrt() / window.length.as_secs_f64();
        let gain = now.throughput - before.throughput;
        let (much, all) = (0.6 * grown * before.throughput, grown * before.throughput);
        if grown > 0.2 && gain > noise && (gain > all || gain > much && before.is_no_slower(now, grown)) {
            return Some(Ok(()));
        }
        self.rest_until = window.end.checked_add(Self::REST);
        Some(Err(limit))
    }
}
