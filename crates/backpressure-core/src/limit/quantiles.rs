//! Quantiles of latencies, and how far they have shifted.

use std::time::Duration;

/// The latencies that 10, 30, 50, 70 and 90 % of the calls stay below.
///
/// A mean says little about calls that differ by nature: a few more of the long ones, by chance, and it doubles. Most of the
/// quantiles do not notice. A queue that all calls go through, on the other hand, shifts every one of them by the same time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles([f64; Self::COUNT]);

impl Quantiles {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// The quantiles in seconds of `latencies`, which are sorted on the way; `None` without any.
    pub(crate) fn of(latencies: &mut [f32]) -> Option<Self> {
        latencies.sort_unstable_by(f32::total_cmp);
        let last = latencies.len().checked_sub(1)?;
        let at = |tenths: usize| {
            let exact = tenths as f64 / 10.0 * last as f64;
            let (low, share) = (exact as usize, exact.fract());
            let [low, high] = [low, (low + 1).min(last)].map(|at| f64::from(latencies[at]));
            low + share * (high - low)
        };
        Some(Self([at(1), at(3), at(5), at(7), at(9)]))
    }

    /// The time that half of the calls stay below.
    pub fn median(&self) -> Duration {
        Duration::from_secs_f64(if self.middle() < 1e9 { self.middle().max(0.0) } else { 1e9 })
    }

    pub(crate) const fn middle(&self) -> f64 {
        self.0[Self::COUNT / 2]
    }

    /// By how many seconds most of them are later than in `before`: the median of the five shifts.
    ///
    /// Where calls are of two kinds, the quantile at the border between them jumps from one to the other by chance. The
    /// four others do not, so neither does the median.
    pub(crate) fn shift_since(&self, before: &Self) -> f64 {
        let mut shifts: [f64; Self::COUNT] = std::array::from_fn(|at| self.0[at] - before.0[at]);
        shifts.sort_unstable_by(f64::total_cmp);
        shifts[Self::COUNT / 2]
    }

    /// The same with none of them more than twice the lowest.
    pub(crate) fn near_the_lowest(&self) -> Self {
        Self(self.0.map(|quantile| quantile.min(2.0 * self.0[0])))
    }

    /// A part of the way from these to `others`.
    pub(crate) fn towards(&self, others: &Self, part: f64) -> Self {
        Self(std::array::from_fn(|at| self.0[at] + part * (others.0[at] - self.0[at])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(latencies: &[f32]) -> Quantiles {
        Quantiles::of(&mut latencies.to_vec()).unwrap()
    }

    #[test]
    fn they_are_read_off_the_sorted_latencies() {
        assert_eq!(Quantiles::of(&mut []), None);
        assert_eq!(of(&[3.0]), Quantiles([3.0; 5]));
        assert_eq!(of(&[4.0, 0.0, 1.0, 3.0, 2.0, 5.0, 10.0, 9.0, 8.0, 7.0, 6.0]), Quantiles([1.0, 3.0, 5.0, 7.0, 9.0]));
        assert_eq!(of(&[1.0, 2.0]).middle(), 1.5);
        assert_eq!(of(&[f32::INFINITY]).median(), Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn a_few_more_long_calls_are_no_shift_and_a_queue_is_one() {
        let mixed = |long: usize, queue: f32| {
            let latencies: Vec<_> = (0..100).map(|n| queue + if n < long { 0.5 } else { 0.005 }).collect();
            of(&latencies)
        };
        let usual = mixed(20, 0.0);
        assert_eq!([5, 12, 35].map(|long| mixed(long, 0.0).shift_since(&usual)), [0.0; 3]);
        assert!((mixed(35, 0.02).shift_since(&usual) - 0.02).abs() < 1e-6);
    }
}
