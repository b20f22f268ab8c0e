//! How fast a consumer drains, while it has something to drain.

use std::time::{Duration, Instant};

/// An exponentially weighted average over windows of at least a given length, with a half-life of that length.
#[derive(Debug, Clone)]
pub(super) struct DrainRate {
    window: Duration,
    since: Option<Instant>,
    drained: u64,
    /// Whether the consumer waited for items in this window.
    is_dry: bool,
    per_second: Option<f64>,
}

impl DrainRate {
    pub(super) const fn new(window: Duration) -> Self {
        Self { window, since: None, drained: 0, is_dry: false, per_second: None }
    }

    pub(super) const fn set_window(&mut self, window: Duration) {
        self.window = window;
    }

    pub(super) const fn per_second(&self) -> Option<f64> {
        self.per_second
    }

    #[inline]
    pub(super) const fn count(&mut self, items: usize) {
        self.drained = self.drained.saturating_add(items as u64);
    }

    #[inline]
    pub(super) const fn ran_dry(&mut self) {
        self.is_dry = true;
    }

    /// Whether a window is complete at `now`: then it has been learned from, and the next begins. A clock that goes back
    /// only prolongs it.
    pub(super) fn observe(&mut self, now: Instant, queued: usize) -> bool {
        let Some(since) = self.since else {
            self.begin(now, queued);
            return false;
        };
        let passed = now.saturating_duration_since(since);
        if passed < self.window {
            return false;
        }
        self.learn(self.drained as f64 / passed.as_secs_f64(), passed);
        self.begin(now, queued);
        true
    }

    fn begin(&mut self, now: Instant, queued: usize) {
        (self.since, self.drained, self.is_dry) = (Some(now), 0, queued == 0);
    }

    fn learn(&mut self, sample: f64, passed: Duration) {
        let before = self.per_second.unwrap_or(0.0);
        if self.is_dry && sample <= before {
            return;
        }
        let weight = match self.per_second {
            None => 1.0,
            Some(_) => 1.0 - (-passed.as_secs_f64() / self.window.as_secs_f64()).exp2(),
        };
        self.per_second = Some(before + weight * (sample - before));
    }
}
