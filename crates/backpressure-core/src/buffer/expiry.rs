//! Items that grow too old.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::BoundedBuffer;
use super::ages::Expiry;
use super::store::{Store, within};

impl<T> BoundedBuffer<T> {
    /// Heeds the [deadline](crate::Tag::deadline) of each item from now on. What is queued already has none.
    #[must_use]
    pub fn dated(mut self) -> Self {
        let mut expiry = self.expiry.take().unwrap_or_else(|| Expiry::new(None));
        expiry.dated = true;
        Self { store: self.store.dated(), expiry: Some(expiry), open_until: 0, ..self }
    }

    /// Whether items can expire.
    #[inline]
    pub const fn is_expiring(&self) -> bool {
        self.expiry.is_some()
    }

    /// Whether items have deadlines of their own.
    #[doc(hidden)]
    #[inline]
    pub fn is_dated(&self) -> bool {
        self.expiry.as_ref().is_some_and(|expiry| expiry.dated)
    }

    /// So many items may [enter](Self::push) before the time is told again. Until then all that come are to be
    /// [offered](Self::offer).
    #[doc(hidden)]
    pub const fn open_for(&mut self, items: usize) {
        if self.is_expiring() && !self.closed {
            self.open_until = self.accepted.saturating_add(items as u64);
        }
    }

    /// Whether the time is to be told before the next item enters.
    #[doc(hidden)]
    #[inline]
    pub const fn is_due(&self) -> bool {
        self.accepted >= self.open_until
    }

    /// How many items have been accepted since it was last said for how many it is [open](Self::open_for), if it was for so many.
    #[doc(hidden)]
    pub const fn entered(&self, items: usize) -> usize {
        items.saturating_sub(self.open_until.saturating_sub(self.accepted) as usize)
    }

    /// It is `now`: takes what is too old out of the queue, and the next item as long as its deadline has passed. They no
    /// longer hold a slot; [`take_expired`](Self::take_expired) hands them out. Takes constant time for each of them. A
    /// `now` before an earlier one counts as that.
    ///
    /// An item counts as having come at the latest such call before it, or at the first there is: so nothing is given out
    /// that was too old at the latest call, and an item may expire early by the time between that call and its coming. One
    /// that is past its own deadline, but not the next to leave, keeps its place until it is.
    pub fn expire(&mut self, now: Instant) {
        let oldest = self.oldest();
        let Some(expiry) = &mut self.expiry else { return };
        expiry.look(now, self.accepted, oldest);
        self.bury();
    }

    /// What has expired since this was last called, in the order of its going.
    pub fn take_expired(&mut self) -> Vec<T> {
        self.expiry.as_mut().map_or_else(Vec::new, |expiry| std::mem::take(&mut expiry.expired))
    }

    /// Whether the next item, or the oldest, expires within this time of the latest [look](Self::expire), as far as is known.
    #[doc(hidden)]
    pub fn expires_within(&self, time: Duration) -> bool {
        let Some(expiry) = &self.expiry else { return false };
        let Some(now) = expiry.now else { return true };
        let Some(until) = now.checked_add(time) else { return true };
        expiry.due(self.arrival_of_oldest()).is_some_and(|due| due <= until)
            || expiry.dated && self.store.peek_deadline().is_some_and(|due| due <= until)
    }

    /// Puts back what is left of a lease, in front of what is queued.
    #[doc(hidden)]
    pub fn reclaim(&mut self, lease: &mut VecDeque<T>) {
        let Store::Fifo(queue) = &mut self.store else { return };
        self.lent = self.lent.saturating_sub(lease.len());
        self.queued += lease.len();
        while let Some(item) = lease.pop_back() {
            queue.push_front(item);
        }
    }

    /// Takes out of the queue what has expired by the latest look and is next.
    pub(super) fn bury(&mut self) {
        let Some(expiry) = &self.expiry else { return };
        let (stale, now) = (expiry.stale, expiry.now.filter(|_| expiry.dated));
        let is_late = |at| now.is_some_and(|now| at <= now);
        while self.queued > 0 {
            let gone = if self.arrival_of_oldest() < stale {
                self.store.pop_oldest()
            } else if self.store.peek_deadline().is_some_and(is_late) {
                self.store.discard_next()
            } else {
                break;
            };
            let (Some((item, weight)), Some(expiry)) = (gone, &mut self.expiry) else { break };
            self.queued -= 1;
            self.weight = self.weight.saturating_sub(weight);
            expiry.expired.push(item);
        }
    }

    /// Gives out the next items as [`pop_many_weighed`](Self::pop_many_weighed) does, without those that have expired.
    pub(super) fn pop_unexpired(
        &mut self,
        max_items: usize,
        max_weight: usize,
        mut out: impl FnMut(T, usize),
    ) -> usize {
        let (mut taken, mut weight) = (0, 0_usize);
        while taken < max_items {
            self.bury();
            if !self.store.peek_weight().is_some_and(|next| within(weight, next, max_weight, taken)) {
                break;
            }
            let Some((item, item_weight)) = self.store.pop_next() else { break };
            self.queued -= 1;
            self.weight = self.weight.saturating_sub(item_weight);
            weight = weight.saturating_add(item_weight);
            taken += 1;
            out(item, item_weight);
        }
        taken
    }

    /// The arrival number of the oldest item queued.
    fn arrival_of_oldest(&self) -> u64 {
        self.store.oldest().unwrap_or(self.accepted - self.queued as u64)
    }
}
