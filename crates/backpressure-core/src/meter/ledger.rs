//! The ledger's cells: written without a lock, read consistently.
//!
//! The cells fall into three groups by who writes them.
//!
//! * *Buffer* cells change only under the lock of the buffer. A [`Sequence`] lets a reader see all of them as of one
//!   instant.
//! * *Refused* cells count offers that never entered. Each stands for itself, so plain additions do.
//! * *Settled* cells count what became of items that were taken. They are read before the buffer cells, and again after
//!   them until they have not moved meanwhile: what is in flight comes out neither negative nor above its bound.

use super::counts::{Counts, sum};
use super::sequence::Sequence;
use crate::offer::DropReason;
use crate::sync::{AtomicU64, Ordering};

const REASONS: usize = DropReason::ALL.len();

#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Ledger {
    sequence: Sequence,
    accepted: AtomicU64,
    taken: AtomicU64,
    queued: AtomicU64,
    oldest: AtomicU64,
    discarded: [AtomicU64; REASONS],
    rejected: AtomicU64,
    refused: [AtomicU64; REASONS],
    delivered: AtomicU64,
    settled: [AtomicU64; REASONS],
    tracked: bool,
}

/// The buffer cells, as the holder of the buffer's lock knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Books {
    pub(super) accepted: u64,
    pub(super) taken: u64,
    pub(super) queued: u64,
    /// The arrival number of the oldest queued item.
    pub(super) oldest: u64,
}

/// Everything a reader learns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) counts: Counts,
    pub(super) accepted: u64,
    pub(super) oldest: u64,
}

impl Ledger {
    pub(super) fn new(tracked: bool) -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            sequence: Sequence::new(),
            accepted: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            oldest: AtomicU64::new(0),
            discarded: zeros(),
            rejected: AtomicU64::new(0),
            refused: zeros(),
            delivered: AtomicU64::new(0),
            settled: zeros(),
            tracked,
        }
    }

    /// Publishes the books, and `discarded` items that left the queue for a reason. One writer at a time.
    #[inline]
    pub(super) fn publish(&self, books: &Books, discarded: Option<(DropReason, u64)>) {
        self.sequence.write(|| {
            self.accepted.store(books.accepted, Ordering::Relaxed);
            self.taken.store(books.taken, Ordering::Relaxed);
            self.queued.store(books.queued, Ordering::Relaxed);
            self.oldest.store(books.oldest, Ordering::Relaxed);
            if let Some((reason, items)) = discarded {
                let cell = &self.discarded[reason as usize];
                cell.store(cell.load(Ordering::Relaxed).saturating_add(items), Ordering::Relaxed);
            }
        });
    }

    pub(super) fn reject(&self, items: u64) {
        self.rejected.fetch_add(items, Ordering::Relaxed);
    }

    pub(super) fn refuse(&self, reason: DropReason, items: u64) {
        self.refused[reason as usize].fetch_add(items, Ordering::Relaxed);
    }

    pub(super) fn deliver(&self, items: u64) {
        self.delivered.fetch_add(items, Ordering::Release);
    }

    pub(super) fn lose(&self, reason: DropReason, items: u64) {
        self.settled[reason as usize].fetch_add(items, Ordering::Release);
    }

    pub(super) fn read(&self) -> Reading {
        let rejected = self.rejected.load(Ordering::Relaxed);
        let refused = load(&self.refused, Ordering::Relaxed);
        let ((delivered, settled), (books, discarded)) = loop {
            let before = self.answers();
            let books = self.sequence.read(|| self.books());
            if self.answers() == before {
                break (before, books);
            }
        };

        let answered = sum(settled).saturating_add(delivered);
        let (delivered, in_flight) =
            if self.tracked { (delivered, books.taken.saturating_sub(answered)) } else { (books.taken, 0) };
        let counts = Counts {
            received: sum([books.accepted, rejected].into_iter().chain(refused)),
            delivered,
            rejected,
            queued: books.queued,
            in_flight,
            lost: std::array::from_fn(|i| sum([discarded[i], refused[i], settled[i]])),
        };
        Reading { counts, accepted: books.accepted, oldest: books.oldest }
    }

    fn answers(&self) -> (u64, [u64; REASONS]) {
        (self.delivered.load(Ordering::Acquire), load(&self.settled, Ordering::Acquire))
    }

    fn books(&self) -> (Books, [u64; REASONS]) {
        let books = Books {
            accepted: self.accepted.load(Ordering::Relaxed),
            taken: self.taken.load(Ordering::Relaxed),
            queued: self.queued.load(Ordering::Relaxed),
            oldest: self.oldest.load(Ordering::Relaxed),
        };
        (books, load(&self.discarded, Ordering::Relaxed))
    }
}

fn load(cells: &[AtomicU64; REASONS], order: Ordering) -> [u64; REASONS] {
    std::array::from_fn(|i| cells[i].load(order))
}
