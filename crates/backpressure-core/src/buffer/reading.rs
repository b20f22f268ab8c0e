//! The read-only view of a buffer.

use std::ops::Range;

use super::BoundedBuffer;
use super::store::Store;
use crate::state::State;
use crate::strategy::{Oversize, Strategy};

impl<T> BoundedBuffer<T> {
    /// Whether [`close`](Self::close) was called.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Items queued, without reserved slots.
    pub const fn len(&self) -> usize {
        self.queued
    }

    /// Whether nothing is queued.
    pub const fn is_empty(&self) -> bool {
        self.queued == 0
    }

    /// Slots held: queued, reserved or lent. Above the capacity only where that was [lowered](Self::reconfigure) meanwhile.
    pub const fn held(&self) -> usize {
        self.queued + self.reserved + self.lent
    }

    /// Slots held, and those of items lent that were ever given back: less the consumer's own count of these it is what is
    /// held now, settled or not.
    #[inline]
    pub(crate) const fn held_before_taken(&self) -> u64 {
        self.held() as u64 + self.taken_of_lent
    }

    /// The weight queued, without reserved slots.
    pub const fn weight(&self) -> usize {
        self.weight
    }

    /// The weight held: queued or reserved. Above the weight bound only while one oversize item is held alone.
    pub const fn held_weight(&self) -> usize {
        self.weight.saturating_add(self.reserved_weight)
    }

    /// How many items were ever accepted: also the arrival number of the next one.
    pub const fn accepted(&self) -> u64 {
        self.accepted
    }

    /// The arrival number of the oldest item queued or lent, counted from 0; [`accepted`](Self::accepted) when there is none.
    #[inline]
    pub fn oldest(&self) -> u64 {
        self.oldest_out_of_turn().unwrap_or(self.accepted - (self.queued + self.lent) as u64)
    }

    /// The same where items may leave out of turn; `None` where the oldest is the next to leave.
    #[inline]
    pub(crate) fn oldest_out_of_turn(&self) -> Option<u64> {
        self.store.leaves_out_of_turn().then(|| self.store.oldest().unwrap_or(self.accepted))
    }

    /// Whether items leave in the order they came, and nothing is weighed.
    #[inline]
    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self.store, Store::Fifo(_))
    }

    /// What the buffer does when it is full.
    pub const fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Whether an item of this weight can ever be admitted.
    #[inline]
    pub fn admits(&self, weight: usize) -> bool {
        self.weight_marks.is_none() || weight <= self.max_weight || self.oversize == Oversize::AdmitAlone
    }

    /// Whether an item of this weight would fit if only so many slots were held, with so much weight.
    #[inline]
    pub fn fits_beside(&self, slots: usize, held_weight: usize, weight: usize) -> bool {
        if slots >= self.capacity {
            return false;
        }
        self.weight_marks.is_none()
            || self.bears(held_weight, weight)
            || (slots == 0 && self.oversize == Oversize::AdmitAlone)
    }

    /// The state that the held items amount to, coming from `current`. Never `Draining`.
    #[inline]
    pub fn state(&self, current: State) -> State {
        let items = self.marks.next(current, self.held());
        match &self.weight_marks {
            None => items,
            Some(marks) => items.max(marks.next(current, self.held_weight())),
        }
    }

    /// The numbers of items held at which the state stays `current`. Empty if the weight has a say in it.
    pub(crate) fn calm(&self, current: State) -> Range<usize> {
        if self.weight_marks.is_none() { self.marks.calm(current) } else { 0..0 }
    }
}
