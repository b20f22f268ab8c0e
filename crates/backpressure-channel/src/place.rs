//! A producer's place in the queue, and how it gets a slot.

use std::task::{Poll, Waker};
use std::time::Instant;

use backpressure_core::Moved;
use backpressure_rt::now;

use crate::claim::Claim;
use crate::shared::Shared;

/// Where a producer stands. Whoever has one calls [`Shared::abandon`] before dropping it.
#[derive(Debug, Default)]
pub(crate) enum Place {
    /// Not in the queue.
    #[default]
    Nowhere,
    /// In the queue, or served and not aware of it yet.
    Queued { key: usize, since: Instant },
}

/// Why there is no slot to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// The channel is closed.
    Closed,
    /// The strategy does not let producers wait, or there can be no room: the item is to be offered again.
    Dismissed,
}

impl<T> Shared<T> {
    /// Ready with a slot for this claim. Pending means queued for one, with this waker as the one that is woken.
    pub(crate) fn poll_reserve(&self, place: &mut Place, claim: Claim, waker: &Waker) -> Poll<Result<(), NoSlot>> {
        match self.try_place(place, claim) {
            Some(ready) => Poll::Ready(ready),
            None => self.poll_line(place, claim, waker),
        }
    }

    /// The same for whoever has just been told that there is no room.
    pub(crate) fn poll_turn(&self, place: &mut Place, claim: Claim, waker: &Waker) -> Poll<Result<(), NoSlot>> {
        match *place {
            Place::Nowhere => self.poll_line(place, claim, waker),
            Place::Queued { .. } => self.poll_reserve(place, claim, waker),
        }
    }

    /// Stands in line.
    fn poll_line(&self, place: &mut Place, claim: Claim, waker: &Waker) -> Poll<Result<(), NoSlot>> {
        // Cloning and dropping wakers is the user's code, so it happens outside the lock; and since room may have come
        // meanwhile, there is another look under it.
        let waker = waker.clone();
        let settled = match *place {
            Place::Nowhere => {
                let since = now();
                let mut inner = self.lock();
                if !inner.buffer.is_closed() && !inner.lets_wait(claim.weight) {
                    return Poll::Ready(Err(NoSlot::Dismissed));
                }
                let key = inner.waiters.join(claim.weight, waker);
                *place = Place::Queued { key, since };
                self.reporter.producer_waits();
                let news = inner.minds_time().then(|| (inner.expire(since), inner.look_at_the_rate(since)));
                let after = inner.rearranged();
                let settled = inner.is_settled(key);
                drop(inner);
                match news {
                    None => self.carry_out(after),
                    Some((expired, changed)) => expired.conclude(self, after.with_change(changed)),
                }
                settled
            }
            Place::Queued { key, .. } => {
                let mut inner = self.lock();
                let settled = inner.is_settled(key);
                let replaced = if settled { Some(waker) } else { inner.waiters.refresh(key, waker) };
                drop(inner);
                drop(replaced);
                settled
            }
        };
        let ready = if settled { self.try_place(place, claim) } else { None };
        ready.map_or(Poll::Pending, Poll::Ready)
    }

    /// A slot, if there is one to be had or one was given; or the news that the channel is closed.
    fn try_place(&self, place: &mut Place, claim: Claim) -> Option<Result<(), NoSlot>> {
        let mut inner = self.lock();
        let closed = inner.buffer.is_closed();
        match *place {
            Place::Nowhere if closed => Some(Err(NoSlot::Closed)),
            Place::Nowhere => {
                inner.look_before_an_edge();
                if inner.first_in_line().is_some() || !inner.buffer.try_reserve(claim.weight) {
                    return None;
                }
                inner.kept.add(claim);
                let after = inner.settle(Moved::NOTHING);
                drop(inner);
                self.carry_out_or(after, || self.release(claim));
                Some(Ok(()))
            }
            Place::Queued { .. } if closed => {
                drop(inner);
                self.abandon(place, claim.weight);
                Some(Err(NoSlot::Closed))
            }
            Place::Queued { key, .. } if inner.waiters.is_dismissed(key) => {
                drop(inner);
                self.abandon(place, claim.weight);
                Some(Err(NoSlot::Dismissed))
            }
            Place::Queued { key, since } if inner.waiters.is_served(key) => {
                let left = inner.waiters.leave(key);
                inner.kept.add(claim);
                // Whoever stands behind one that is passed over from now on may fit.
                let after = claim.is_kept.then(|| inner.settle(Moved::NOTHING));
                drop(inner);
                drop(left);
                *place = Place::Nowhere;
                self.waited(since);
                if let Some(after) = after {
                    self.carry_out_or(after, || self.release(claim));
                }
                Some(Ok(()))
            }
            Place::Queued { .. } => None,
        }
    }

    /// Gives up the place. A slot that was given already is handed on.
    #[inline]
    pub(crate) fn abandon(&self, place: &mut Place, weight: usize) {
        if let Place::Queued { key, since } = std::mem::take(place) {
            self.leave(key, since, weight);
        }
    }

    #[cold]
    fn leave(&self, key: usize, since: Instant, weight: usize) {
        let mut inner = self.lock();
        let left = inner.waiters.leave(key);
        if left.served {
            inner.buffer.release(weight);
        }
        // Whoever stood behind this one may fit where it did not.
        let after = inner.settle(Moved::NOTHING);
        drop(inner);
        drop(left);
        self.waited(since);
        self.carry_out(after);
    }

    /// A wait is over, in vain or not.
    fn waited(&self, since: Instant) {
        let now = now();
        self.reporter.producer_waited();
        self.reporter.producer_wait(now, now.saturating_duration_since(since));
    }

    /// Gives back a slot that was granted.
    pub(crate) fn release(&self, claim: Claim) {
        let mut inner = self.lock();
        inner.kept.remove(claim);
        inner.buffer.release(claim.weight);
        let after = inner.settle(Moved::NOTHING);
        drop(inner);
        self.carry_out(after);
    }
}
