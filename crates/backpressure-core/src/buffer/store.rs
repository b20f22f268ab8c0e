//! The storage of queued items: one queue, lanes if items are ranked, or a queue per key.

use std::collections::VecDeque;
use std::time::Instant;

use super::fair::Fair;
use super::lanes::Lanes;
use super::tag::Tag;
use crate::strategy::Priority;

#[derive(Debug)]
pub(super) enum Store<T> {
    Fifo(VecDeque<T>),
    Weighed(VecDeque<(T, usize)>),
    /// With the weight, and with the deadline.
    Dated(VecDeque<(T, usize, Option<Instant>)>),
    Lanes(Box<Lanes<T>>),
    Fair(Box<Fair<T>>),
}

impl<T> Store<T> {
    pub(super) const fn fifo() -> Self {
        Self::Fifo(VecDeque::new())
    }

    pub(super) const fn weighed() -> Self {
        Self::Weighed(VecDeque::new())
    }

    /// The same items, where each may have a deadline.
    pub(super) fn dated(self) -> Self {
        match self {
            Self::Fifo(queue) => Self::Dated(queue.into_iter().map(|item| (item, 0, None)).collect()),
            Self::Weighed(queue) => Self::Dated(queue.into_iter().map(|(item, weight)| (item, weight, None)).collect()),
            Self::Dated(_) | Self::Lanes(_) | Self::Fair(_) => self,
        }
    }

    pub(super) fn lanes() -> Self {
        Self::Lanes(Box::new(Lanes::new()))
    }

    /// A queue for each of at most so many keys, and one for all others.
    pub(super) fn fair(most_keys: usize, weighed: bool) -> Self {
        Self::Fair(Box::new(Fair::new(most_keys, weighed)))
    }

    /// Puts an item in. It weighs `weight`, whatever its tag says.
    #[inline(always)]
    pub(super) fn push(&mut self, item: T, tag: &Tag, weight: usize, arrival: u64) {
        match self {
            Self::Fifo(queue) => queue.push_back(item),
            // What is called out of line needs the tag in memory. Copied here, it is written only where items have tags.
            tagged => tagged.push_tagged(item, &{ *tag }, weight, arrival),
        }
    }

    #[inline]
    fn push_tagged(&mut self, item: T, tag: &Tag, weight: usize, arrival: u64) {
        match self {
            Self::Fifo(queue) => queue.push_back(item),
            Self::Weighed(queue) => queue.push_back((item, weight)),
            Self::Dated(queue) => queue.push_back((item, weight, tag.deadline)),
            Self::Lanes(lanes) => lanes.push(item, tag, weight, arrival),
            Self::Fair(fair) => fair.push(item, tag, weight, arrival),
        }
    }

    /// The next item in delivery order and its weight.
    #[inline]
    pub(super) fn pop_next(&mut self) -> Option<(T, usize)> {
        match self {
            Self::Fifo(queue) => queue.pop_front().map(|item| (item, 0)),
            Self::Weighed(queue) => queue.pop_front(),
            Self::Dated(queue) => queue.pop_front().map(|(item, weight, _)| (item, weight)),
            Self::Lanes(lanes) => lanes.pop_next(),
            Self::Fair(fair) => fair.pop_next(),
        }
    }

    /// The item that came first.
    #[inline]
    pub(super) fn pop_oldest(&mut self) -> Option<(T, usize)> {
        match self {
            Self::Lanes(lanes) => lanes.pop_oldest(),
            Self::Fair(fair) => fair.pop_oldest(),
            _ => self.pop_next(),
        }
    }

    /// The item that is evicted for one of `key`.
    #[inline]
    pub(super) fn pop_for(&mut self, key: u32) -> Option<(T, usize)> {
        match self {
            Self::Fair(fair) => fair.pop_longest(key),
            _ => self.pop_oldest(),
        }
    }

    /// The next item in delivery order, which is not delivered.
    pub(super) fn discard_next(&mut self) -> Option<(T, usize)> {
        match self {
            Self::Lanes(lanes) => lanes.discard_next(),
            Self::Fair(fair) => fair.discard_next(),
            _ => self.pop_next(),
        }
    }

    /// The deadline of the next item in delivery order, if it has one.
    pub(super) fn peek_deadline(&self) -> Option<Instant> {
        match self {
            Self::Dated(queue) => queue.front()?.2,
            Self::Lanes(lanes) => lanes.peek_deadline(),
            Self::Fair(fair) => fair.peek_deadline(),
            Self::Fifo(_) | Self::Weighed(_) => None,
        }
    }

    /// The item that came first, with all that is known of it.
    pub(super) fn pop_oldest_tagged(&mut self) -> Option<(T, Tag)> {
        let deadline = self.peek_deadline();
        self.pop_oldest().map(|(item, weight)| (item, Tag { weight, deadline, ..Tag::default() }))
    }

    /// The item that would be delivered last; where there are keys, the oldest.
    pub(super) fn pop_last(&mut self) -> Option<(T, usize)> {
        match self {
            Self::Fifo(queue) => queue.pop_back().map(|item| (item, 0)),
            Self::Weighed(queue) => queue.pop_back(),
            Self::Dated(queue) => queue.pop_back().map(|(item, weight, _)| (item, weight)),
            Self::Lanes(lanes) => lanes.pop_last(),
            Self::Fair(fair) => fair.pop_oldest(),
        }
    }

    /// How many items, of what weight together, rank below `priority`.
    pub(super) fn below(&self, priority: Priority) -> (usize, usize) {
        match self {
            Self::Lanes(lanes) => lanes.below(priority),
            _ => (0, 0),
        }
    }

    /// Appends up to `max_items` items to `out`, up to `max_weight` together or one. Returns their number and weight.
    pub(super) fn take(&mut self, out: &mut Vec<T>, max_items: usize, max_weight: usize) -> (usize, usize) {
        match self {
            Self::Fifo(queue) => {
                let taken = max_items.min(queue.len());
                out.extend(queue.drain(..taken));
                (taken, 0)
            }
            Self::Weighed(_) | Self::Dated(_) | Self::Lanes(_) | Self::Fair(_) => {
                self.take_each(max_items, max_weight, |item, _| out.push(item))
            }
        }
    }

    /// The same one by one, each with its weight.
    pub(super) fn take_each(
        &mut self,
        max_items: usize,
        max_weight: usize,
        mut out: impl FnMut(T, usize),
    ) -> (usize, usize) {
        let (mut taken, mut weight) = (0, 0_usize);
        while taken < max_items && self.peek_weight().is_some_and(|next| within(weight, next, max_weight, taken)) {
            let Some((item, item_weight)) = self.pop_next() else { break };
            out(item, item_weight);
            weight = weight.saturating_add(item_weight);
            taken += 1;
        }
        (taken, weight)
    }

    /// Whether items may leave out of turn.
    #[inline]
    pub(super) const fn leaves_out_of_turn(&self) -> bool {
        matches!(self, Self::Lanes(_) | Self::Fair(_))
    }

    /// The arrival number of the oldest item, where items may leave out of turn; `None` where they may not.
    #[inline]
    pub(super) fn oldest(&self) -> Option<u64> {
        match self {
            Self::Lanes(lanes) => lanes.oldest(),
            Self::Fair(fair) => fair.oldest(),
            _ => None,
        }
    }

    pub(super) fn peek_weight(&self) -> Option<usize> {
        match self {
            Self::Fifo(queue) => queue.front().map(|_| 0),
            Self::Weighed(queue) => queue.front().map(|&(_, weight)| weight),
            Self::Dated(queue) => queue.front().map(|&(_, weight, _)| weight),
            Self::Lanes(lanes) => lanes.peek_weight(),
            Self::Fair(fair) => fair.peek_weight(),
        }
    }
}

pub(super) fn within(weight: usize, next: usize, max_weight: usize, taken: usize) -> bool {
    taken == 0 || weight.saturating_add(next) <= max_weight
}
