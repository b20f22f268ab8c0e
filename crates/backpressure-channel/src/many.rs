//! Many items offered under one lock.

use std::collections::VecDeque;

use backpressure_core::{BoundedBuffer, DropReason, Hooks, Moved, Offer, Strategy, Tag};

use crate::error::SentMany;
use crate::shared::Shared;

/// Why items were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Closed,
}

/// Items on their way in.
struct Run<'a, T> {
    queue: VecDeque<T>,
    /// What they weigh and how they rank; empty where that does not matter.
    tags: &'a mut VecDeque<Tag>,
    sent: SentMany,
    losses: Losses<'a, T>,
}

/// What becomes of the items of a run that are left, if any.
enum Rest {
    Lost(DropReason),
    Refused(Refusal),
}

impl<T> Shared<T> {
    /// What the closures say of the items, if it matters.
    pub(crate) fn tags(&self, items: &[T]) -> VecDeque<Tag> {
        let tags = items.iter().map(|item| self.tag(item));
        if self.minds_tags {
            return tags.collect();
        }
        tags.for_each(drop);
        VecDeque::new()
    }

    /// Offers items under the strategy, one after the other, until one is refused: that one and those behind it stay in
    /// `items`, and their tags in `tags`. Nobody overtakes a producer that waits.
    ///
    /// With a slot `reserved` for a weight, that is used up, and the first item has its place.
    pub(crate) fn offer_many(
        &self,
        items: &mut Vec<T>,
        tags: &mut VecDeque<Tag>,
        reserved: Option<usize>,
    ) -> (SentMany, Result<(), Refusal>) {
        let queue = VecDeque::from(std::mem::take(items));
        let mut run = Run { queue, tags, sent: SentMany::default(), losses: Losses::new(&self.hooks) };
        let mut inner = self.lock();
        inner.recall();
        let expired = self.look_before_many(&mut inner);
        if let Some(weight) = reserved {
            inner.buffer.release(weight);
        }
        let most = if inner.first_in_line().is_none() { usize::MAX } else { usize::from(reserved.is_some()) };
        let rest = run.enter(&mut inner.buffer, most);
        let moved = match run.sent.evicted {
            0 => Moved::NOTHING,
            evicted => Moved::discarded(DropReason::Evicted, evicted),
        };
        let after = if reserved.is_some() { inner.rearranged() } else { inner.arrived(moved) };
        drop(inner);

        let Run { queue, mut sent, mut losses, .. } = run;
        let refused = match rest {
            Rest::Refused(refusal) => {
                *items = queue.into();
                Err(refusal)
            }
            Rest::Lost(reason) => {
                losses.rest = (queue, reason);
                Ok(())
            }
        };
        for reason in [DropReason::Overflow, DropReason::Sampled] {
            let dropped = losses.count(reason);
            if dropped > 0 {
                self.reporter.refused_many(reason, dropped);
                sent.dropped += dropped;
            }
        }
        match expired {
            None => self.carry_out(after),
            Some(expired) => expired.conclude(self, after),
        }
        losses.dispose();
        if refused.is_ok() {
            *items = std::mem::take(&mut losses.rest.0).into();
        }
        (sent, refused)
    }
}

impl<T> Run<'_, T> {
    fn enter(&mut self, buffer: &mut BoundedBuffer<T>, most: usize) -> Rest {
        let strategy = buffer.strategy();
        // What fits enters without further ado, unless it matters which items they are, or how many were offered.
        if self.tags.is_empty() && !matches!(strategy, Strategy::Sample { .. }) {
            self.sent.accepted += buffer.extend(most, || self.queue.pop_front());
        }
        match strategy {
            Strategy::DropNewest if buffer.room() == 0 && !buffer.is_closed() => {
                self.tags.clear();
                Rest::Lost(DropReason::Overflow)
            }
            Strategy::DropOldest => self.exchange(buffer, most),
            _ => self.offer(buffer, most),
        }
    }

    /// Puts the oldest items in the place of the incoming ones, as far as that is all there is to it.
    fn exchange(&mut self, buffer: &mut BoundedBuffer<T>, most: usize) -> Rest {
        let exchanged = buffer.exchange_all(self.queue.iter_mut());
        if exchanged == 0 {
            return self.offer(buffer, most);
        }
        self.sent.accepted += exchanged;
        self.sent.evicted += exchanged;
        Rest::Lost(DropReason::Evicted)
    }

    /// Offers one after the other.
    fn offer(&mut self, buffer: &mut BoundedBuffer<T>, most: usize) -> Rest {
        while let Some(item) = self.queue.pop_front() {
            if self.sent.accepted == most {
                return self.refuse(item, Refusal::Full);
            }
            let tag = self.tags.front().copied().unwrap_or_default();
            match buffer.offer(item, tag) {
                Offer::Accepted => self.sent.accepted += 1,
                Offer::AcceptedEvicting(evicted) => {
                    self.sent.accepted += 1;
                    self.sent.evicted += evicted.count();
                    self.losses.evicted.extend(evicted);
                }
                Offer::Dropped(item, DropReason::Sampled) => self.losses.sampled.push(item),
                Offer::Dropped(item, _) => self.losses.overflow.push(item),
                Offer::Full(item) => return self.refuse(item, Refusal::Full),
                Offer::Closed(item) => return self.refuse(item, Refusal::Closed),
            }
            self.tags.pop_front();
        }
        Rest::Lost(DropReason::Overflow)
    }

    fn refuse(&mut self, item: T, refusal: Refusal) -> Rest {
        self.queue.push_front(item);
        Rest::Refused(refusal)
    }
}

/// Items that were lost, to be disposed of outside the lock.
struct Losses<'a, T> {
    hooks: &'a Hooks<T>,
    /// What was left of a run.
    rest: (VecDeque<T>, DropReason),
    evicted: Vec<T>,
    sampled: Vec<T>,
    overflow: Vec<T>,
}

impl<'a, T> Losses<'a, T> {
    const fn new(hooks: &'a Hooks<T>) -> Self {
        let rest = (VecDeque::new(), DropReason::Overflow);
        Self { hooks, rest, evicted: Vec::new(), sampled: Vec::new(), overflow: Vec::new() }
    }

    /// How many did not enter, for this reason.
    fn count(&self, reason: DropReason) -> usize {
        let rest = if self.rest.1 == reason { self.rest.0.len() } else { 0 };
        rest + if reason == DropReason::Sampled { self.sampled.len() } else { self.overflow.len() }
    }

    fn dispose(&mut self) {
        self.hooks.dispose(self.rest.0.drain(..), self.rest.1);
        self.hooks.dispose(std::mem::take(&mut self.evicted), DropReason::Evicted);
        self.hooks.dispose(std::mem::take(&mut self.sampled), DropReason::Sampled);
        self.hooks.dispose(std::mem::take(&mut self.overflow), DropReason::Overflow);
    }
}

/// Where a waker or the hook panicked, the others still get their turn.
impl<T> Drop for Losses<'_, T> {
    fn drop(&mut self) {
        self.dispose();
    }
}
