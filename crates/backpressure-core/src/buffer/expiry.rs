//! Items that grow too old.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::BoundedBuffer;
use super::store::{Store, within};

/// When the items of a buffer expire, and those that have.
///
/// Nothing is stored for an item that has no deadline of its own. Each look at the clock notes how many items had been
/// accepted by then, and an item counts as having come at the latest look before it. Since these ages follow the order of
/// arrival, one number says which items are too old.
#[derive(Debug)]
pub(super) struct Expiry<T> {
    max_age: Option<Duration>,
    /// Whether items have deadlines of their own.
    dated: bool,
    /// The latest look.
    now: Option<Instant>,
    /// How many items had been accepted by each look. The first is the one before the oldest item.
    looks: VecDeque<(u64, Instant)>,
    /// Items with a lower arrival number are too old.
    stale: u64,
    /// What has expired and was not [taken out](BoundedBuffer::take_expired) yet.
    expired: Vec<T>,
}

impl<T> Expiry<T> {
    pub(super) fn new(max_age: Option<Duration>) -> Box<Self> {
        Box::new(Self { max_age, dated: false, now: None, looks: VecDeque::new(), stale: 0, expired: Vec::new() })
    }

    pub(super) const fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// Holds from the next look on.
    pub(super) const fn set_max_age(&mut self, max_age: Option<Duration>) {
        self.max_age = max_age;
    }

    /// It is `now`. So many items were accepted, and all that are held have an arrival number of at least `oldest`.
    fn look(&mut self, now: Instant, accepted: u64, oldest: u64) {
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        let Some(max_age) = self.max_age else { return };
        if self.looks.is_empty() {
            self.looks.push_back((0, now));
        }
        match self.looks.back_mut() {
            Some((before, at)) if *before == accepted => *at = now,
            _ => self.looks.push_back((accepted, now)),
        }
        while let (Some(&(_, at)), Some(&(next, _))) = (self.looks.front(), self.looks.get(1)) {
            let is_over = now.saturating_duration_since(at) >= max_age;
            if is_over {
                self.stale = next;
            } else if next > oldest {
                break;
            }
            self.looks.pop_front();
        }
    }

    /// How long the oldest item has until it is too old, as of the latest look.
    fn left(&self, oldest: u64) -> Option<Duration> {
        let (now, max_age) = (self.now?, self.max_age?);
        let came = self.looks.iter().take_while(|&&(before, _)| before <= oldest).last().or(self.looks.front());
        let came = came.map_or(now, |&(_, at)| at);
        Some(max_age.saturating_sub(now.saturating_duration_since(came)))
    }
}

impl<T> BoundedBuffer<T> {
    /// Heeds the [deadline](crate::Tag::deadline) of each item from now on. What is queued already has none.
    #[must_use]
    pub fn dated(mut self) -> Self {
        let mut expiry = self.expiry.take().unwrap_or_else(|| Expiry::new(None));
        expiry.dated = true;
        Self { store: self.store.dated(), expiry: Some(expiry), ..self }
    }

    /// Whether items can expire.
    #[inline]
    pub const fn is_expiring(&self) -> bool {
        self.expiry.is_some()
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
        expiry.left(self.arrival_of_oldest()).is_some_and(|left| left <= time)
            || expiry.dated && self.store.peek_deadline().is_some_and(|at| at.saturating_duration_since(now) <= time)
    }

    /// Puts back what is left of a lease, in front of what is queued.
    #[doc(hidden)]
    pub fn reclaim(&mut self, lease: &mut VecDeque<T>) {
        let Store::Aging(queue) = &mut self.store else { return };
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
