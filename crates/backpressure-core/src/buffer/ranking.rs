//! Buffers whose items leave out of turn: by priority, or fair by key.

use super::BoundedBuffer;
use super::store::Store;
use super::tag::Tag;
use crate::offer::{DropReason, Evicted, Offer};
use crate::strategy::Strategy;

impl<T> BoundedBuffer<T> {
    /// The most keys that have a queue of their own in a [fair](Self::fair) buffer.
    pub const FAIR_KEYS: usize = 1024;

    /// Keeps a lane per [`Priority`](crate::Priority) and delivers the most important items first. What is queued already ranks
    /// [`NORMAL`](crate::Priority::NORMAL). Changes nothing where there are lanes, or where it is [fair](Self::fair).
    #[must_use]
    pub fn prioritized(self) -> Self {
        if self.store.leaves_out_of_turn() { self } else { self.moved_into(Store::lanes()) }
    }

    /// Keeps a queue per [key](crate::Tag::key), in place of priorities, so that no key can crowd the others out.
    ///
    /// *Delivery*: the keys that have items queued take turns (deficit round robin), one item each, or as much as the heaviest
    /// item weighs (since the buffer was last empty) if the buffer weighs its items. A new key comes last.
    ///
    /// *Eviction*: under [`DropOldest`](crate::Strategy::DropOldest) a full buffer evicts the oldest item of the key that
    /// holds most (longest queue drop), which is the key of the item that comes if none holds more. If the buffer weighs its items, that is a key that holds
    /// at least half of the most weight. The other strategies evict nothing for it, and treat all keys alike.
    ///
    /// [`FAIR_KEYS`](Self::FAIR_KEYS) keys that have items queued have a queue of their own. Those that come beyond share one, and go on
    /// doing so until it is empty. A key of which nothing is queued takes no room. What is queued already belongs to the default key.
    ///
    /// ```
    /// use backpressure_core::{BackpressureConfig, BoundedBuffer, Strategy, Tag};
    ///
    /// let config = BackpressureConfig::builder().capacity(4).batch_items(1).strategy(Strategy::DropOldest).build()?;
    /// let mut buffer = BoundedBuffer::new(&config).fair();
    /// for (item, key) in [('a', 1), ('b', 2), ('c', 1), ('d', 1), ('e', 3)] {
    ///     buffer.offer(item, Tag { key, ..Tag::default() });
    /// }
    /// let left: String = std::iter::from_fn(|| buffer.pop()).collect();
    /// assert_eq!(left, "cbed", "'a' was evicted, and the keys took turns");
    /// # Ok::<(), backpressure_core::ConfigError>(())
    /// ```
    #[must_use]
    pub fn fair(self) -> Self {
        let weighed = self.weight_marks.is_some();
        if self.is_fair() { self } else { self.moved_into(Store::fair(Self::FAIR_KEYS, weighed)) }
    }

    /// The same as [`exchange`](Self::exchange) where the buffer is [fair](Self::fair), and the key of the item is one that holds most.
    #[doc(hidden)]
    #[inline(always)]
    pub fn exchange_own(&mut self, item: &mut T, tag: &Tag) -> bool {
        matches!(self.strategy, Strategy::DropOldest)
            && self.weight_marks.is_none()
            && self.is_just_full()
            && !self.is_due()
            && self.swap_with_own(item, tag)
    }

    #[inline]
    pub(super) const fn is_fair(&self) -> bool {
        matches!(self.store, Store::Fair(_))
    }

    /// Offers an item that does not fit, for items of the keys that hold most.
    #[inline(never)]
    pub(super) fn offer_fair(&mut self, mut item: T, tag: &Tag) -> Offer<T> {
        if self.weight_marks.is_none() && self.is_just_full() && self.swap_with_own(&mut item, tag) {
            return Offer::AcceptedEvicting(Evicted::one(item));
        }
        if !self.makes_room(usize::MAX, usize::MAX, tag.weight) {
            return Offer::Dropped(item, DropReason::Overflow);
        }
        self.insert_evicting(item, tag, |store| store.pop_for(tag.key))
    }

    /// Puts the oldest item of its key in the place of `item`, which enters, if no key holds more. For a full buffer that weighs nothing.
    #[inline(always)]
    fn swap_with_own(&mut self, item: &mut T, tag: &Tag) -> bool {
        let Store::Fair(fair) = &mut self.store else { return false };
        let swapped = fair.exchange(item, tag, self.accepted);
        self.accepted += u64::from(swapped);
        swapped
    }

    fn moved_into(mut self, mut store: Store<T>) -> Self {
        for arrival in self.oldest()..self.accepted {
            let Some((item, tag)) = self.store.pop_oldest_tagged() else { break };
            store.push(item, &tag, tag.weight, arrival);
        }
        Self { store, ..self }
    }
}
