//! Counters for calls in flight, written by any thread at any time and read consistently.

use backpressure_rt::sync::{AtomicU64, AtomicUsize, Ordering, pause};

use super::word::Word;
use crate::gauge;
use crate::ledger::{Counts, Sequence, sum};
use crate::offer::DropReason;

const REASONS: usize = DropReason::ALL.len();

/// The cells, each kind on a cache line of its own: whoever is refused does not slow down whoever is admitted.
///
/// A reader collects those that count what is over before it reads the word, and again after it, until none of them has
/// moved meanwhile. A call that is lost is counted before it gives its slot back, so what was delivered is at least what
/// the word and the losses say together; the most that was ever read is kept, for counters do not go back.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) word: Word,
    pub(super) rejected: Line,
    /// Around a slot that is taken and the caller that is granted it.
    pub(super) queue: Sequence,
    pub(super) queued: AtomicU64,
    pub(super) granted: AtomicU64,
    pub(super) returned: AtomicU64,
    pub(super) lost: [AtomicU64; REASONS],
    /// Calls that had a slot and were refused all the same.
    pub(super) refused: AtomicU64,
    pub(super) streams: AtomicUsize,
    pub(super) discarded: [AtomicU64; REASONS],
    admitted_seen: AtomicU64,
    delivered_seen: AtomicU64,
}

#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Line(pub(super) AtomicU64);

/// What has left the queue, and what was lost.
#[derive(PartialEq)]
struct Gone {
    granted: u64,
    returned: u64,
    discarded: [u64; REASONS],
    lost: [u64; REASONS],
    refused: u64,
}

impl Calls {
    pub(super) fn new(limit: usize) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            word: Word::new(limit),
            rejected: Line(zero()),
            queue: Sequence::new(),
            queued: zero(),
            granted: zero(),
            returned: zero(),
            lost: std::array::from_fn(|_| zero()),
            refused: zero(),
            streams: AtomicUsize::new(0),
            discarded: std::array::from_fn(|_| zero()),
            admitted_seen: zero(),
            delivered_seen: zero(),
        }
    }

    /// Opens a stream, unless there are so many already.
    pub(super) fn open_stream(&self, most: usize) -> bool {
        let more = |open: usize| (open < most).then(|| open.saturating_add(1));
        // AcqRel: pairs with the end of a stream, in `close_stream`. Who opens one in its place comes after it.
        self.streams.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    fn gone(&self) -> Gone {
        // Acquire, here and below: pairs with the additions of `lost`, `refused` and `one_more`. A slot that is seen free after this was
        // counted as lost before.
        let load = |cells: &[AtomicU64; REASONS]| std::array::from_fn(|i| cells[i].load(Ordering::Acquire));
        Gone {
            granted: self.granted.load(Ordering::Acquire),
            returned: self.returned.load(Ordering::Acquire),
            discarded: load(&self.discarded),
            lost: load(&self.lost),
            refused: self.refused.load(Ordering::Acquire),
        }
    }
}

impl gauge::Calls for Calls {
    fn capacity(&self) -> usize {
        self.word.load().limit()
    }

    fn in_flight(&self) -> usize {
        self.word.load().in_flight()
    }

    fn utilization(&self) -> f64 {
        let slots = self.word.load();
        slots.in_flight() as f64 / slots.limit() as f64
    }

    fn counts(&self) -> Counts {
        let rejected = self.rejected.0.load(Ordering::Relaxed);
        let (gone, (admitted, in_flight), queued) = loop {
            let (before, totals, queued, after) =
                // Acquire: pairs with `one_more`.
                self.queue.read(|| (self.gone(), self.word.totals(), self.queued.load(Ordering::Acquire), self.gone()));
            if before == after {
                break (before, totals, queued);
            }
            pause();
        };
        let lost = sum(gone.lost).saturating_add(gone.refused);
        let admitted = seen(&self.admitted_seen, admitted);
        let delivered = seen(&self.delivered_seen, admitted.saturating_sub(in_flight).saturating_sub(lost));
        let dequeued = sum([gone.granted, gone.returned].into_iter().chain(gone.discarded));
        Counts {
            received: sum([admitted.saturating_sub(gone.granted), queued, rejected]),
            delivered,
            rejected: sum([rejected, gone.returned, gone.refused]),
            queued: queued.saturating_sub(dequeued),
            in_flight: admitted.saturating_sub(delivered).saturating_sub(lost),
            lost: std::array::from_fn(|i| sum([gone.discarded[i], gone.lost[i]])),
        }
    }

    fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }
}

/// For the one writer that there is at a time.
pub(super) fn one_more(cell: &AtomicU64) {
    // Release: pairs with the loads in `counts`.
    cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Release);
}

/// The most that was ever read.
fn seen(most: &AtomicU64, read: u64) -> u64 {
    // AcqRel: pairs with itself in other readers, so that what one has read, those after it read at least.
    most.fetch_max(read, Ordering::AcqRel).max(read)
}
