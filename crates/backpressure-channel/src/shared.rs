//! The state shared by both ends, and its critical section.
//!
//! One short critical section an operation. What runs user code happens after the lock is released: wakers are woken and
//! dropped, watchers notified, lost items disposed of. [`After`] collects what is left to do.

use std::collections::VecDeque;
use std::task::Waker;

use backpressure_core::{
    BackpressureConfig, BoundedBuffer, DropReason, Gauge, Hooks, Moved, Recorder, Reporter, Tag, Tally, TimedCapacity,
};
use backpressure_rt::sync::{AtomicUsize, Mutex, MutexGuard};
use backpressure_rt::{Relay, lock, now, wake_all};

use crate::claim::Kept;
use crate::demand::Demand;
use crate::error::Sent;
use crate::lease::Lease;
use crate::looks::Looks;
use crate::rules::Rules;
use crate::unsent::{Unsent, taken};
use crate::wait_queue::WaitQueue;

#[derive(Debug)]
pub(crate) struct Shared<T> {
    inner: Mutex<Inner<T>>,
    pub(crate) hooks: Hooks<T>,
    pub(crate) reporter: Reporter,
    pub(crate) gauge: Gauge,
    pub(crate) rules: Rules,
    /// Whether it matters what items weigh or how they rank.
    pub(crate) minds_tags: bool,
    pub(crate) is_expiring: bool,
    /// What a plain send answers. It is read as a whole: were it made on the spot, only its tag would be written, and whoever
    /// awaits the answer would read more than that back at once, which takes a tenth of the time of a send.
    pub(crate) accepted: Sent,
    pub(crate) senders: AtomicUsize,
}

#[derive(Debug)]
pub(crate) struct Inner<T> {
    pub(crate) buffer: BoundedBuffer<T>,
    pub(crate) waiters: WaitQueue,
    pub(crate) kept: Kept,
    pub(crate) receiver: Option<(Demand, Waker)>,
    pub(crate) recorder: Recorder,
    pub(crate) lease: Lease,
    pub(crate) config: Box<BackpressureConfig>,
    /// Where items expire.
    pub(crate) clock: Option<Box<Looks>>,
    /// Where the capacity follows what is received.
    pub(crate) timed: Option<Box<TimedCapacity>>,
}

/// What is left to do once the lock is released.
#[derive(Debug)]
#[must_use = "wakes are lost if this is not carried out"]
pub(crate) struct After {
    changed: bool,
    receiver: Option<Waker>,
    producer: Option<Waker>,
    /// Whether another producer may be served.
    more: bool,
}

impl After {
    /// The state may have changed before, too.
    pub(crate) const fn with_change(mut self, changed: bool) -> Self {
        self.changed |= changed;
        self
    }

    pub(crate) const NOTHING: Self = Self { changed: false, receiver: None, producer: None, more: false };

    /// The same where room has come free besides.
    pub(crate) fn and_more(self, changed: bool) -> Self {
        Self { more: true, ..self.with_change(changed) }
    }

    #[inline]
    const fn concerns_anybody(&self) -> bool {
        self.changed || self.receiver.is_some() || self.producer.is_some()
    }
}

impl<T> Shared<T> {
    pub(crate) fn new(config: &BackpressureConfig, buffer: BoundedBuffer<T>, hooks: Hooks<T>, tracked: bool) -> Self {
        let recorder = Recorder::new(config, now, tracked);
        let is_expiring = buffer.is_expiring();
        Self {
            reporter: recorder.reporter(),
            gauge: recorder.gauge(),
            rules: Rules::new(config, &hooks, is_expiring),
            minds_tags: config.max_weight().is_some() || hooks.is_ranking() || hooks.is_fair() || hooks.is_dating(),
            is_expiring,
            accepted: Sent::Accepted,
            senders: AtomicUsize::new(1),
            inner: Mutex::new(Inner {
                buffer,
                waiters: WaitQueue::new(),
                kept: Kept::default(),
                receiver: None,
                lease: Lease::new(recorder.tally()),
                clock: is_expiring.then(|| Box::new(Looks::new(config.max_age()))),
                recorder,
                config: Box::new(config.clone()),
                timed: TimedCapacity::succeeding(None, &mut config.clone()),
            }),
            hooks,
        }
    }

    /// No user code runs under this lock, so no panic can have left anything half done.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        lock(&self.inner)
    }

    /// For the receiver, to count what it takes of its lease.
    pub(crate) fn tally(&self) -> Tally {
        self.lock().recorder.tally()
    }

    #[inline]
    pub(crate) fn tag(&self, item: &T) -> Tag {
        self.hooks.tag(item)
    }

    /// Closes the intake and wakes everyone. What is queued stays.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.buffer.close();
        let changed = inner.recorder.drain();
        inner.recorder.resume();
        let receiver = inner.receiver.take().map(|(_, waker)| waker);
        let producers = inner.waiters.wakers();
        drop(inner);
        let mut relay = Relay::new();
        if changed {
            relay.call(|| self.reporter.notify());
        }
        relay.call(|| wake_all(receiver.into_iter().chain(producers)));
        relay.resume();
    }

    /// Discards what is queued, and what is left of the `lease`.
    pub(crate) fn clear(&self, lease: &mut VecDeque<T>, reason: DropReason) {
        let items = self.evacuate(lease, reason);
        self.hooks.dispose(items, reason);
    }

    /// Takes out what is queued, after what is left of the `lease`, as lost for `reason`. If a waker panics, the hook gets it.
    pub(crate) fn evacuate(&self, lease: &mut VecDeque<T>, reason: DropReason) -> Vec<T> {
        let mut items = Vec::from(std::mem::take(lease));
        let mut inner = self.lock();
        inner.recall();
        inner.buffer.discard_lent(items.len());
        inner.buffer.pop_many(&mut items, usize::MAX, usize::MAX);
        items.extend(inner.buffer.take_expired());
        let after = inner.settle(Moved::discarded(reason, items.len()));
        drop(inner);
        self.carry_out_or(after, || self.hooks.dispose(items.drain(..), reason));
        items
    }

    /// Wakes and notifies, outside the lock, until nobody more can be served.
    #[inline(always)]
    pub(crate) fn carry_out(&self, after: After) {
        if after.concerns_anybody() {
            self.carry_out_all(after);
        }
    }

    /// The same for whoever was just given something. If a waker panics nobody hears of that, so it is taken back with `undo`
    /// before the panic goes on.
    #[inline]
    pub(crate) fn carry_out_or(&self, after: After, undo: impl FnOnce()) {
        if after.concerns_anybody() {
            let mut relay = Relay::new();
            relay.call(|| self.carry_out_all(after));
            if relay.has_panicked() {
                relay.call(undo);
            }
            relay.resume();
        }
    }

    #[inline(never)]
    pub(crate) fn carry_out_all(&self, mut after: After) {
        let mut relay = Relay::new();
        loop {
            if after.changed {
                relay.call(|| self.reporter.notify());
            }
            after.receiver.into_iter().chain(after.producer).for_each(|waker| relay.call(|| waker.wake()));
            if !after.more {
                return relay.resume();
            }
            after = self.lock().settle(Moved::NOTHING);
        }
    }
}

impl<T> Inner<T> {
    /// Takes the item in where that is all: it changes no state, and nobody waits for room. Answers the waker of the receiver if
    /// this is what it waits for.
    #[inline]
    pub(crate) fn push(&mut self, item: &mut Option<T>) -> Result<Option<Waker>, Unsent> {
        if self.recorder.is_edge(self.buffer.held() + 1) || !self.waiters.is_empty() {
            return Err(Unsent);
        }
        if !self.buffer.push_with(|| taken(item)) {
            return Err(Unsent);
        }
        let changed = self.recorder.pushed(&self.buffer);
        debug_assert!(!changed, "there was no edge");
        Ok(self.take_waker())
    }

    /// An item came in: wakes the receiver if this is what it waits for.
    #[inline(always)]
    pub(crate) fn arrived(&mut self, moved: Moved) -> After {
        let mut changed = self.recorder.update(&self.buffer, moved);
        if changed && self.buffer.lent() > 0 {
            changed |= self.revoke();
        }
        After { changed, receiver: self.take_waker(), producer: None, more: false }
    }

    /// A producer came to wait, or put less or more into its slot than was reserved: serves whoever can be served, and
    /// wakes the receiver if this is what it waits for.
    pub(crate) fn rearranged(&mut self) -> After {
        let after = self.settle(Moved::NOTHING);
        After { receiver: self.take_waker(), ..after }
    }

    /// The waker of a receiver whose demand is met.
    #[inline]
    fn take_waker(&mut self) -> Option<Waker> {
        let met = self.receiver.as_ref().is_some_and(|(demand, _)| self.meets(*demand));
        if !met {
            return None;
        }
        self.recorder.resume();
        self.hurry();
        self.receiver.take().map(|(_, waker)| waker)
    }

    /// The next item is looked at with the clock, where items expire: somebody waits, or did.
    #[inline]
    pub(crate) fn hurry(&mut self) {
        if let Some(looks) = &mut self.clock {
            looks.takes = 0;
            self.buffer.open_for(0);
        }
    }

    /// The producer that is served next, and what it wants. Those to whom no room can come as long as slots are kept without an
    /// item are passed over, or one permit that is never used would stop everybody behind them.
    #[inline]
    pub(crate) fn first_in_line(&self) -> Option<(usize, usize)> {
        self.waiters.first(|weight| self.kept.bars(&self.buffer, weight))
    }

    /// Whether a producer in the queue need not wait any longer: it was served or sent away, or the channel is closed.
    pub(crate) fn is_settled(&self, key: usize) -> bool {
        !self.waiters.is_waiting(key) || self.buffer.is_closed()
    }

    /// Whether a receiver with this demand has something to do.
    #[inline]
    pub(crate) fn meets(&self, demand: Demand) -> bool {
        demand.is_met(&self.buffer, !self.waiters.is_empty()) || self.buffer.is_closed()
    }

    /// Room may have come free: serves the first producer that waits, and publishes the books.
    #[inline]
    pub(crate) fn settle(&mut self, moved: Moved) -> After {
        self.recall();
        let producer = match self.first_in_line() {
            Some((key, weight)) if self.buffer.try_reserve(weight) => self.waiters.serve(key),
            _ => None,
        };
        let more = producer.is_some() && !self.waiters.is_empty();
        self.recorder.stall(self.first_in_line().is_some());
        let mut changed = self.recorder.update(&self.buffer, moved);
        if self.buffer.lent() > 0 {
            changed |= self.revoke();
        }
        After { changed, receiver: None, producer, more }
    }
}
