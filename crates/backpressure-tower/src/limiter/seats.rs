//! Where those who wait find out what has become of them, without a lock.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::OnceLock;

use crate::overloaded::ShedReason;
use crate::sync::{AtomicU64, Ordering};

/// What became of a caller that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has had a slot since this moment, in nanoseconds of the limiter's own, if anybody has looked at a clock.
    Admitted(Option<NonZeroU64>),
    Refused(ShedReason),
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
        self.cell(seat).load(Ordering::Acquire) == FREE
    }

    /// Tells whoever has this seat what has become of it.
    #[inline]
    pub(super) fn tell(&self, seat: u32, verdict: Verdict) {
        let bits = match verdict {
            Verdict::Admitted(since) => ADMITTED | since.map_or(0, NonZeroU64::get),
            Verdict::Refused(reason) => REFUSED + reason as u64,
        };
        self.cell(seat).store(bits, Ordering::Release);
    }

    /// What has become of whoever has this seat. It is told once; then the seat is free.
    #[inline]
    pub(super) fn take(&self, seat: u32) -> Option<Verdict> {
        let bits = self.cell(seat).load(Ordering::Acquire);
        let verdict = match bits {
            FREE | WAITING => return None,
            bits if bits & ADMITTED != 0 => Verdict::Admitted(NonZeroU64::new(bits & !ADMITTED)),
            bits => Verdict::Refused(ShedReason::ALL[(bits - REFUSED) as usize % ShedReason::ALL.len()]),
        };
        self.free(seat);
        Some(verdict)
    }

    /// Whoever had this seat is gone.
    #[inline]
    pub(super) fn free(&self, seat: u32) {
        self.cell(seat).store(FREE, Ordering::Release);
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
        let admitted = [None, NonZeroU64::new(7), NonZeroU64::new(ADMITTED - 1)].map(Verdict::Admitted);
        for verdict in admitted.into_iter().chain(ShedReason::ALL.map(Verdict::Refused)) {
            assert!(seats.occupy(3) && !seats.occupy(3));
            assert_eq!(seats.take(3), None);
            seats.tell(3, verdict);
            assert!(!seats.occupy(3), "not before it is read");
            assert_eq!((seats.take(3), seats.take(3)), (Some(verdict), None));
        }
    }

    #[test]
    fn all_seats_are_different() {
        let seats = Seats::new();
        assert!((0..5000).all(|seat| seats.occupy(seat)));
        assert!((0..5000).all(|seat| !seats.occupy(seat)));
    }
}
