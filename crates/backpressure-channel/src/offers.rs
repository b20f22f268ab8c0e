//! The outcome of an offer: accepted, dropped or handed back.

use std::num::NonZeroUsize;

use backpressure_core::{DropReason, Moved, Offer, Tag};
use backpressure_rt::Relay;
use backpressure_rt::sync::MutexGuard;

use crate::claim::Claim;
use crate::error::{SendError, Sent};
use crate::rules::Seen;
use crate::shared::{Inner, Shared};
use crate::unsent::{Unsent, taken};

impl<T> Shared<T> {
    /// Puts the item into the queue, where that is all there is to an offer. It is moved there from where it is, once.
    ///
    /// # Errors
    ///
    /// The lock. The item is still where it was, and [to be offered](Self::offer_closely).
    #[inline(always)]
    pub(crate) fn push(&self, item: &mut Option<T>) -> Result<(), MutexGuard<'_, Inner<T>>> {
        self.push_under(self.lock(), item)
    }

    #[inline(always)]
    fn push_under<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner<T>>,
        item: &mut Option<T>,
    ) -> Result<(), MutexGuard<'a, Inner<T>>> {
        match inner.push(item) {
            Ok(receiver) => {
                drop(inner);
                if let Some(receiver) = receiver {
                    receiver.wake();
                }
                Ok(())
            }
            Err(Unsent) => Err(inner),
        }
    }

    /// Offers an item without a tag under the strategy, and counts it if it comes back. Nobody overtakes a producer that waits.
    #[inline(always)]
    pub(crate) fn offer(&self, mut item: T) -> Result<Sent, SendError<T>> {
        let mut inner = self.lock();
        if inner.buffer.exchange(&mut item) {
            return Ok(self.exchanged(inner, item));
        }
        let mut item = Some(item);
        match self.push_under(inner, &mut item) {
            Ok(()) => Ok(self.accepted),
            Err(inner) => self.reported(self.offer_closely(inner, taken(&mut item), &Tag::DEFAULT)),
        }
    }

    /// Offers an item that is weighed, ranked or dated, and counts it if it comes back.
    #[inline(never)]
    pub(crate) fn offer_tagged(&self, mut item: T) -> Result<Sent, SendError<T>> {
        let tag = self.hooks.tag_in_line(&item);
        let mut inner = self.lock();
        if inner.buffer.exchange_own(&mut item, &tag) {
            return Ok(self.exchanged_own(inner, item));
        }
        self.reported(self.offer_closely(inner, item, &tag))
    }

    /// Offers an item under the strategy.
    pub(crate) fn offer_uncounted(&self, item: T, tag: &Tag) -> Result<Sent, SendError<T>> {
        let mut item = Some(item);
        match self.push(&mut item) {
            Ok(()) => Ok(self.accepted),
            Err(inner) => self.offer_closely(inner, taken(&mut item), tag),
        }
    }

    /// Offers an item where there is more to it than putting it into the queue.
    #[inline(never)]
    pub(crate) fn offer_closely(
        &self,
        mut inner: MutexGuard<'_, Inner<T>>,
        mut item: T,
        tag: &Tag,
    ) -> Result<Sent, SendError<T>> {
        if inner.buffer.exchange(&mut item) {
            return Ok(self.exchanged(inner, item));
        }
        if inner.buffer.exchange_own(&mut item, tag) {
            return Ok(self.exchanged_own(inner, item));
        }
        if self.is_expiring {
            return self.offer_expiring(inner, item, tag);
        }
        inner.look_before_an_edge();
        let offer = inner.offer(item, tag);
        self.conclude(inner, offer)
    }

    /// Whether it is known without the lock that there is no room, and the strategy makes none: the offer of an item,
    /// whatever its weight and rank, comes to [this](Self::turn_away).
    #[inline]
    pub(crate) fn turns_away(&self) -> Option<Seen> {
        let seen = self.rules.look();
        let turns_away = !seen.asks() && self.reporter.is_full() && self.rules.are_still(seen);
        turns_away.then_some(seen)
    }

    /// Answers an offer without the lock, and counts it.
    #[inline]
    pub(crate) fn turn_away(&self, item: T, seen: Seen) -> Result<Sent, SendError<T>> {
        if seen.tells() {
            return self.turn_away_and_tell(item, seen);
        }
        if seen.discards() {
            self.reporter.refused(DropReason::Overflow);
            Ok(Sent::Dropped(DropReason::Overflow))
        } else {
            self.reporter.rejected();
            Err(SendError::Full(item))
        }
    }

    #[inline(never)]
    fn turn_away_and_tell(&self, item: T, seen: Seen) -> Result<Sent, SendError<T>> {
        // Whoever weighs and ranks is shown every item that is offered.
        self.tag(&item);
        if seen.discards() {
            Ok(self.refuse(item, DropReason::Overflow))
        } else {
            self.reported(Err(SendError::Full(item)))
        }
    }

    /// Counts an item that comes back to its producer.
    #[inline]
    pub(crate) fn reported(&self, sent: Result<Sent, SendError<T>>) -> Result<Sent, SendError<T>> {
        if sent.is_err() {
            self.reporter.rejected();
        }
        sent
    }

    /// Uses up a slot that was granted.
    pub(crate) fn fill(&self, item: T, tag: Tag, claim: Claim) -> Result<Sent, SendError<T>> {
        let mut inner = self.lock();
        inner.kept.remove(claim);
        let offer = inner.buffer.fill(item, tag, claim.weight);
        let after = inner.rearranged();
        drop(inner);
        self.carry_out(after);
        match offer {
            Offer::Full(item) => Err(SendError::Full(item)),
            Offer::Closed(item) => Err(SendError::Closed(item)),
            Offer::Accepted | Offer::AcceptedEvicting(_) | Offer::Dropped(..) => Ok(Sent::Accepted),
        }
    }

    /// As many are queued as before, so nobody has anything to do.
    #[inline]
    fn exchanged(&self, mut inner: MutexGuard<'_, Inner<T>>, oldest: T) -> Sent {
        let Inner { recorder, buffer, .. } = &mut *inner;
        recorder.exchanged(buffer);
        self.evicted(inner, oldest)
    }

    /// The same where it is the oldest of its key.
    #[inline(always)]
    fn exchanged_own(&self, mut inner: MutexGuard<'_, Inner<T>>, oldest: T) -> Sent {
        let Inner { recorder, buffer, .. } = &mut *inner;
        recorder.exchanged_own(buffer);
        self.evicted(inner, oldest)
    }

    #[inline]
    fn evicted(&self, inner: MutexGuard<'_, Inner<T>>, oldest: T) -> Sent {
        drop(inner);
        self.hooks.dispose([oldest], DropReason::Evicted);
        Sent::Evicting(NonZeroUsize::MIN)
    }

    #[inline(always)]
    pub(crate) fn conclude(&self, mut inner: MutexGuard<'_, Inner<T>>, offer: Offer<T>) -> Result<Sent, SendError<T>> {
        match offer {
            Offer::Accepted => {
                let after = inner.arrived(Moved::NOTHING);
                drop(inner);
                self.carry_out(after);
                Ok(Sent::Accepted)
            }
            Offer::AcceptedEvicting(evicted) => {
                let count = evicted.count();
                let after = inner.arrived(Moved::discarded(DropReason::Evicted, count));
                drop(inner);
                let mut relay = Relay::new();
                relay.call(|| self.carry_out(after));
                relay.call(|| self.hooks.dispose(evicted, DropReason::Evicted));
                relay.resume();
                Ok(count.try_into().map_or(Sent::Accepted, Sent::Evicting))
            }
            Offer::Dropped(item, reason) => {
                drop(inner);
                Ok(self.refuse(item, reason))
            }
            Offer::Full(item) => Err(SendError::Full(item)),
            Offer::Closed(item) => Err(SendError::Closed(item)),
        }
    }

    /// Discards an item that did not enter.
    #[inline]
    fn refuse(&self, item: T, reason: DropReason) -> Sent {
        self.reporter.refused(reason);
        self.hooks.dispose([item], reason);
        Sent::Dropped(reason)
    }
}

impl<T> Inner<T> {
    /// Offers an item to the buffer. Nobody overtakes a producer that waits.
    #[inline(always)]
    pub(crate) fn offer(&mut self, item: T, tag: &Tag) -> Offer<T> {
        if self.first_in_line().is_none() || self.buffer.is_closed() {
            self.buffer.offer_with(item, tag)
        } else {
            Offer::Full(item)
        }
    }
}
