//! Items that expire: when to look at the clock, and what follows.
//!
//! A look takes out of the queue whatever has expired. Taking several items looks, and so does whoever finds no room. One by
//! one, items are counted, and looks follow their pace. A receiver is lent no more items than may go by without a look, and none
//! that could expire meanwhile.

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
        if let Some(clock) = &mut self.clock {
            self.buffer.expire(clock.look());
        }
        self.expired()
    }

    /// Publishes what has expired since the last time.
    fn expired(&mut self) -> Expired<T> {
        let items = self.buffer.take_expired();
        let moved = Moved::NOTHING.beside_expired(items.len());
        let changed = !items.is_empty() && self.recorder.update(&self.buffer, moved);
        Expired { items, changed }
    }

    /// An item is offered.
    fn tick_in(&mut self, weight: usize) -> Expired<T> {
        let Some(clock) = &mut self.clock else { return self.expired() };
        let evicts = matches!(self.buffer.strategy(), Strategy::DropOldest);
        match clock.tick() {
            Some(now) => self.buffer.expire(now),
            None if evicts || self.buffer.has_room(weight) => {}
            None => self.buffer.expire(clock.look()),
        }
        self.expired()
    }

    /// An item is to go.
    fn tick_out(&mut self) {
        let Some(clock) = &mut self.clock else { return };
        let tick = clock.tick();
        let minds = self.lease.is_unseen || !self.waiters.is_empty() || self.buffer.expires_within(clock.grain());
        if let Some(now) = tick.or_else(|| minds.then(|| clock.look())) {
            self.buffer.expire(now);
        }
    }

    /// How many items the receiver may take before the next look, if none of them expires by then.
    pub(crate) fn unseen(&self) -> usize {
        match &self.clock {
            None => usize::MAX,
            Some(clock) if self.buffer.expires_within(clock.grain()) => 0,
            Some(clock) => clock.left(),
        }
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

    /// Offers an item where items expire.
    #[inline(never)]
    pub(crate) fn offer_expiring(
        &self,
        mut inner: MutexGuard<'_, Inner<T>>,
        item: T,
        tag: Tag,
    ) -> Result<Sent, SendError<T>> {
        inner.look_before_an_edge();
        let expired = inner.tick_in(tag.weight);
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

    pub(crate) fn try_recv_expiring(&mut self) -> Option<T> {
        let mut inner = self.shared.lock();
        inner.tick_out();
        let item = inner.buffer.pop();
        let expired = inner.buffer.take_expired();
        if item.is_none() && expired.is_empty() {
            return None;
        }
        if item.is_some() {
            inner.recorder.works(Activity::BUSY);
        }
        let taken = usize::from(item.is_some());
        let follows = inner.drained(taken);
        let after = inner.settle(Moved::taken(taken).beside_expired(expired.len())).with_change(follows);
        inner.lend(self.lease.get());
        drop(inner);
        Expired { items: expired, changed: false }.conclude(&self.shared, after);
        item
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
        let follows = inner.drained(taken);
        let after = inner.settle(Moved::taken(taken).beside_expired(later.len())).with_change(follows);
        drop(inner);
        items.extend(later);
        Expired { items, changed }.conclude(&self.shared, after);
        taken
    }

    /// Whether there being nothing is the end, and not that all there was has expired.
    pub(crate) fn has_ended(&self) -> bool {
        !self.shared.is_expiring || futures_core::FusedStream::is_terminated(self)
    }
}
