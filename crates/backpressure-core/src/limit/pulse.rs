//! The throughput of a part, while its limit is reached and while it is not.

use super::Window;

/// The throughput of a part, evened out over some windows.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    /// Departures per second while the limit is felt.
    pub(super) throughput: f64,
    /// The same while it is not.
    calm: f64,
    /// For so many windows it has been felt.
    felt_for: u32,
    /// For so many windows it was not felt, the last time.
    calm_for: u32,
    /// By how much the departures of a window are off, as a multiple of their square root.
    pub(super) unevenness: f64,
}

impl Pulse {
    /// How uneven departures are that have nothing to do with each other.
    const AT_RANDOM: f64 = 0.8;

    pub(super) const fn new() -> Self {
        Self { throughput: 0.0, calm: 0.0, felt_for: 0, calm_for: 0, unevenness: Self::AT_RANDOM }
    }

    /// Learns from a window. Answers by which share the throughput is off in any window, if it is that of a part that is busy
    /// all the time and was so before.
    pub(super) fn learn(&mut self, window: &Window) -> Option<f64> {
        if !window.saturated {
            self.calm_for = if self.felt_for > 0 { 1 } else { self.calm_for.saturating_add(1) };
            self.felt_for = 0;
            self.calm += if self.calm > 0.0 { 0.3 } else { 1.0 } * (window.throughput() - self.calm);
            return None;
        }
        self.felt_for = self.felt_for.saturating_add(1);
        if self.throughput <= 0.0 {
            self.throughput = window.throughput();
            return None;
        }
        let expected = self.throughput * window.length.as_secs_f64();
        let off = (window.departures as f64 - expected).abs() / expected.sqrt();
        self.unevenness += 0.05 * (off.min(4.0) - self.unevenness);
        self.throughput += 0.3 * (window.throughput() - self.throughput);
        Some(self.unevenness / expected.sqrt())
    }

    /// Whether the limit is felt after it was not for long.
    pub(super) const fn is_sudden(&self) -> bool {
        self.felt_for <= 4 && self.calm_for >= 10
    }

    /// Whether so much is hardly more than what was done before.
    pub(super) fn is_no_more(&self, throughput: f64) -> bool {
        throughput < 1.1 * self.calm
    }

    /// Whether a part that does so much could do more, as far as is known.
    pub(super) fn has_room(&self, throughput: f64) -> bool {
        self.throughput <= 0.0 || throughput < 0.8 * self.throughput
    }
}
