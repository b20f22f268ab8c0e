//! Items that expire before their batch is yielded.
//!
//! The clock is read at the beginning of each poll, before a batch closes, and as often in between as the driver does. So an
//! item counts as having come at most that much before it did, and no batch holds an item that had expired when it was
//! yielded.

use std::mem;
use std::time::{Duration, Instant};

use backpressure_core::{Batch, BatchAccumulator, ConfigError, DropReason};
use backpressure_rt::{Relay, now};

use super::gather::{Gather, Stop};
use super::losses::Losses;
use super::single::{Batches, Single};

impl<T> Batches<T> {
    /// Drops items that are older than this.
    pub(crate) fn max_age(&mut self, max_age: Duration) -> Result<(), ConfigError> {
        if max_age.is_zero() {
            return Err(ConfigError::new("max_age", "0s", "above 0"));
        }
        self.refine(max_age);
        self.gather.losses().max_age = Some(max_age);
        self.gather.expires();
        Ok(())
    }

    /// Drops items that are past their deadline.
    pub(crate) fn expires_by<D: Into<Option<Instant>>>(&mut self, deadline: impl Fn(&T) -> D + Send + Sync + 'static) {
        self.gather.losses().hooks.expires_by(deadline);
        self.gather.expires();
    }

    pub(crate) fn on_drop(&mut self, hook: impl Fn(T, DropReason) + Send + Sync + 'static) {
        self.gather.losses().hooks.on_drop(hook);
    }

    /// How many items have expired.
    pub(crate) fn expired(&self) -> u64 {
        self.gather.lost.as_ref().map_or(0, |lost| lost.expired)
    }

    /// Drops what has expired since the last poll.
    pub(super) fn expire(&mut self) {
        self.gather.expire_closed();
        self.sample();
        self.disarm_if_empty();
    }
}

impl<T> Single<T> {
    fn losses(&mut self) -> &mut Losses<T> {
        self.lost.get_or_insert_with(Box::default)
    }

    /// Makes items expire. What is held already goes first, as a batch of its own.
    fn expires(&mut self) {
        let max_age = self.losses().max_age;
        self.is_attentive = true;
        let mut before = mem::replace(&mut self.open, BatchAccumulator::new(self.config).expiring(max_age));
        if let Some(held) = before.end() {
            self.closed.add(held);
        }
        self.apply();
    }

    /// Drops the batch that has waited since the last poll, if it has expired.
    fn expire_closed(&mut self) {
        let Some(lost) = &mut self.lost else { return };
        lost.has_closed_one = self.closed.next.is_some();
        if lost.due.take().is_some_and(|due| due <= now()) {
            let late = self.closed.next.take().unwrap_or_default();
            lost.has_closed_one = false;
            lost.expire(late);
        }
    }

    /// Whether this poll has closed a batch already. Another one would have to wait for the next poll, and could expire
    /// meanwhile; the look at the beginning of that closes it just as well.
    pub(super) fn has_closed_one(&self) -> bool {
        self.lost.as_ref().is_some_and(|lost| lost.has_closed_one)
    }

    /// Puts a batch in line.
    pub(super) fn close(&mut self, batch: Batch<T>) {
        self.closed.add(batch);
        if let Some(lost) = &mut self.lost {
            lost.has_closed_one = true;
        }
    }

    /// Drops what has expired by `now`. If something has, the clock is to see what is left.
    pub(super) fn expire(&mut self, now: Instant) {
        self.open.expire(now);
        self.bury();
    }

    /// [Fills](Gather::fill) where items expire.
    pub(super) fn fill_unexpired(
        &mut self,
        most: usize,
        mut next: impl FnMut() -> Result<T, Stop>,
    ) -> (usize, Result<(), Stop>) {
        for items in 0..most {
            match next() {
                Ok(item) => self.take_in(item),
                Err(stop) => return (items, Err(stop)),
            }
            if self.has_closed() {
                self.unseen_from = 0;
                return (items + 1, Ok(()));
            }
        }
        (most, Ok(()))
    }

    /// Adds an item, with a look at the clock if that may close a batch.
    fn take_in(&mut self, item: T) {
        let weight = self.weigh.as_ref().map_or(1, |weigh| weigh.weigh(&item));
        let deadline = self.lost.as_ref().and_then(|lost| lost.hooks.tag(&item).deadline);
        let looked = self.open.may_close(weight).then(now);
        if let Some(now) = looked {
            self.open.expire(now);
        }
        self.open.push_dated(item, weight, deadline, |batch| self.closed.add(batch));
        if let Some(lost) = self.lost.as_mut().filter(|_| self.closed.next.is_some()) {
            lost.has_closed_one = true;
            let too_old = looked.zip(lost.max_age).and_then(|(now, max_age)| now.checked_add(max_age));
            lost.due = [deadline, too_old].into_iter().flatten().min().filter(|_| self.closed.after.is_some());
        }
        self.bury();
    }

    /// Counts what has expired, and gives it to the hook. That may panic: nothing may be in hand.
    fn bury(&mut self) {
        let expired = self.open.take_expired();
        if let Some(lost) = self.lost.as_mut().filter(|_| !expired.is_empty()) {
            self.unseen_from = 0;
            lost.expire(expired);
        }
    }

    /// Everything that is held is lost.
    pub(super) fn lose_all(&mut self) {
        let mut relay = Relay::new();
        relay.call(|| self.bury());
        let held = self.take_all();
        if let Some(lost) = &self.lost {
            relay.call(|| lost.hooks.dispose(held, DropReason::Closed));
        }
        relay.resume();
    }
}
