//! A bounded buffer with its counters, and what follows from the answer to an offer.

use std::fmt;
use std::mem;

use backpressure_core::{
    Activity, BackpressureConfig, BoundedBuffer, BufferHandle, DropReason, Evicted, Gauge, Hooks, Moved, Offer,
    Recorder, Reporter, Strategy, Tag, TimedCapacity,
};
use backpressure_rt::{Relay, now};

use crate::error::BackpressureSinkError;
use crate::expired::{Expired, Looks};
use crate::wait::Wait;

pub(crate) struct Queue<T> {
    pub(crate) buffer: BoundedBuffer<T>,
    /// An item that came through an open door and is too heavy for the room behind it. It enters before anything else
    /// does, and nothing else may come before it has. There is one only while something is queued.
    heavy: Option<(T, Tag)>,
    wait: Wait,
    recorder: Recorder,
    pub(crate) reporter: Reporter,
    pub(crate) hooks: Hooks<T>,
    handle: Option<BufferHandle>,
    config: Box<BackpressureConfig>,
    /// Where the capacity follows what is delivered.
    timed: Option<Box<TimedCapacity>>,
    /// Where items expire.
    pub(crate) looks: Option<Box<Looks>>,
}

/// What became of the item that was taken out last, where that is not in the books yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Handed {
    #[default]
    Nothing,
    Delivered,
    Failed,
}

/// What became of an offer. To be [carried out](Self::carry_out) once whatever guards the queue is released.
#[must_use = "an item may be in here"]
pub(crate) struct Offered<T> {
    fate: Fate<T>,
    changed: bool,
    expired: Expired<T>,
}

enum Fate<T> {
    Taken,
    Evicting(Evicted<T>),
    Dropped(T, DropReason),
    Refused(T),
}

impl<T> Queue<T> {
    pub(crate) fn new(config: BackpressureConfig) -> Self {
        let recorder = Recorder::new(&config, now, false);
        let reporter = recorder.reporter();
        Self {
            buffer: BoundedBuffer::new(&config),
            heavy: None,
            wait: Wait::default(),
            recorder,
            reporter,
            hooks: Hooks::NONE,
            handle: None,
            timed: TimedCapacity::succeeding(None, &mut config.clone()),
            looks: config.max_age().map(|age| Looks::new(Some(age))),
            config: Box::new(config),
        }
    }

    /// The handle, from the first call on.
    pub(crate) fn handle(&mut self) -> BufferHandle {
        let Self { handle, config, recorder, .. } = self;
        handle.get_or_insert_with(|| BufferHandle::new(config.as_ref().clone(), recorder.gauge())).clone()
    }

    pub(crate) const fn existing_handle(&self) -> Option<&BufferHandle> {
        self.handle.as_ref()
    }

    /// Whether an item, or the queue itself, is to be looked at before the item goes on.
    pub(crate) const fn has_to_look(&self) -> bool {
        self.handle.is_some() || self.hooks.is_tagging()
    }

    /// Takes the configuration that was left, if there is one. An item that waits outside has been taken already: it goes on
    /// waiting, whatever the strategy, unless it can never enter any more.
    #[inline(never)]
    pub(crate) fn adopt(&mut self) -> Adopted<T> {
        match self.handle.as_ref().and_then(BufferHandle::take) {
            Some(config) => self.reconfigure(config),
            None => Adopted { lost: None, changed: false },
        }
    }

    fn reconfigure(&mut self, mut config: BackpressureConfig) -> Adopted<T> {
        self.timed = TimedCapacity::succeeding(self.timed.as_deref(), &mut config);
        let mut changed = self.apply(config);
        let mut lost = None;
        if let Some((item, _)) = self.heavy.take_if(|(_, tag)| !self.buffer.admits(tag.weight)) {
            lost = Some(item);
            self.recorder.stall(false);
            self.wait.end(&self.reporter);
        }
        self.admit_heavy();
        changed |= self.publish(Moved::NOTHING);
        Adopted { lost, changed }
    }

    /// Delivers in the order that the hooks ask for.
    ///
    /// # Panics
    ///
    /// If they ask for two.
    pub(crate) fn reorder(&mut self, order: impl FnOnce(BoundedBuffer<T>) -> BoundedBuffer<T>) {
        if let Err(error) = self.hooks.check() {
            panic!("{error}");
        }
        let bare = BoundedBuffer::new(&BackpressureConfig::default());
        self.buffer = order(mem::replace(&mut self.buffer, bare));
    }

    /// Heeds deadlines.
    pub(crate) fn dated(&mut self) {
        let bare = BoundedBuffer::new(&BackpressureConfig::default());
        self.buffer = mem::replace(&mut self.buffer, bare).dated();
        self.looks.get_or_insert_with(|| Looks::new(None));
    }

    pub(crate) fn gauge(&self) -> Gauge {
        self.recorder.gauge()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether the next item is taken in. Under `Block` that needs a free slot and room for one unit of weight, which an
    /// empty queue always has; the other strategies have an answer to everything.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.is_empty()
            || (self.heavy.is_none()
                && (!matches!(self.buffer.strategy(), Strategy::Block { .. }) || self.buffer.has_room(1)))
    }

    /// The producer waits until this [is open](Self::is_open).
    pub(crate) fn begin_wait(&mut self) {
        self.wait.begin(&self.reporter);
    }

    /// The producer does not wait any more, unless it is with an item that is still outside.
    #[inline]
    pub(crate) fn end_wait(&mut self) {
        if self.heavy.is_none() {
            self.wait.end(&self.reporter);
        }
    }

    /// Whether this item may go straight to the consumer: nothing is ahead of it, and it would be taken in.
    #[inline]
    pub(crate) fn lets_pass(&self, tag: Tag) -> bool {
        self.is_empty() && self.buffer.admits(tag.weight) && tag.deadline.is_none()
    }

    /// The item that was let pass was delivered.
    #[inline]
    pub(crate) fn passed(&mut self) {
        self.recorder.passed();
    }

    /// How many items were ever delivered.
    pub(crate) fn delivered(&self) -> u64 {
        self.recorder.taken()
    }

    /// Gives buffer and instruments another configuration. Returns whether the state changed.
    fn apply(&mut self, config: BackpressureConfig) -> bool {
        if self.buffer.reconfigure(&config).is_err() {
            return false;
        }
        let has_another_age = self.config.max_age() != config.max_age();
        if let Some(looks) = self.looks.as_mut().filter(|_| has_another_age) {
            *looks = Looks::new(config.max_age());
        }
        *self.config = config;
        self.recorder.reconfigured(&self.buffer, &self.config)
    }

    /// Whether the capacity follows what is delivered.
    pub(crate) const fn is_timed(&self) -> bool {
        self.timed.is_some()
    }

    /// An item was delivered; the capacity may follow. Returns whether the state changed by that.
    #[inline(never)]
    fn drained(&mut self) -> bool {
        let queued = self.buffer.len();
        let Some(timed) = &mut self.timed else { return false };
        if !timed.drained(1, queued) {
            return false;
        }
        match timed.observe(now(), queued) {
            Some(items) => self.apply(self.config.at_capacity(items)),
            None => false,
        }
    }

    /// Takes an item in where it has nothing special about it and there is room; else gives it back, still to be
    /// [offered](Self::offer). Returns whether the state changed.
    #[inline]
    pub(crate) fn push(&mut self, item: T) -> Result<bool, T> {
        self.buffer.push(item)?;
        Ok(self.recorder.pushed(&self.buffer))
    }

    pub(crate) fn offer(&mut self, item: T, tag: Tag) -> Offered<T> {
        let expired = self.look_before_offer(tag.weight);
        if self.heavy.is_some() {
            return Offered { fate: Fate::Refused(item), changed: false, expired };
        }
        let (fate, changed) = match self.buffer.offer(item, tag) {
            Offer::Accepted => (Fate::Taken, self.publish(Moved::NOTHING)),
            Offer::AcceptedEvicting(evicted) => {
                let changed = self.publish(Moved::discarded(DropReason::Evicted, evicted.count()));
                (Fate::Evicting(evicted), changed)
            }
            Offer::Dropped(item, reason) => (Fate::Dropped(item, reason), false),
            Offer::Full(item) | Offer::Closed(item) => {
                let fate = self.hold_outside(item, tag);
                (fate, self.publish(Moved::NOTHING))
            }
        };
        Offered { fate, changed, expired }
    }

    /// An item too heavy for a queue that is open waits outside, if it can ever enter.
    fn hold_outside(&mut self, item: T, tag: Tag) -> Fate<T> {
        let blocks = matches!(self.buffer.strategy(), Strategy::Block { .. });
        if !(blocks && self.is_open() && self.buffer.admits(tag.weight)) {
            return Fate::Refused(item);
        }
        self.heavy = Some((item, tag));
        self.recorder.stall(true);
        self.wait.begin(&self.reporter);
        Fate::Taken
    }

    /// Takes the next item, which stays in the books as queued until it is [settled](Self::settle).
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.buffer.pop()?;
        if self.heavy.is_some() {
            self.admit_heavy();
        }
        Some(item)
    }

    pub(crate) fn admit_heavy(&mut self) {
        let Some((item, tag)) = self.heavy.take() else { return };
        if !self.buffer.try_reserve(tag.weight) {
            self.heavy = Some((item, tag));
            return;
        }
        // Not an offer: whatever the strategy has become, nothing is lost for it.
        let entered = self.buffer.fill(item, tag, tag.weight).is_accepted();
        debug_assert!(entered, "a slot was reserved for it");
        self.recorder.stall(false);
        self.wait.end(&self.reporter);
    }

    /// Enters what became of the item that was taken. Returns whether the state changed.
    #[inline(always)]
    #[must_use = "a change of state has to be notified"]
    pub(crate) fn settle(&mut self, handed: Handed) -> bool {
        match handed {
            Handed::Nothing => false,
            Handed::Delivered => {
                let changed = self.recorder.popped(&self.buffer);
                changed | (self.timed.is_some() && self.drained())
            }
            Handed::Failed => self.discard(DropReason::Failed, 1),
        }
    }

    /// Publishes that shutdown has begun. Returns whether that is news.
    #[must_use = "a change of state has to be notified"]
    pub(crate) fn drain(&mut self) -> bool {
        self.end_wait();
        self.recorder.drain()
    }

    /// The consumer takes nothing at present: blocked if something is queued for it, idle if not.
    pub(crate) fn rest(&mut self) {
        self.look_next();
        self.recorder.works(if self.is_empty() { Activity::IDLE } else { Activity::BLOCKED });
    }

    /// Takes out everything, as lost to a consumer that went away. Returns it in the order of delivery, and whether the
    /// state changed.
    pub(crate) fn evacuate(&mut self) -> (Vec<T>, bool) {
        let mut items = Vec::with_capacity(self.buffer.len() + usize::from(self.heavy.is_some()));
        while let Some(item) = self.pop() {
            items.push(item);
        }
        items.extend(self.buffer.take_expired());
        let changed = !items.is_empty() && self.discard(DropReason::Closed, items.len());
        (items, changed)
    }

    fn discard(&mut self, reason: DropReason, items: usize) -> bool {
        self.publish(Moved::discarded(reason, items))
    }

    #[inline(always)]
    pub(crate) fn publish(&mut self, moved: Moved) -> bool {
        self.recorder.update(&self.buffer, moved)
    }
}

/// What is left to do after a configuration was taken, once whatever guards the queue is released.
#[must_use = "an item may be in here"]
pub(crate) struct Adopted<T> {
    lost: Option<T>,
    changed: bool,
}

impl<T> Adopted<T> {
    /// Tells watchers, and gives what can never enter any more to the hook.
    pub(crate) fn carry_out(self, hooks: &Hooks<T>, reporter: &Reporter) {
        let mut relay = Relay::new();
        if self.changed {
            relay.call(|| reporter.notify());
        }
        if let Some(item) = self.lost {
            reporter.refused(DropReason::Overflow);
            relay.call(|| hooks.dispose([item], DropReason::Overflow));
        }
        relay.resume();
    }
}

impl<T> Offered<T> {
    /// Tells watchers, and gives what was lost to the hook.
    #[inline]
    pub(crate) fn carry_out<E>(self, hooks: &Hooks<T>, reporter: &Reporter) -> Result<(), BackpressureSinkError<T, E>> {
        match self {
            Self { fate: Fate::Taken, changed: false, expired } if expired.is_empty() => Ok(()),
            offered => offered.carry_out_all(hooks, reporter),
        }
    }

    fn carry_out_all<E>(self, hooks: &Hooks<T>, reporter: &Reporter) -> Result<(), BackpressureSinkError<T, E>> {
        let mut relay = Relay::new();
        if self.changed {
            relay.call(|| reporter.notify());
        }
        relay.call(|| self.expired.conclude(hooks, reporter));
        let answer = match self.fate {
            Fate::Taken => Ok(()),
            Fate::Evicting(evicted) => {
                relay.call(|| hooks.dispose(evicted, DropReason::Evicted));
                Ok(())
            }
            Fate::Dropped(item, reason) => {
                reporter.refused(reason);
                relay.call(|| hooks.dispose([item], reason));
                Ok(())
            }
            Fate::Refused(item) => {
                reporter.rejected();
                Err(BackpressureSinkError::Full(item))
            }
        };
        relay.resume();
        answer
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        let (items, changed) = self.evacuate();
        let mut relay = Relay::new();
        if changed | self.drain() {
            relay.call(|| self.reporter.notify());
        }
        relay.call(|| self.hooks.dispose(items, DropReason::Closed));
        relay.resume();
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("queued", &self.buffer.len()).field("hooks", &self.hooks).finish()
    }
}
