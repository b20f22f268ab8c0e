//! The consumer's own count of what it takes, outside the lock of the buffer.

use std::fmt;
use std::sync::Arc;

use super::shared::Shared;

/// Counts what a consumer takes of the items it was [lent](crate::BoundedBuffer::lend), one atomic addition for each.
///
/// It is part of the books: an item counts as taken at once. The slots are given back when the holder of the buffer's lock
/// [settles](crate::BoundedBuffer::settle_lent) the count. Whoever needs them sooner, or needs to hear of the very next item,
/// [calls](Self::call): count and call are one word, so either the caller sees an item in the count, or the consumer sees
/// the call when it takes the item.
#[doc(hidden)]
#[derive(Clone)]
pub struct Tally {
    shared: Arc<Shared>,
}

impl Tally {
    pub(super) const fn of(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The consumer has taken so many more items. Returns whether it is called to the lock.
    #[inline]
    #[must_use = "somebody may be waiting"]
    pub fn take(&self, items: usize) -> bool {
        self.shared.ledger.handed.take(items)
    }

    /// How many items the consumer has ever taken.
    #[inline]
    pub fn taken(&self) -> u64 {
        self.shared.ledger.handed.count()
    }

    /// Calls the consumer to the lock after each item from now on. Returns how many it had taken before the call.
    pub fn call(&self) -> u64 {
        self.shared.ledger.handed.call()
    }

    /// Takes the call back.
    pub fn dismiss(&self) {
        self.shared.ledger.handed.dismiss();
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tally").field(&self.taken()).finish()
    }
}
