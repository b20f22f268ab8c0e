//! The levels that are offered, and those that are admitted.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};

use backpressure_core::AdmissionState;
use backpressure_core::limit::{Criticality, Level, Threshold, reserve};

use crate::overloaded::ShedReason;

/// As many offers as a [`Threshold`] remembers, and the next power of two.
const REMEMBERED: usize = 1024;

/// The levels of the last calls, whatever became of them, and what follows for the next.
///
/// As long as all calls are alike this costs one load a call: nothing is remembered before the first level that is not
/// the default.
pub(crate) struct Levels {
    ring: Box<[AtomicU16; REMEMBERED]>,
    next: AtomicUsize,
    are_used: AtomicBool,
    /// Whether slots are kept for the most important class, which is so while it calls.
    is_reserving: AtomicBool,
    /// Whether it has called since somebody last [asked](Self::has_called).
    has_called: AtomicBool,
    cut: AtomicU16,
    /// The level whose calls leave the last slots to more important ones; a number that is none if they need not.
    distant: AtomicU16,
}

const NONE: u16 = u16::MAX;

impl Levels {
    pub(crate) fn new() -> Self {
        Self {
            ring: Box::new([const { AtomicU16::new(0) }; REMEMBERED]),
            next: AtomicUsize::new(0),
            are_used: AtomicBool::new(false),
            is_reserving: AtomicBool::new(false),
            has_called: AtomicBool::new(false),
            cut: AtomicU16::new(Level::LAST.as_u16()),
            distant: AtomicU16::new(NONE),
        }
    }

    /// Whether all calls have been alike so far.
    #[inline]
    pub(crate) fn are_unused(&self) -> bool {
        !self.are_used.load(Ordering::Relaxed)
    }

    /// Takes note of a call, before it is decided.
    #[inline]
    pub(crate) fn offered(&self, level: Level) {
        if level != Level::default() || !self.are_unused() {
            self.remember(level);
        }
    }

    fn remember(&self, level: Level) {
        self.are_used.store(true, Ordering::Relaxed);
        if is_first_class(level) {
            self.has_called.store(true, Ordering::Relaxed);
            self.is_reserving.store(true, Ordering::Relaxed);
        }
        let slot = self.next.fetch_add(1, Ordering::Relaxed) % REMEMBERED;
        self.ring[slot].store(level.as_u16(), Ordering::Relaxed);
    }

    /// Whether a call of this level may have a slot, if there is one.
    ///
    /// Below 70 % of the limit everybody may; above, those at least as important as the cut, of which those at the cut itself
    /// keep to 85 %, if more important ones call; the last slots are for the most important class, if it calls at all.
    #[inline]
    pub(crate) fn permits(&self, level: Level, seen: AdmissionState) -> Result<(), ShedReason> {
        let is_pressed = seen.in_flight() as u64 * 10 >= seen.limit() as u64 * 7 && !seen.is_draining();
        if is_pressed && level.as_u16() > self.cut.load(Ordering::Relaxed) && !is_first_class(level) {
            return Err(ShedReason::Priority);
        }
        let is_distant = level.as_u16() == self.distant.load(Ordering::Relaxed) && !is_first_class(level);
        if is_distant && is_nearly_full(seen) && !seen.is_draining() {
            return Err(ShedReason::Priority);
        }
        self.permits_in_turn(level, seen)
    }

    /// Whether a call of this level may have a slot if it waits for its turn however long that takes: the cut, which is for
    /// calls that are refused, is not for those.
    #[inline]
    pub(crate) fn permits_in_turn(&self, level: Level, seen: AdmissionState) -> Result<(), ShedReason> {
        let (in_flight, limit) = (seen.in_flight(), seen.limit());
        if seen.is_draining() {
            return Err(ShedReason::Draining);
        }
        let is_reserving = self.is_reserving.load(Ordering::Relaxed);
        if is_reserving && in_flight >= limit - reserve(limit) && !is_first_class(level) {
            return Err(ShedReason::Limit);
        }
        Ok(())
    }

    /// The least important level admitted under pressure from now on, and whether its calls keep a distance to the limit.
    pub(crate) fn cut_at(&self, level: Level, keeps_distance: bool) {
        self.cut.store(level.as_u16(), Ordering::Relaxed);
        self.distant.store(if keeps_distance { level.as_u16() } else { NONE }, Ordering::Relaxed);
    }

    /// Whether the most important class has called since this was last asked.
    pub(crate) fn has_called(&self) -> bool {
        self.has_called.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn stop_reserving(&self) {
        self.is_reserving.store(false, Ordering::Relaxed);
    }

    /// Tells `threshold` of the calls since `cursor`, as far as they are remembered.
    pub(crate) fn tell(&self, threshold: &mut Threshold, cursor: &mut usize) {
        let end = self.next.load(Ordering::Relaxed);
        let news = end.wrapping_sub(*cursor).min(REMEMBERED);
        for slot in (0..news).map(|n| end.wrapping_sub(news - n) % REMEMBERED) {
            let level = Level::from_u16(self.ring[slot].load(Ordering::Relaxed));
            threshold.offered(level.unwrap_or_default());
        }
        *cursor = end;
    }
}

/// Whether the limit is reached, as far as calls that keep a distance to it are concerned: 85 % of it.
#[inline]
pub(crate) fn is_nearly_full(seen: AdmissionState) -> bool {
    seen.in_flight() as u64 * 20 >= seen.limit() as u64 * 17
}

/// Whether slots are kept for calls like this one.
#[inline]
pub(crate) fn is_first_class(level: Level) -> bool {
    level.criticality() == Criticality::CriticalPlus
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Levels")
            .field("cut", &self.cut.load(Ordering::Relaxed))
            .field("is_reserving", &self.is_reserving.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use std::time::Instant;

    use backpressure_core::AdmissionMeter;

    use super::*;

    fn part(limit: usize) -> (Levels, AdmissionMeter) {
        (Levels::new(), AdmissionMeter::new(limit, Instant::now))
    }

    fn admitted(levels: &Levels, signal: &AdmissionMeter, level: impl Into<Level>) -> Result<usize, ShedReason> {
        let level = level.into();
        levels.offered(level);
        let taken = signal.take(ShedReason::Limit, |seen| levels.permits(level, seen));
        taken.map(AdmissionState::in_flight).map_err(|(_, reason)| reason)
    }

    #[test]
    fn the_last_slots_are_kept_only_while_the_first_class_calls() {
        let (levels, signal) = part(10);
        assert_eq!(
            (1..=10).map(|n| admitted(&levels, &signal, Level::default()) == Ok(n)).filter(|&ok| ok).count(),
            10
        );
        for _ in 0..3 {
            signal.give_back();
        }
        levels.offered(Criticality::CriticalPlus.into());
        assert_eq!(admitted(&levels, &signal, Criticality::Critical), Ok(8));
        assert_eq!(admitted(&levels, &signal, Criticality::Critical), Err(ShedReason::Limit));
        assert_eq!(admitted(&levels, &signal, Criticality::CriticalPlus), Ok(9));
        assert!(levels.has_called() && !levels.has_called());
        levels.stop_reserving();
        assert_eq!(admitted(&levels, &signal, Criticality::Critical), Ok(10));
    }

    #[test]
    fn a_limit_of_one_is_for_everybody() {
        let (levels, signal) = part(1);
        levels.offered(Criticality::CriticalPlus.into());
        assert_eq!(admitted(&levels, &signal, Criticality::Sheddable), Ok(1));
    }

    #[test]
    fn the_cut_is_felt_from_seventy_percent_on() {
        let (levels, signal) = part(10);
        levels.cut_at(Criticality::Critical.into(), false);
        (1..=7).for_each(|n| assert_eq!(admitted(&levels, &signal, Criticality::Sheddable), Ok(n)));
        assert_eq!(admitted(&levels, &signal, Criticality::Sheddable), Err(ShedReason::Priority));
        assert_eq!(admitted(&levels, &signal, Criticality::Critical), Ok(8));
    }

    #[test]
    fn calls_at_the_cut_leave_the_last_slots_to_more_important_ones() {
        let (levels, signal) = part(20);
        levels.cut_at(Level::new(Criticality::Critical, 1), true);
        let flooder = Level::new(Criticality::Critical, 1);
        (1..=17).for_each(|n| assert_eq!(admitted(&levels, &signal, flooder), Ok(n)));
        assert_eq!(admitted(&levels, &signal, flooder), Err(ShedReason::Priority));
        (18..=20).for_each(|n| assert_eq!(admitted(&levels, &signal, Criticality::Critical), Ok(n)));
        levels.cut_at(Level::LAST, false);
        signal.give_back();
        assert_eq!(admitted(&levels, &signal, flooder), Ok(20));
    }

    #[test]
    fn what_is_told_is_told_once_and_in_full_up_to_what_is_remembered() {
        let levels = Levels::new();
        let (mut threshold, mut cursor) = (Threshold::new(), 0);
        levels.offered(Level::default());
        levels.tell(&mut threshold, &mut cursor);
        assert_eq!(cursor, 0, "calls that are all alike are not remembered");
        (0..500).for_each(|_| levels.offered(Level::LAST));
        (0..500).for_each(|_| levels.offered(Level::default()));
        levels.tell(&mut threshold, &mut cursor);
        assert_eq!(cursor, 1000);
        assert_eq!(threshold.update(0.4, 1.0, 1.0), Level::default());
        assert_eq!(threshold.update(0.6, 1.0, 1.0), Level::LAST);
        levels.tell(&mut threshold, &mut cursor);
        assert_eq!(threshold.update(0.6, 1.0, 1.0), Level::LAST);
    }
}
