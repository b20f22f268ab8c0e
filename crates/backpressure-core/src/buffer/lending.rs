//! Items lent to a consumer, which takes them one by one without the lock.

use std::collections::VecDeque;

use super::BoundedBuffer;
use super::store::Store;
use crate::strategy::Strategy;

/// Most items that are lent by moving each of them.
const MOVED: usize = 128;

impl<T> BoundedBuffer<T> {
    /// Moves up to `most` of the next items to the end of `lease`, for a consumer that takes them from there by itself and
    /// [counts](crate::Tally) them. They are held until that count is [settled](Self::settle_lent). Returns their number.
    ///
    /// All there is goes at once into an empty lease. Otherwise each item is moved, so they are few.
    ///
    /// Lends nothing where a lent item could still be evicted, weighs something, has a deadline or could be overtaken. Where
    /// items grow too old, it is for the caller to see that none does meanwhile.
    #[doc(hidden)]
    #[inline(always)]
    pub fn lend(&mut self, lease: &mut VecDeque<T>, most: usize) -> usize {
        let Store::Fifo(queue) = &mut self.store else { return 0 };
        if !matches!(self.strategy, Strategy::Block { .. } | Strategy::Reject | Strategy::DropNewest) {
            return 0;
        }
        let mut lent = most.min(queue.len());
        if lease.is_empty() && lent == queue.len() {
            std::mem::swap(lease, queue);
        } else {
            lent = lent.min(MOVED);
            lease.reserve(lent);
            for _ in 0..lent {
                let Some(item) = queue.pop_front() else { break };
                lease.push_back(item);
            }
        }
        self.queued -= lent;
        self.lent += lent;
        lent
    }

    /// Settles with a consumer that has ever taken so many of the items lent. Returns whether that is news.
    #[doc(hidden)]
    pub fn settle_lent(&mut self, taken: u64) -> bool {
        let news = taken.saturating_sub(self.taken_of_lent);
        self.taken_of_lent += news;
        self.lent = self.lent.saturating_sub(usize::try_from(news).unwrap_or(usize::MAX));
        news > 0
    }

    /// So many of the items lent were discarded.
    #[doc(hidden)]
    pub fn discard_lent(&mut self, items: usize) {
        self.lent = self.lent.saturating_sub(items);
    }

    /// Items lent that were not taken yet, as far as is known. They are held, but not [queued](Self::len).
    #[doc(hidden)]
    pub const fn lent(&self) -> usize {
        self.lent
    }
}
