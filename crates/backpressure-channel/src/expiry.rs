//! Items that expire: when to look at the clock, and what follows.
//!
//! A look takes out of the queue whatever has expired. Taking several items looks, and so does whoever finds no room. One by
//! one, items are counted, and looks follow their pace. A receiver is lent no more items than may go by without a look, and none
//! that could expire meanwhile.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use backpressure_core::{Activity, BoundedBuffer, DropReason, Moved, Strategy, Tag};
use backpressure_rt::Relay;
use backpressure_rt::sync::MutexGuard;

use crate::error::{SendError, Sent};
use crate::place::Place;
use crate::receiver::Receiver;
use crate::shared::{After, Inner, Shared};

/// What has expired, to be disposed of once the lock is released.
#[must_use = "items are in here"]
pub(crate) struct Expired<T> {
    pub(crate) items: Vec<T>,
    changed: bool,
}

impl<T> Expired<T> {
    /// Carries out what is left to do, serves those who wait for the room, and gives the items to the hook.
    pub(crate) fn conclude(self, shared: &Shared<T>, after: After) {
        if self.items.is_empty() {
            return shared.carry_out(after);
        }
        let mut relay = Relay::new();
        relay.call(|| shared.carry_out_all(after.and_more(self.changed)));
        relay.call(|| shared.hooks.dispose(self.items, DropReason::Expired));
        relay.resume();
    }
}

impl<T> Inner<T> {
    /// Takes out what has expired by `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Expired<T> {
        self.buffer.expire(now);
        self.expired()
    }

    /// Takes out what has expired.
    fn look(&mut self) -> Expired<T> {
        self.read_clock();
        self.expired()
    }

    fn read_clock(&mut self) {
        let Some(looks) = &mut self.clock else { return };
        self.buffer.expire(looks.read(self.buffer.entered(looks.quota())));
        self.buffer.open_for(looks.quota());
        if self.buffer.expires_within(looks.grain()) {
            looks.takes = 0;
        }
    }

    /// The same for whoever is to take items: those that follow may be taken without a look, and so may what is lent.
    fn read_clock_to_take(&mut self) {
        self.read_clock();
        let Some(looks) = &mut self.clock else { return };
        if !self.buffer.expires_within(looks.grain()) {
            looks.takes = looks.quota().saturating_sub(self.buffer.lent());
        }
    }

    /// Publishes what has expired since the last time.
    fn expired(&mut self) -> Expired<T> {
        let items = self.buffer.take_expired();
        let moved = Moved::NOTHING.beside_expired(items.len());
        let changed = !items.is_empty() && self.recorder.update(&self.buffer, moved);
        Expired { items, changed }
    }

    /// Looks before an item goes, unless it is known not to expire before the next look.
    fn look_for_the_next(&mut self) {
        self.recall();
        let Some(looks) = &mut self.clock else { return };
        let grain = looks.grain();
        if looks.takes == 0 || !self.waiters.is_empty() || self.buffer.expires_within(grain) {
            self.read_clock_to_take();
        } else {
            looks.takes -= 1;
        }
    }

    /// Whether the time has a say in what leaves the channel, or how fast.
    #[inline]
    pub(crate) const fn minds_time(&self) -> bool {
        self.clock.is_some() || self.timed.is_some()
    }

    /// Whether there is to be a look before an item goes, or at the item. If not, it is counted.
    fn looks_first(&mut self) -> bool {
        let Some(looks) = &mut self.clock else { return false };
        if looks.takes == 0 || !self.waiters.is_empty() || self.buffer.is_dated() {
            return true;
        }
        looks.takes -= 1;
        false
    }
}

impl<T> Shared<T> {
    /// Drops what has expired by now. Returns how many items that were.
    pub(crate) fn expire(&self) -> usize {
        let mut inner = self.lock();
        inner.recall();
        let expired = inner.look();
        let after = inner.settle(Moved::NOTHING);
        drop(inner);
        let count = expired.items.len();
        expired.conclude(self, after);
        count
    }

    /// Whether a look at the clock ends the wait of whoever stands here.
    pub(crate) fn makes_room(&self, place: &Place) -> bool {
        self.is_expiring
            && self.expire() > 0
            && matches!(place, Place::Queued { key, .. } if self.lock().is_settled(*key))
    }

    /// What has expired by now, before many items are offered.
    pub(crate) fn look_before_many(&self, inner: &mut Inner<T>) -> Option<Expired<T>> {
        self.is_expiring.then(|| inner.look())
    }

    /// Takes the next item where that [depends on the time](Inner::minds_time).
    #[inline(never)]
    pub(crate) fn take_in_time(&self, mut inner: MutexGuard<'_, Inner<T>>, lease: &mut VecDeque<T>) -> Option<T> {
        if inner.looks_first() {
            inner.look_for_the_next();
        }
        let item = inner.buffer.pop();
        let expired = inner.buffer.take_expired();
        if item.is_none() && expired.is_empty() {
            return None;
        }
        if item.is_some() {
            inner.recorder.works(Activity::BUSY);
        }
        let taken = usize::from(item.is_some());
        let after = inner.settle_taken(taken, Moved::taken(taken).beside_expired(expired.len()));
        inner.lend_for_a_time(lease);
        drop(inner);
        Expired { items: expired, changed: false }.conclude(self, after);
        item
    }

    /// Offers an item where items expire.
    #[inline(never)]
    pub(crate) fn offer_expiring(
        &self,
        mut inner: MutexGuard<'_, Inner<T>>,
        item: T,
        tag: &Tag,
    ) -> Result<Sent, SendError<T>> {
        inner.look_before_an_edge();
        let evicts = matches!(inner.buffer.strategy(), Strategy::DropOldest);
        let is_due = inner.buffer.is_due() || !(evicts || inner.buffer.has_room(tag.weight));
        let expired = if is_due { inner.look() } else { Expired { items: Vec::new(), changed: false } };
        let offer = inner.offer(item, tag);
        if expired.items.is_empty() {
            return self.conclude(inner, offer);
        }
        let (mut relay, mut sent) = (Relay::new(), None);
        relay.call(|| sent = Some(self.conclude(inner, offer)));
        relay.call(|| expired.conclude(self, After::NOTHING));
        relay.resume();
        sent.expect("nothing has panicked")
    }
}

impl<T> Receiver<T> {
    /// Drops what has expired by now, and answers how many items that were: 0 where items do not expire. They are counted as lost
    /// for [`DropReason::Expired`], and go to the hook.
    ///
    /// Not needed for anything but promptness: what has expired is dropped at the latest when its turn has come. For a consumer
    /// that stands still for long, while others watch how full the channel is.
    pub fn expire(&mut self) -> usize {
        if !self.shared.is_expiring {
            return 0;
        }
        self.reclaim();
        self.shared.expire()
    }

    /// Puts back what was lent.
    fn reclaim(&mut self) {
        let lease = self.lease.get();
        if !lease.is_empty() {
            let mut inner = self.shared.lock();
            inner.recall();
            inner.buffer.reclaim(lease);
        }
    }

    pub(crate) fn take_expiring(
        &mut self,
        then: Option<Activity>,
        take: impl FnOnce(&mut BoundedBuffer<T>) -> usize,
    ) -> usize {
        self.reclaim();
        let mut inner = self.shared.lock();
        inner.recall();
        let expired = inner.look();
        let taken = take(&mut inner.buffer);
        let Expired { mut items, changed } = expired;
        let later = inner.buffer.take_expired();
        if taken + items.len() + later.len() == 0 {
            return 0;
        }
        if let (Some(activity), true) = (then, taken > 0) {
            inner.recorder.works(activity);
        }
        let after = inner.settle_taken(taken, Moved::taken(taken).beside_expired(later.len()));
        drop(inner);
        items.extend(later);
        Expired { items, changed }.conclude(&self.shared, after);
        taken
    }

    /// Polls for the next item where all there is may have expired.
    #[inline(never)]
    pub(crate) fn poll_recv_expiring(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        loop {
            ready!(self.poll_any(cx));
            let item = self.try_recv_locked();
            if item.is_some() || self.has_ended() {
                return Poll::Ready(item);
            }
        }
    }

    /// Whether there being nothing is the end, and not that all there was has expired.
    pub(crate) fn has_ended(&self) -> bool {
        !self.shared.is_expiring || futures_core::FusedStream::is_terminated(self)
    }
}
