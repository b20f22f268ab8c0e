//! The ledger's cells: written without a lock, read consistently.
//!
//! The cells fall into three groups by who writes them.
//!
//! * *Buffer* cells change only under the lock of the buffer, but for the consumer's own [count](Handed): how many items
//!   were accepted, and how many of them are gone, to the consumer or to a loss. What is queued is the difference, so
//!   either kind of cell may move by itself, with one plain store, and the books balance. Both together move inside a
//!   [`Sequence`], unless those that go were there before. An item that goes past the buffer is accepted and gone in one:
//!   it has a cell that counts for both.
//! * *Refused* cells count offers that never entered. Each stands for itself, so [those who were refused](Refusals) count.
//! * *Settled* cells count what became of items that were taken.
//!
//! A reader collects what has gone and what was settled before it reads what was accepted, and again after it, until
//! nothing has moved meanwhile: neither what is queued nor what is in flight comes out negative or above its bound.

use backpressure_rt::sync::{AtomicU64, Ordering, pause};

use super::counts::{Counts, sum};
use super::handed::Handed;
use super::refusals::{Refusals, Refused};
use super::sequence::Sequence;
use crate::offer::DropReason;

const REASONS: usize = DropReason::ALL.len();

#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Ledger {
    sequence: Sequence,
    accepted: AtomicU64,
    taken: AtomicU64,
    /// Items that went past the buffer to the consumer: accepted and taken in one.
    passed: AtomicU64,
    oldest: AtomicU64,
    discarded: [AtomicU64; REASONS],
    /// Items that the consumer took of those it was lent: also gone, and counted by itself.
    pub(crate) handed: Handed,
    refusals: Refusals,
    refused: [AtomicU64; REASONS],
    delivered: AtomicU64,
    settled: [AtomicU64; REASONS],
    tracked: bool,
}

/// Items leave in the order of their arrival, so the oldest one is the first that has not gone.
const IN_ORDER: u64 = u64::MAX;

/// Everything a reader learns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) counts: Counts,
    pub(crate) accepted: u64,
    pub(crate) oldest: u64,
}

impl Ledger {
    pub(crate) fn new(tracked: bool) -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            sequence: Sequence::new(),
            accepted: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            oldest: AtomicU64::new(IN_ORDER),
            discarded: zeros(),
            handed: Handed::new(),
            refusals: Refusals::new(),
            refused: zeros(),
            delivered: AtomicU64::new(0),
            settled: zeros(),
            tracked,
        }
    }

    /// So many items were ever accepted. For the buffer's one writer, like all up to [`oldest`](Self::oldest).
    #[inline]
    pub(crate) fn accept(&self, accepted: u64) {
        // Release, like all stores of the writer: pairs with the loads in `read`. Who sees this one sees those before it.
        self.accepted.store(accepted, Ordering::Release);
    }

    /// So many items were ever taken by the consumer.
    #[inline]
    pub(crate) fn take(&self, taken: u64) {
        // Release: pairs with the load in `left`; what is taken was accepted before.
        self.taken.store(taken, Ordering::Release);
    }

    /// One more item went past the buffer.
    #[inline]
    pub(crate) fn pass(&self) {
        // Release: pairs with the load in `left`.
        self.passed.store(self.passed.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// How many items went past the buffer.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// So many more queued items were lost.
    #[inline]
    pub(crate) fn discard(&self, reason: DropReason, items: u64) {
        let cell = &self.discarded[reason as usize];
        // Release: pairs with the load in `left`.
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(items), Ordering::Release);
    }

    /// Runs several of the above as one.
    pub(crate) fn at_once(&self, changes: impl FnOnce(&Self)) {
        self.sequence.write(|| changes(self));
    }

    /// The arrival number of the oldest queued item, where items may leave out of turn.
    #[inline]
    pub(crate) fn oldest(&self, oldest: u64) {
        self.oldest.store(oldest, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn reject(&self, items: u64) {
        self.refusals.count(items, |refused| &refused.rejected);
    }

    #[inline]
    pub(crate) fn refuse(&self, reason: DropReason, items: u64) {
        match reason {
            DropReason::Overflow => self.refusals.count(items, |refused| &refused.overflow),
            _ => {
                self.refused[reason as usize].fetch_add(items, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn deliver(&self, items: u64) {
        // Release: pairs with the load in `left`; what is settled was taken before.
        self.delivered.fetch_add(items, Ordering::Release);
    }

    pub(crate) fn lose(&self, reason: DropReason, items: u64) {
        // Release: pairs with the load in `left`; what is settled was taken before.
        self.settled[reason as usize].fetch_add(items, Ordering::Release);
    }

    pub(crate) const fn is_tracked(&self) -> bool {
        self.tracked
    }

    pub(crate) fn read(&self) -> Reading {
        let Refused { rejected, overflow } = self.refusals.read();
        let mut refused = load(&self.refused, Ordering::Relaxed);
        refused[DropReason::Overflow as usize] = overflow;
        let (accepted, left) = loop {
            let (accepted, before, after) = self.sequence.read(|| {
                let before = self.left();
                // Acquire: pairs with the store in `accept`.
                (self.accepted.load(Ordering::Acquire), before, self.left())
            });
            if before == after {
                break (accepted, before);
            }
            pause();
        };

        let gone = sum([left.taken].into_iter().chain(left.discarded));
        let answered = sum(left.settled).saturating_add(left.delivered);
        let taken = left.taken.saturating_add(left.passed);
        let (delivered, in_flight) =
            if self.tracked { (left.delivered, taken.saturating_sub(answered)) } else { (taken, 0) };
        let counts = Counts {
            received: sum([accepted, left.passed, rejected].into_iter().chain(refused)),
            delivered,
            rejected,
            queued: accepted.saturating_sub(gone),
            in_flight,
            lost: std::array::from_fn(|i| sum([left.discarded[i], refused[i], left.settled[i]])),
        };
        let oldest = self.oldest.load(Ordering::Relaxed);
        // The cell may still tell of an item that has gone meanwhile.
        let is_in_order = oldest == IN_ORDER || counts.queued == 0;
        Reading { counts, accepted, oldest: if is_in_order { gone } else { oldest } }
    }

    fn left(&self) -> Left {
        // Acquire, and in this order: what is settled before what was taken, so that none is settled without having been taken.
        // Pairs with the stores and additions above.
        Left {
            delivered: self.delivered.load(Ordering::Acquire),
            settled: load(&self.settled, Ordering::Acquire),
            taken: self.taken.load(Ordering::Acquire).saturating_add(self.handed.count()),
            passed: self.passed.load(Ordering::Acquire),
            discarded: load(&self.discarded, Ordering::Acquire),
        }
    }
}

/// What has left the queue, and what has become of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Left {
    delivered: u64,
    settled: [u64; REASONS],
    taken: u64,
    passed: u64,
    discarded: [u64; REASONS],
}

fn load(cells: &[AtomicU64; REASONS], order: Ordering) -> [u64; REASONS] {
    std::array::from_fn(|i| cells[i].load(order))
}
