//! The admission word: in flight, limit, how many were ever admitted, and what a departure must look at, changed together
//! or not at all.

use std::fmt;

use backpressure_rt::sync::{AtomicU64, Ordering};

use super::packed::{self, pack, unpack};

/// ```text
///  63 ······· 54  53        52       51 ····· 33  32 ····· 0
///  admitted       draining  waiting  limit        in flight
/// ```
///
/// There is room for 2³² calls in flight. A limit takes fewer bits than such a number has: a large one is
/// [rounded down](pack).
///
/// Whoever admits compares and swaps all of it, so a limit that shrinks is obeyed by the very next admission, and a slot
/// that comes free cannot be missed by a caller that announces that it waits: every change is a read-modify-write of this
/// one word, and those have one order.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Word {
    bits: AtomicU64,
    /// How many [runs](RUN) of admissions are complete, as far as it has been noted.
    runs: AtomicU64,
}

/// What the admission word of a [`AdmissionMeter`](super::AdmissionMeter) said at one instant.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AdmissionState(u64);

/// One bit more than the largest limit needs, which is a power of two.
const IN_FLIGHT: u32 = 33;
const COUNT: u64 = (1 << IN_FLIGHT) - 1;
const LIMIT: u64 = ((1 << packed::BITS) - 1) << IN_FLIGHT;
const WAITING: u64 = 1 << (IN_FLIGHT + packed::BITS);
const DRAINING: u64 = WAITING << 1;
const ADMITTED: u32 = IN_FLIGHT + packed::BITS + 2;

/// One more in flight, and one more admitted. The count of admissions overflows off the top.
const ONE: u64 = 1 + (1 << ADMITTED);

/// So many admissions are noted outside the word, by the one that completes them.
const RUN: u64 = 16;

/// So many runs the word can count itself. No more than this may be complete and not yet noted: it takes as many threads that
/// are all stopped between the two.
const RUNS: u64 = (1 << (u64::BITS - ADMITTED)) / RUN;

impl AdmissionState {
    /// The largest limit there is room for: 2³² calls in flight, or [`usize::MAX`] where that is less.
    pub const MOST: usize = packed::MOST;

    /// Calls in flight. More than the limit while one that has shrunk has not been drained to.
    #[inline]
    pub const fn in_flight(self) -> usize {
        (self.0 & COUNT) as usize
    }

    /// Most calls in flight, from 1 to [`MOST`](Self::MOST). One of 262 144 or more has been rounded down, by less than 1
    /// in 16 384.
    #[inline]
    pub const fn limit(self) -> usize {
        unpack((self.0 & LIMIT) >> IN_FLIGHT)
    }

    /// Whether somebody waits for a slot.
    #[inline]
    pub const fn has_waiters(self) -> bool {
        self.0 & WAITING != 0
    }

    /// Whether nothing is admitted any more.
    #[inline]
    pub const fn is_draining(self) -> bool {
        self.0 & DRAINING != 0
    }

    /// The lowest bits of the number of calls that were ever admitted: they tell one call in a power of two, up to 2¹⁰.
    #[inline]
    pub const fn admitted_bits(self) -> u64 {
        self.0 >> ADMITTED
    }
}

impl Word {
    pub(super) fn new(limit: usize) -> Self {
        Self { bits: AtomicU64::new(limit_bits(limit)), runs: AtomicU64::new(0) }
    }

    #[inline]
    pub(super) fn load(&self) -> AdmissionState {
        // Acquire: pairs with all changes of the word.
        AdmissionState(self.bits.load(Ordering::Acquire))
    }

    pub(super) fn fence(&self) -> AdmissionState {
        // AcqRel: a change that changes nothing, so that it has a place among the others: either this sees them, or they see what was
        // done before this.
        AdmissionState(self.bits.fetch_add(0, Ordering::AcqRel))
    }

    /// Takes a slot if there is one, and neither of the flags is up.
    #[inline]
    pub(super) fn try_take(&self) -> Option<AdmissionState> {
        // Acquire: pairs with the changes of the word, for what `permits` and the caller conclude from it.
        let mut seen = self.bits.load(Ordering::Acquire);
        loop {
            let slots = AdmissionState(seen);
            if seen & (WAITING | DRAINING) != 0 || slots.in_flight() >= slots.limit() {
                return None;
            }
            match self.add_one(seen) {
                Ok(taken) => return Some(taken),
                Err(now) => seen = now,
            }
        }
    }

    #[inline]
    pub(super) fn take<E>(
        &self,
        full: E,
        permits: impl Fn(AdmissionState) -> Result<(), E>,
    ) -> Result<AdmissionState, (AdmissionState, E)> {
        // Acquire: pairs with the changes of the word, for what `permits` and the caller conclude from it.
        let mut seen = self.bits.load(Ordering::Acquire);
        loop {
            let slots = AdmissionState(seen);
            permits(slots).map_err(|error| (slots, error))?;
            if slots.in_flight() >= slots.limit() {
                return Err((slots, full));
            }
            match self.add_one(seen) {
                Ok(taken) => return Ok(taken),
                Err(now) => seen = now,
            }
        }
    }

    /// One call gives its slot to another, unless `permits` objects to what the word would say between the two, or the limit
    /// has shrunk meanwhile.
    pub(super) fn pass_on<E>(
        &self,
        full: E,
        permits: impl Fn(AdmissionState) -> Result<(), E>,
    ) -> Result<AdmissionState, (AdmissionState, E)> {
        // Acquire: pairs with the changes of the word, for what `permits` and the caller conclude from it.
        let mut seen = self.bits.load(Ordering::Acquire);
        loop {
            let between = AdmissionState(seen - 1);
            permits(between).map_err(|error| (between, error))?;
            if between.in_flight() >= between.limit() {
                return Err((between, full));
            }
            match self.admit(seen, seen.wrapping_add(ONE - 1)) {
                Ok(passed) => return Ok(passed),
                Err(now) => seen = now,
            }
        }
    }

    #[inline]
    fn add_one(&self, seen: u64) -> Result<AdmissionState, u64> {
        self.admit(seen, seen.wrapping_add(ONE))
    }

    #[inline]
    fn admit(&self, seen: u64, next: u64) -> Result<AdmissionState, u64> {
        // AcqRel: acquires what was done by whoever gave the slot back, and keeps the chain of changes whole. Acquire as the load before.
        self.bits.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire)?;
        if AdmissionState(next).admitted_bits() % RUN == 0 {
            // Release: pairs with the loads in `totals`; who sees the run noted sees the word that completed it.
            self.runs.fetch_add(1, Ordering::Release);
        }
        Ok(AdmissionState(next))
    }

    #[inline]
    pub(super) fn give_back(&self) -> AdmissionState {
        // AcqRel: releases what the call did to whoever takes the slot, and acquires whether somebody waits, or drains.
        AdmissionState(self.bits.fetch_sub(1, Ordering::AcqRel) - 1)
    }

    pub(super) fn set_limit(&self, limit: usize) -> AdmissionState {
        let mut seen = self.bits.load(Ordering::Relaxed);
        loop {
            let next = seen & !LIMIT | limit_bits(limit);
            // AcqRel: keeps the chain of changes whole, as all changes of the word do.
            match self.bits.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return AdmissionState(next),
                Err(now) => seen = now,
            }
        }
    }

    pub(super) fn announce_waiting(&self) -> AdmissionState {
        // AcqRel: pairs with `give_back`. Either that sees who waits, or who waits sees the slot.
        AdmissionState(self.bits.fetch_or(WAITING, Ordering::AcqRel) | WAITING)
    }

    pub(super) fn retract_waiting(&self) {
        // AcqRel: keeps the chain of changes whole.
        self.bits.fetch_and(!WAITING, Ordering::AcqRel);
    }

    pub(super) fn drain(&self) -> bool {
        // AcqRel: pairs with `give_back`. Either that sees the drain, or the drain sees nothing in flight.
        self.bits.fetch_or(DRAINING, Ordering::AcqRel) & DRAINING == 0
    }

    /// How many calls were ever admitted, and how many of them are in flight, as of one instant.
    pub(super) fn totals(&self) -> (u64, u64) {
        loop {
            // Acquire, both: pair with the addition in `admit`. The same number around the load says that no run was noted meanwhile.
            let noted = self.runs.load(Ordering::Acquire);
            let now = self.load();
            if self.runs.load(Ordering::Acquire) == noted {
                let (run, rest) = (now.admitted_bits() / RUN, now.admitted_bits() % RUN);
                // Whoever completes a run notes it a moment later.
                let late = run.wrapping_sub(noted) % RUNS;
                let admitted = noted.saturating_add(late).saturating_mul(RUN).saturating_add(rest);
                return (admitted, now.in_flight() as u64);
            }
        }
    }
}

fn limit_bits(limit: usize) -> u64 {
    pack(limit) << IN_FLIGHT
}

impl fmt::Debug for AdmissionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("in_flight", &self.in_flight())
            .field("limit", &self.limit())
            .field("has_waiters", &self.has_waiters())
            .field("is_draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use super::*;

    fn take(word: &Word) -> bool {
        word.take((), |_| Ok(())).is_ok()
    }

    #[test]
    fn s4_a_limit_that_shrinks_is_obeyed_by_the_next_admission() {
        let word = Word::new(50);
        assert_eq!((0..100).filter(|_| take(&word)).count(), 50);
        word.set_limit(5);
        for left in (5..50).rev() {
            assert_eq!(word.give_back().in_flight(), left);
            assert!(!take(&word), "{left} are in flight");
        }
        assert_eq!(word.give_back().in_flight(), 4);
        assert!(take(&word) && !take(&word));
    }

    #[test]
    fn s4_a_slot_is_passed_on_only_within_the_limit() {
        let word = Word::new(2);
        assert!(take(&word) && take(&word));
        let passed = word.pass_on((), |between| if between.in_flight() == 1 { Ok(()) } else { Err(()) }).unwrap();
        assert_eq!((passed.in_flight(), word.totals()), (2, (3, 2)));
        word.set_limit(1);
        assert_eq!(
            word.pass_on("full", |_| Ok(())).map_err(|(seen, error)| (seen.in_flight(), error)),
            Err((1, "full"))
        );
        assert_eq!(word.give_back().in_flight(), 1);
        assert!(word.pass_on((), |_| Ok(())).is_ok());
    }

    #[test]
    fn the_parts_of_the_word_do_not_touch_each_other() {
        let word = Word::new(AdmissionState::MOST);
        assert!(take(&word));
        assert!(word.announce_waiting().has_waiters());
        assert!(word.drain() && !word.drain());
        let all = word.load();
        assert_eq!(
            (all.in_flight(), all.limit(), all.has_waiters(), all.is_draining()),
            (1, AdmissionState::MOST, true, true)
        );
        word.retract_waiting();
        let rest = word.set_limit(3);
        assert_eq!((rest.in_flight(), rest.limit(), rest.has_waiters(), rest.is_draining()), (1, 3, false, true));
        assert_eq!(word.give_back(), word.fence());
        assert_eq!((word.totals(), word.load().admitted_bits()), ((1, 0), 1));
    }

    #[test]
    fn d6_any_limit_is_brought_into_the_word_and_nothing_overflows() {
        assert_eq!(Word::new(usize::MAX).load().limit(), AdmissionState::MOST);
        assert_eq!(Word::new(0).load().limit(), 1);
        assert_eq!(Word::new(1).set_limit(usize::MAX).limit(), AdmissionState::MOST);
    }

    #[test]
    fn m2_admissions_are_counted_beyond_what_the_word_holds() {
        let word = Word::new(1);
        let some = 3 * RUN * RUNS + 7;
        for admitted in 1..=some {
            assert!(take(&word));
            word.give_back();
            assert_eq!(word.totals(), (admitted, 0));
        }
        for late in 1..RUNS {
            word.runs.fetch_sub(1, Ordering::Relaxed);
            assert_eq!(word.totals(), (some, 0), "the last {late} have not been noted yet");
        }
    }

    #[test]
    fn s4_as_many_are_admitted_as_the_largest_limit_says_and_no_more() {
        let word = Word::new(usize::MAX);
        word.bits.fetch_add(AdmissionState::MOST as u64 - 2, Ordering::Relaxed);
        assert!(take(&word) && word.try_take().is_some());
        let full = word.load();
        assert_eq!((full.in_flight(), full.limit()), (AdmissionState::MOST, AdmissionState::MOST));
        assert!(!take(&word) && word.try_take().is_none());
        assert!(word.pass_on((), |_| Ok(())).is_ok());
        assert_eq!(
            (word.give_back().in_flight(), word.totals()),
            (AdmissionState::MOST - 1, (3, AdmissionState::MOST as u64 - 1))
        );
        assert!(take(&word) && !take(&word));
        assert_eq!(word.set_limit(1).limit(), 1);
    }
}
