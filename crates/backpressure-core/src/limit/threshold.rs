//! The threshold: how important a call must be to be admitted.

use super::Level;

/// How many of the last offered calls are remembered.
const REMEMBERED: usize = 1000;

/// Below this utilization everybody is admitted.
const PRESSED: f64 = 0.7;

/// Admits the important calls and wastes nothing: the threshold follows from how much more is offered than fits.
///
/// If a share `r` of what is offered has to go, those to go are the least important `r` of the last 1000 calls that
/// were offered. With `c` the capacity and `o` the offered rate, `r = max(0, 1 − c/o)`. Calls *at* the level where the
/// cut falls are admitted: who is the last to fit is left to the limit. So the threshold by itself never refuses more
/// than it has to, and calls that are all alike are not touched by it.
///
/// The most important level that is offered always passes, even where nothing at all fits: without a probe nobody would
/// notice that things are better.
///
/// ```
/// use backpressure_core::limit::{Criticality, Threshold};
///
/// let mut threshold = Threshold::new();
/// for _ in 0..500 {
///     threshold.offered(Criticality::Critical.into());
///     threshold.offered(Criticality::Sheddable.into());
/// }
/// threshold.update(700.0, 1000.0, 1.0); // 300 of 1000 do not fit: some of the sheddable ones
/// assert!(threshold.admits(Criticality::Sheddable.into()));
/// threshold.update(400.0, 1000.0, 1.0); // 600 of 1000 do not: all of the sheddable ones
/// assert!(!threshold.admits(Criticality::Sheddable.into()));
/// ```
#[derive(Debug, Clone)]
pub struct Threshold {
    recent: Box<[Level; REMEMBERED]>,
    counts: Box<[u16; Level::COUNT]>,
    next: usize,
    len: usize,
    last: Level,
    /// Whether more is offered than fits.
    is_over: bool,
}

impl Threshold {
    /// A threshold that admits everybody and has seen nobody.
    pub fn new() -> Self {
        Self {
            recent: Box::new([Level::LAST; REMEMBERED]),
            counts: Box::new([0; Level::COUNT]),
            next: 0,
            len: 0,
            last: Level::LAST,
            is_over: false,
        }
    }

    /// Takes note of a call of that `level`, whether it was admitted or not.
    #[inline]
    pub fn offered(&mut self, level: Level) {
        let forgotten = std::mem::replace(&mut self.recent[self.next], level);
        if self.len == REMEMBERED {
            self.counts[usize::from(forgotten.as_u16())] -= 1;
        } else {
            self.len += 1;
        }
        self.counts[usize::from(level.as_u16())] += 1;
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// Moves the threshold once per window, and answers the least important level that is admitted from now on.
    ///
    /// `capacity` and `offered` are calls per second: those that departed, and those that came. Below a `utilization`
    /// of 0.7 everybody is admitted, whatever the rates say.
    pub fn update(&mut self, capacity: f64, offered: f64, utilization: f64) -> Level {
        let excess = if utilization < PRESSED { 0.0 } else { 1.0 - capacity.max(0.0) / offered };
        self.is_over = excess > 0.0;
        self.last = if self.is_over { self.cut(excess.min(1.0)) } else { Level::LAST };
        self.last
    }

    /// Whether a call of that `level` may try to enter.
    #[inline]
    pub fn admits(&self, level: Level) -> bool {
        level <= self.last
    }

    /// Whether calls at [`level`](Threshold::level), where the cut falls, should leave the last slots to others: not all calls
    /// fit, and more important ones have been offered lately.
    pub fn keeps_distance(&self) -> bool {
        self.is_over && self.counts[..usize::from(self.last.as_u16())].iter().any(|&offered| offered > 0)
    }

    /// The least important level that is admitted.
    pub const fn level(&self) -> Level {
        self.last
    }

    /// The most important level below which no more than `excess` of the calls are, and that somebody offers.
    fn cut(&self, excess: f64) -> Level {
        let refusable = excess * self.len as f64;
        let mut refused = 0.0;
        let mut cut = Level::LAST;
        for level in (0..Level::COUNT as u16).rev().filter_map(Level::from_u16) {
            let offered = self.counts[usize::from(level.as_u16())];
            if offered == 0 {
                continue;
            }
            cut = level;
            refused += f64::from(offered);
            if refused > refusable {
                break;
            }
        }
        cut
    }
}

impl Default for Threshold {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limit::Criticality::{Critical, CriticalPlus, Sheddable};

    fn after(levels: &[Level]) -> Threshold {
        let mut threshold = Threshold::new();
        levels.iter().for_each(|&level| threshold.offered(level));
        threshold
    }

    #[test]
    fn everybody_is_admitted_while_there_is_room() {
        let mut threshold = after(&[Level::FIRST, Level::LAST]);
        for (capacity, offered, utilization) in
            [(10.0, 10.0, 1.0), (10.0, 9.0, 1.0), (1.0, 10.0, 0.69), (0.0, 0.0, 1.0), (f64::NAN, f64::NAN, f64::NAN)]
        {
            assert_eq!(threshold.update(capacity, offered, utilization), Level::LAST, "{capacity} of {offered}");
        }
        assert_eq!(threshold.update(1.0, 10.0, 0.7), Level::FIRST);
        assert_eq!(threshold.update(10.0, 10.0, 1.0), Level::LAST, "and again afterwards");
    }

    #[test]
    fn h3_the_most_important_level_that_is_offered_passes_even_when_nothing_fits() {
        let mut threshold = after(&[Sheddable.into(); 10]);
        assert_eq!(threshold.update(0.0, 1000.0, 1.0), Sheddable.into());
        threshold.offered(Critical.into());
        assert_eq!(threshold.update(0.0, 1000.0, 1.0), Critical.into());
        assert!(threshold.admits(CriticalPlus.into()), "those who come later, too");
    }

    #[test]
    fn calls_that_are_all_alike_are_left_to_the_limit() {
        let mut threshold = after(&[Level::default(); 3000]);
        threshold.update(100.0, 1000.0, 1.0);
        assert!(threshold.admits(Level::default()));
    }

    #[test]
    fn calls_at_the_cut_keep_a_distance_only_from_more_important_ones_and_only_while_not_all_fit() {
        let mut threshold = after(&[Sheddable.into(); 100]);
        threshold.update(100.0, 1000.0, 1.0);
        assert!(!threshold.keeps_distance(), "all are alike");
        threshold.offered(Critical.into());
        threshold.update(900.0, 1000.0, 1.0);
        assert!(threshold.level() == Sheddable.into() && threshold.keeps_distance());
        threshold.update(1000.0, 1000.0, 1.0);
        assert!(!threshold.keeps_distance());
    }

    #[test]
    fn only_the_last_thousand_count() {
        let mut threshold = after(&[Level::LAST; 5000]);
        (0..1000).for_each(|_| threshold.offered(Level::FIRST));
        assert_eq!(threshold.update(500.0, 1000.0, 1.0), Level::FIRST);
        assert_eq!(threshold.counts.iter().map(|&n| usize::from(n)).sum::<usize>(), REMEMBERED);
    }

    proptest! {
        #[test]
        fn the_cut_is_the_quantile_of_the_sorted_levels(
            offered in prop::collection::vec(0u16..512, 1..1500),
            excess in 0.001f64..1.0,
        ) {
            let levels: Vec<_> = offered.into_iter().filter_map(Level::from_u16).collect();
            let mut threshold = after(&levels);
            let cut = threshold.update(1.0 - excess, 1.0, 1.0);

            let mut recent = levels[levels.len().saturating_sub(REMEMBERED)..].to_vec();
            recent.sort_unstable();
            let share = 1.0 - (1.0 - excess);
            let refusable = (share * recent.len() as f64) as usize;
            let expected = recent[(recent.len() - 1).saturating_sub(refusable)];
            prop_assert_eq!(cut, expected);
            let refused = recent.iter().filter(|&&level| !threshold.admits(level)).count();
            prop_assert!(refused <= refusable);
        }
    }
}
