//! Where waiting callers learn their outcome without a lock.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::OnceLock;

use backpressure_rt::sync::{AtomicU64, Ordering};

use crate::overloaded::ShedReason;

/// What became of a caller that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has had a slot since this moment, in nanoseconds of the limiter's own, if anybody has looked at a clock.
    Admitted(Option<NonZeroU64>),
    Refused(ShedReason),
    /// It had a slot, and has lost it to others that wait.
    TakenBack,
}

/// A cell for each caller that waits. The holder of the queue's lock gives it away and writes the verdict; the caller
/// reads that and frees the cell, lock or no lock.
///
/// Cells come in chunks, each twice as large as the one before, which never move.
pub(crate) struct Seats {
    chunks: [OnceLock<Box<[AtomicU64]>>; CHUNKS],
}

const FIRST: usize = 16;
/// Room for as many as there can be calls.
const CHUNKS: usize = 29;

const FREE: u64 = 0;
const WAITING: u64 = 1;
/// The first of the reasons for a refusal.
const REFUSED: u64 = 2;
const ADMITTED: u64 = 1 << 63;
/// With [`ADMITTED`]: the slot can be taken back until the verdict is read.
const IS_REVOCABLE: u64 = 1 << 62;
/// With [`IS_REVOCABLE`]: it was there when somebody looked.
const SEEN: u64 = 1 << 61;
const TAKEN_BACK: u64 = 1 << 60;
/// Of the bits with [`ADMITTED`]: thirty years of nanoseconds.
const SINCE: u64 = TAKEN_BACK - 1;

impl Seats {
    pub(super) fn new() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS] }
    }

    /// Takes a seat for somebody who waits, if it is free.
    #[inline]
    pub(super) fn occupy(&self, seat: u32) -> bool {
        let is_free = self.is_free(seat);
        if is_free {
            self.cell(seat).store(WAITING, Ordering::Relaxed);
        }
        is_free
    }

    #[inline]
    pub(super) fn is_free(&self, seat: u32) -> bool {
        // Acquire: pairs with the store in `free`; the seat is taken after whoever had it has gone.
        self.cell(seat).load(Ordering::Acquire) == FREE
    }

    /// Tells whoever has this seat what has become of it.
    #[inline]
    pub(super) fn tell(&self, seat: u32, verdict: Verdict, is_revocable: bool) {
        let bits = match verdict {
            Verdict::Admitted(since) => {
                let revocable = if is_revocable { IS_REVOCABLE } else { 0 };
                ADMITTED | revocable | since.map_or(0, NonZeroU64::get) & SINCE
            }
            Verdict::Refused(reason) => REFUSED + reason as u64,
            Verdict::TakenBack => TAKEN_BACK,
        };
        // Release: pairs with the loads in `take`; who reads the verdict sees what was done by whoever gave the slot up.
        self.cell(seat).store(bits, Ordering::Release);
    }

    /// What has become of whoever has this seat. It is told once; then the seat is free.
    #[inline]
    pub(super) fn take(&self, seat: u32) -> Option<Verdict> {
        // Acquire: pairs with the store in `tell`.
        let mut bits = self.cell(seat).load(Ordering::Acquire);
        while bits & IS_REVOCABLE != 0 {
            // AcqRel: pairs with `tell` and `revoke`: the slot is either read here or taken back there. Release as in `free`.
            match self.cell(seat).compare_exchange(bits, FREE, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(Verdict::Admitted(NonZeroU64::new(bits & SINCE))),
                Err(now) => bits = now,
            }
        }
        let verdict = match bits {
            FREE | WAITING => return None,
            TAKEN_BACK => Verdict::TakenBack,
            bits if bits & ADMITTED != 0 => Verdict::Admitted(NonZeroU64::new(bits & SINCE)),
            bits => Verdict::Refused(ShedReason::ALL[(bits - REFUSED) as usize % ShedReason::ALL.len()]),
        };
        self.free(seat);
        Some(verdict)
    }

    /// Whoever had this seat is gone.
    #[inline]
    pub(super) fn free(&self, seat: u32) {
        // Release: pairs with the load in `is_free`.
        self.cell(seat).store(FREE, Ordering::Release);
    }

    /// From here on the slots in the first so many seats that can be taken back have been seen.
    pub(super) fn see(&self, seats: u32) {
        for seat in 0..seats {
            let seen = |bits: u64| (bits & IS_REVOCABLE != 0).then_some(bits | SEEN);
            // AcqRel: keeps what `tell` released for whoever takes the verdict.
            let _ = self.cell(seat).fetch_update(Ordering::AcqRel, Ordering::Relaxed, seen);
        }
    }

    /// Takes up to so many slots back that have been seen before and not read since, and answers how many are to be given back
    /// for them.
    pub(super) fn take_back(&self, seats: u32, most: usize) -> usize {
        self.revoke(seats, most, SEEN)
    }

    /// Takes all slots back that can be.
    pub(super) fn take_all(&self, seats: u32) -> usize {
        self.revoke(seats, usize::MAX, IS_REVOCABLE)
    }

    fn revoke(&self, seats: u32, most: usize, due: u64) -> usize {
        let revoked = |bits: u64| (bits & IS_REVOCABLE != 0 && bits & due != 0).then_some(TAKEN_BACK);
        let is_revoked =
            // AcqRel: pairs with `take`, and acquires from `tell` what comes with the slot.
            |seat: &u32| self.cell(*seat).fetch_update(Ordering::AcqRel, Ordering::Relaxed, revoked).is_ok();
        (0..seats).filter(is_revoked).take(most).count()
    }

    #[inline]
    fn cell(&self, seat: u32) -> &AtomicU64 {
        let seat = seat as usize;
        let chunk = (seat / FIRST + 1).ilog2() as usize;
        let (before, len) = (((1 << chunk) - 1) * FIRST, FIRST << chunk);
        let cells = self.chunks[chunk].get_or_init(|| (0..len).map(|_| AtomicU64::new(FREE)).collect());
        &cells[seat - before]
    }
}

impl fmt::Debug for Seats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seats")
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_told_once_and_frees_the_seat() {
        let seats = Seats::new();
        let admitted = [None, NonZeroU64::new(7), NonZeroU64::new(SINCE)].map(Verdict::Admitted);
        for verdict in admitted.into_iter().chain(ShedReason::ALL.map(Verdict::Refused)).chain([Verdict::TakenBack]) {
            assert!(seats.occupy(3) && !seats.occupy(3));
            assert_eq!(seats.take(3), None);
            seats.tell(3, verdict, false);
            assert!(!seats.occupy(3), "not before it is read");
            assert_eq!((seats.take(3), seats.take(3)), (Some(verdict), None));
        }
    }

    #[test]
    fn c2_a_slot_that_was_not_read_is_taken_back_once_and_then_not_told() {
        let seats = Seats::new();
        let admitted = Verdict::Admitted(NonZeroU64::new(7));
        assert!((0..4).all(|seat| seats.occupy(seat)));
        seats.see(4);
        seats.tell(0, admitted, true);
        seats.tell(1, admitted, true);
        seats.tell(2, admitted, false);
        assert_eq!(seats.take_back(4, 9), 0, "nobody has seen them");
        seats.see(4);
        assert_eq!(seats.take(0), Some(admitted));
        assert_eq!((seats.take_back(4, 9), seats.take_back(4, 9)), (1, 0));
        assert_eq!((seats.take(1), seats.take(1)), (Some(Verdict::TakenBack), None));
        assert_eq!((seats.take(2), seats.take(3)), (Some(admitted), None));
        seats.tell(3, admitted, true);
        assert_eq!((seats.take_all(4), seats.take(3)), (1, Some(Verdict::TakenBack)));
    }

    #[test]
    fn all_seats_are_different() {
        let seats = Seats::new();
        assert!((0..5000).all(|seat| seats.occupy(seat)));
        assert!((0..5000).all(|seat| !seats.occupy(seat)));
    }
}
