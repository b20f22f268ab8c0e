//! Failures, and whether they are a reason to lower the limit.

use super::Window;

/// Tells the overloads that fewer calls in flight would mend from those that have another reason.
#[derive(Debug, Clone)]
pub(super) struct Failures {
    /// The share of departures that fails whatever the limit is.
    usual: f64,
    /// The share that failed when the limit was first cut for it, and the limit before that.
    cut: Option<(f64, f64)>,
    cuts: u32,
}

impl Failures {
    /// The share of departures up to which overloads are accidents.
    const ACCIDENTS: f64 = 0.05;
    /// The share from which on there is nobody to keep the door open for.
    const ALL: f64 = 0.98;
    /// So many cuts must have made a difference.
    const IN_VAIN: u32 = 3;

    pub(super) const fn new() -> Self {
        Self { usual: 0.0, cut: None, cuts: 0 }
    }

    /// The limit that follows from the failures of a window; `None` if nothing does.
    ///
    /// `is_slow` says whether calls take longer than they should. Where they do not, a share of the calls that fails has met a
    /// dependency that is dead rather than a part that is overloaded, unless nearly all of them fail.
    pub(super) fn next(&mut self, window: &Window, limit: f64, is_slow: bool) -> Option<f64> {
        let share = window.overloads as f64 / window.departures.max(1) as f64;
        let is_accident = share <= self.usual + Self::ACCIDENTS;
        if is_accident || !(is_slow || share > 0.8) {
            self.cut = None;
            self.cuts = 0;
            self.usual += 0.1 * (share - self.usual).min(0.0);
            return None;
        }
        let (before, from) = *self.cut.get_or_insert((share, limit));
        if self.cuts >= Self::IN_VAIN && share > 0.9 * before && share < Self::ALL {
            (self.usual, self.cut, self.cuts) = (share, None, 0);
            return Some(from);
        }
        self.cuts += 1;
        Some(0.7 * limit)
    }
}
