//! New items in the place of old ones, one for one.

use std::collections::VecDeque;

use super::BoundedBuffer;
use super::store::Store;
use crate::strategy::Strategy;

impl<T> BoundedBuffer<T> {
    /// Puts the oldest item in the place of `item`, which enters, where that is all there is to an [`offer`](Self::offer):
    /// the buffer is open and full, its strategy is [`Strategy::DropOldest`], nothing is weighed, ranked or reserved, and the time need not
    /// be [told](Self::expire) before. Returns whether it is so; if not, `item` is still to be offered.
    ///
    /// As many are held as before: [`Recorder::exchanged`](crate::Recorder::exchanged) publishes this.
    #[doc(hidden)]
    #[inline]
    pub fn exchange(&mut self, item: &mut T) -> bool {
        matches!(self.strategy, Strategy::DropOldest) && !self.is_due() && self.swap_with_oldest(item)
    }

    /// The same whatever the time.
    #[inline(always)]
    pub(super) fn swap_with_oldest(&mut self, item: &mut T) -> bool {
        let Some(queue) = self.full_queue() else { return false };
        let Some(oldest) = queue.pop_front() else { return false };
        queue.push_back(std::mem::replace(item, oldest));
        self.accepted += 1;
        true
    }

    /// The same for one of `items` after the other, all of which count as having come when the time was last told. Returns for
    /// how many: all of them, or none.
    #[doc(hidden)]
    #[inline]
    pub fn exchange_all<'a>(&mut self, items: impl Iterator<Item = &'a mut T>) -> usize
    where
        T: 'a,
    {
        if self.closed {
            return 0;
        }
        let Some(queue) = self.full_queue() else { return 0 };
        let enters = |item: &mut T| {
            let oldest = queue.pop_front();
            oldest.map(|oldest| queue.push_back(std::mem::replace(item, oldest))).is_some()
        };
        let exchanged = items.map(enters).take_while(|&entered| entered).count();
        self.accepted += exchanged as u64;
        exchanged
    }

    /// The queue, if it is full and each item that comes takes the place of one that goes.
    #[inline(always)]
    const fn full_queue(&mut self) -> Option<&mut VecDeque<T>> {
        if !matches!(self.strategy, Strategy::DropOldest) || !self.is_just_full() {
            return None;
        }
        match &mut self.store {
            Store::Fifo(queue) => Some(queue),
            _ => None,
        }
    }
}
