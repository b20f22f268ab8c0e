//! How items leave a buffer for its consumer.

use super::BoundedBuffer;
use super::store::Store;

impl<T> BoundedBuffer<T> {
    /// Takes the next item in delivery order.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if let Store::Fifo(queue) = &mut self.store {
            let item = queue.pop_front()?;
            self.queued -= 1;
            return Some(item);
        }
        self.pop_tagged()
    }

    #[inline(never)]
    fn pop_tagged(&mut self) -> Option<T> {
        if self.is_dated() {
            self.bury();
        }
        let (item, weight) = self.store.pop_next()?;
        self.queued -= 1;
        self.weight = self.weight.saturating_sub(weight);
        Some(item)
    }

    /// Appends the next items to `out`: at most `max_items`, and no more than `max_weight` together unless the first alone
    /// weighs more. Returns how many.
    pub fn pop_many(&mut self, out: &mut Vec<T>, max_items: usize, max_weight: usize) -> usize {
        if self.is_dated() {
            return self.pop_unexpired(max_items, max_weight, |item, _| out.push(item));
        }
        let (taken, weight) = self.store.take(out, max_items.min(self.queued), max_weight);
        self.queued -= taken;
        self.weight = self.weight.saturating_sub(weight);
        taken
    }

    /// The same, each item with its weight: 0 where nothing is weighed.
    pub fn pop_many_weighed(&mut self, out: &mut Vec<(T, usize)>, max_items: usize, max_weight: usize) -> usize {
        if self.is_dated() {
            return self.pop_unexpired(max_items, max_weight, |item, weight| out.push((item, weight)));
        }
        let (taken, weight) = self.store.take_each(max_items, max_weight, |item, weight| out.push((item, weight)));
        self.queued -= taken;
        self.weight = self.weight.saturating_sub(weight);
        taken
    }
}
