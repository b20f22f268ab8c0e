//! A bounded buffer that belongs to one task, without a lock.

mod expiry;
mod order;
mod reconfigure;

use backpressure_core::{
    Activity, BackpressureConfig, BoundedBuffer, BufferHandle, DropReason, Gauge, Hooks, Moved, Offer, Oversize,
    Recorder, Reporter, Strategy, Tag, TimedCapacity,
};
use backpressure_rt::{CoarseClock, Relay, now};

/// Most items pulled in one go.
pub(crate) const BUDGET: usize = 64;

/// A queue that loses nothing asks for items only once there is room for this many, or for half of what it holds.
const BURST: usize = 32;

pub(crate) struct Queue<T> {
    config: BackpressureConfig,
    buffer: BoundedBuffer<T>,
    /// An item that was pulled and is too heavy for the room left: it enters as soon as there is enough.
    heavy: Option<(T, Tag)>,
    hooks: Hooks<T>,
    recorder: Recorder,
    reporter: Reporter,
    lossy: bool,
    /// Whether every item fits while there is room, and does not expire.
    plain: bool,
    burst: usize,
    max_weight: usize,
    /// Items that may leave before that is published.
    lag: usize,
    /// Items that could leave, when that was last published, before the queue has to be seen to again.
    granted: usize,
    /// Those of them that have not left yet.
    coasting: usize,
    handle: Option<BufferHandle>,
    /// Where the capacity follows what is taken.
    timed: Option<Box<TimedCapacity>>,
    /// Whether there is either of the two.
    adapts: bool,
    /// Where items expire, and how many may come and go before the next look at it.
    clock: Option<(CoarseClock, usize)>,
}

impl<T> Queue<T> {
    pub(crate) fn new(config: BackpressureConfig) -> Self {
        let recorder = Recorder::new(&config, now, false);
        Self {
            buffer: BoundedBuffer::new(&config),
            heavy: None,
            hooks: Hooks::NONE,
            reporter: recorder.reporter(),
            recorder,
            plain: !config.strategy().is_lossy() && config.max_weight().is_none() && config.max_age().is_none(),
            clock: config.max_age().map(|age| (CoarseClock::for_ages(Some(age)), 0)),
            lossy: config.strategy().is_lossy(),
            burst: burst(&config),
            max_weight: config.max_weight().unwrap_or(usize::MAX),
            lag: if config.strategy().is_lossy() || config.capacity_within().is_some() || config.max_age().is_some() {
                0
            } else {
                (config.capacity() / 64).min(BURST - 1)
            },
            granted: 0,
            coasting: 0,
            handle: None,
            adapts: config.capacity_within().is_some(),
            timed: TimedCapacity::succeeding(None, &mut config.clone()),
            config,
        }
    }

    /// The handle, from the first call on. What it leaves has to be seen at every poll, so every item is published by itself.
    pub(crate) fn handle(&mut self) -> BufferHandle {
        self.publish_taken(0);
        self.lag = 0;
        self.adapts = true;
        self.handle.get_or_insert_with(|| BufferHandle::new(self.config.clone(), self.recorder.gauge())).clone()
    }

    #[cfg(feature = "rt")]
    pub(crate) const fn config(&self) -> &BackpressureConfig {
        &self.config
    }

    pub(crate) const fn hooks_mut(&mut self) -> &mut Hooks<T> {
        &mut self.hooks
    }

    pub(crate) fn gauge(&self) -> Gauge {
        self.recorder.gauge()
    }

    /// Takes in what `next` has, as far as there is appetite.
    #[inline]
    pub(crate) fn fill(&mut self, mut next: impl FnMut() -> Option<T>) {
        let mut left = self.appetite();
        if self.plain {
            self.buffer.extend(left, next);
            return;
        }
        if self.clock.is_some() {
            return self.fill_looking(left, next);
        }
        while left > 0 && self.has_weight() {
            let Some(item) = next() else { break };
            left -= 1;
            self.take_in(item);
        }
    }

    /// How many items to pull now: none if they would have to wait outside.
    #[inline]
    fn appetite(&self) -> usize {
        if self.lossy {
            return BUDGET;
        }
        let room = self.room();
        if room >= self.burst { room.min(BUDGET) } else { 0 }
    }

    #[inline]
    fn room(&self) -> usize {
        self.config.capacity().saturating_sub(self.buffer.len())
    }

    /// Whether the weight bound lets another item in, as far as one can tell before it is weighed.
    #[inline]
    fn has_weight(&self) -> bool {
        self.lossy || (self.buffer.weight() < self.max_weight && self.heavy.is_none())
    }

    /// Takes in an item under the strategy. What has to go for it is counted and given to the hook.
    #[inline]
    fn take_in(&mut self, item: T) {
        let tag = self.hooks.tag(&item);
        match self.buffer.offer(item, tag) {
            Offer::Accepted => {}
            otherwise => self.conclude(otherwise, tag),
        }
    }

    #[inline(never)]
    fn conclude(&mut self, offer: Offer<T>, tag: Tag) {
        let (item, reason) = match offer {
            Offer::Accepted => return,
            Offer::AcceptedEvicting(evicted) => {
                let mut relay = Relay::new();
                relay.call(|| self.publish(Moved::discarded(DropReason::Evicted, evicted.count())));
                relay.call(|| self.hooks.dispose(evicted, DropReason::Evicted));
                return relay.resume();
            }
            Offer::Full(item) if self.buffer.admits(tag.weight) => {
                self.heavy = Some((item, tag));
                return;
            }
            Offer::Full(item) => (item, DropReason::Overflow),
            Offer::Dropped(item, reason) => (item, reason),
            Offer::Closed(item) => (item, DropReason::Closed),
        };
        self.reporter.refused(reason);
        self.hooks.dispose([item], reason);
    }

    /// The next item, if it can be given out with nothing else to see to.
    #[inline]
    pub(crate) fn coast(&mut self) -> Option<T> {
        self.coasting = self.coasting.checked_sub(1)?;
        self.buffer.pop()
    }

    /// Gives out the next item in delivery order.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = if self.clock.is_some() { self.pop_unexpired()? } else { self.buffer.pop()? };
        self.recorder.works(Activity::BUSY);
        self.offer_heavy();
        self.recorder.stall(self.heavy.is_some());
        self.publish_taken(1);
        if self.adapts {
            self.drained();
        }
        self.granted = self.buffer.len().min(self.lag).min(self.burst.saturating_sub(self.room()));
        self.coasting = self.granted;
        Some(item)
    }

    /// Offers the item again that waits outside.
    #[inline]
    fn offer_heavy(&mut self) {
        if self.heavy.is_some() {
            self.offer_again();
        }
    }

    #[inline(never)]
    fn offer_again(&mut self) {
        if let Some((heavy, tag)) = self.heavy.take() {
            let offer = self.buffer.offer(heavy, tag);
            self.conclude(offer, tag);
        }
    }

    /// The consumer waits for an item.
    pub(crate) fn idle(&mut self) {
        if let Some((_, left)) = &mut self.clock {
            *left = 0;
        }
        self.recorder.works(Activity::IDLE);
    }

    /// Takes everything out, in delivery order, as given to the consumer.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.pop()).collect()
    }

    /// Publishes that nothing more comes in.
    pub(crate) fn drain(&mut self) {
        if self.recorder.drain() {
            self.reporter.notify();
        }
    }

    /// Publishes what has left, with `more` that are leaving just now.
    fn publish_taken(&mut self, more: usize) {
        let taken = self.granted - self.coasting + more;
        (self.granted, self.coasting) = (0, 0);
        if taken > 0 {
            self.publish(Moved::taken(taken));
        }
    }

    fn publish(&mut self, moved: Moved) {
        if self.recorder.update(&self.buffer, moved) {
            self.reporter.notify();
        }
    }

    /// Items held, wherever.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() + usize::from(self.heavy.is_some())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.heavy.is_none()
    }

    /// What is still to come out at least, and at most, when the upstream promises `(lower, upper)` more.
    pub(crate) fn size_hint(&self, (lower, upper): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let held = self.len();
        let weighs = self.config.max_weight().is_some();
        let evicts = matches!(self.config.strategy(), Strategy::DropOldest | Strategy::DropLowest);
        let refuses = self.lossy || (weighs && self.config.oversize() == Oversize::Refuse);
        let lower = match refuses {
            // Another strategy may come.
            _ if self.handle.is_some() && self.clock.is_none() => held.min(1),
            // What is held may expire.
            _ if self.clock.is_some() => 0,
            true if weighs && evicts => held.min(1),
            true => held,
            false => held.saturating_add(lower),
        };
        (lower, upper.and_then(|upper| upper.checked_add(held)))
    }
}

/// So many items are asked for at once.
fn burst(config: &BackpressureConfig) -> usize {
    config.capacity().div_ceil(2).min(BURST)
}

impl<T> Drop for Queue<T> {
    /// Whatever is still queued is lost, and not silently.
    fn drop(&mut self) {
        let mut relay = Relay::new();
        relay.call(|| self.publish_taken(0));
        let mut queued = Vec::new();
        let mut count = self.buffer.pop_many(&mut queued, usize::MAX, usize::MAX);
        let expired = self.buffer.take_expired();
        count += expired.len();
        queued.extend(expired);
        if count > 0 {
            relay.call(|| self.publish(Moved::discarded(DropReason::Closed, count)));
        }
        let heavy = self.heavy.take().map(|(item, _)| item);
        if heavy.is_some() {
            self.reporter.refused(DropReason::Closed);
        }
        relay.call(|| self.drain());
        relay.call(|| self.hooks.dispose(queued.into_iter().chain(heavy), DropReason::Closed));
        relay.resume();
    }
}
