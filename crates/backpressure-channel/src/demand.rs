//! A receiver's demand: how much it waits for.

use backpressure_core::BoundedBuffer;

/// How much must be queued before a receiver that waits is woken: this many items, or this much weight; or anything at
/// all, once a producer has to wait for it to go.
///
/// A consumer that works in batches is woken once a batch, not once an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Demand {
    /// Woken at this many queued items; 0 counts as 1.
    pub items: usize,
    /// Woken at this much weight queued, whatever the number of items.
    pub weight: usize,
}

impl Demand {
    /// Woken by the first item.
    pub const ANY: Self = Self { items: 1, weight: usize::MAX };

    #[inline]
    pub(crate) fn is_met<T>(&self, buffer: &BoundedBuffer<T>, producers_wait: bool) -> bool {
        let queued = buffer.len() + buffer.lent();
        queued >= self.items.max(1) || (queued > 0 && (producers_wait || buffer.weight() >= self.weight))
    }
}
