//! The recorder: the one writer of a buffer's instruments.

use std::ops::Range;
use std::sync::Arc;

use super::clock::Clock;
use super::gauge::Gauge;
use super::reporter::Reporter;
use super::shared::Shared;
use super::tally::Tally;
use crate::buffer::BoundedBuffer;
use crate::config::BackpressureConfig;
use crate::flow::Activity;
use crate::ledger::Ledger;
use crate::offer::DropReason;
use crate::state::State;
use backpressure_rt::sync::Ordering;

/// Publishes what happens in a buffer. It belongs beside the buffer, under the same lock: one writer, plain stores.
///
/// ```
/// use std::time::Instant;
/// use backpressure_core::{BackpressureConfig, BoundedBuffer, Recorder, State, Tag};
///
/// let config = BackpressureConfig::builder().capacity(2).build()?;
/// let mut buffer = BoundedBuffer::new(&config);
/// let mut recorder = Recorder::new(&config, Instant::now, false);
/// let gauge = recorder.gauge();
///
/// for item in 0..2 {
///     assert!(buffer.offer(item, Tag::default()).is_accepted());
///     if recorder.arrived(&buffer) {
///         recorder.reporter().notify(); // a shell does this after it has released its lock
///     }
/// }
/// assert_eq!(gauge.state(), State::Blocked);
/// assert_eq!(gauge.snapshot().counts.queued, 2);
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    /// Items ever accepted, ever taken by the consumer, and ever lost from the queue, as published.
    accepted: u64,
    taken: u64,
    discarded: u64,
    state: State,
    stalled: bool,
    /// What the consumer does, if it was said.
    told: u64,
    /// The amounts held at which the state stays what it is; empty where that takes a closer look.
    calm: Range<usize>,
}

/// What left a buffer since the last update.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    taken: u64,
    discarded: Option<(DropReason, u64)>,
}

impl Moved {
    /// Nothing left; items may have come.
    pub const NOTHING: Self = Self { taken: 0, discarded: None };

    /// The consumer took this many items.
    pub const fn taken(items: usize) -> Self {
        Self { taken: items as u64, discarded: None }
    }

    /// The same, while this many others that were queued expired.
    pub const fn beside_expired(self, items: usize) -> Self {
        match items {
            0 => self,
            _ => Self { discarded: Some((DropReason::Expired, items as u64)), ..self },
        }
    }

    /// This many queued items were lost for `reason`.
    pub const fn discarded(reason: DropReason, items: usize) -> Self {
        Self { taken: 0, discarded: Some((reason, items as u64)) }
    }
}

impl Recorder {
    /// Fresh instruments for a buffer built from the same `config`.
    ///
    /// With `tracked`, items taken are in flight until a [`Reporter`] settles them; without, taking an item delivers it.
    pub fn new(config: &BackpressureConfig, clock: Clock, tracked: bool) -> Self {
        let shared = Arc::new(Shared::new(config, clock, tracked));
        Self {
            shared,
            accepted: 0,
            taken: 0,
            discarded: 0,
            state: State::Normal,
            stalled: false,
            told: u64::MAX,
            calm: 0..0,
        }
    }

    /// A handle that reads these instruments.
    pub fn gauge(&self) -> Gauge {
        Gauge::of(Arc::clone(&self.shared))
    }

    /// A handle that reports what happens outside the buffer's lock.
    pub fn reporter(&self) -> Reporter {
        Reporter::of(Arc::clone(&self.shared))
    }

    /// The consumer's count of what it takes outside the lock.
    #[doc(hidden)]
    pub fn tally(&self) -> Tally {
        Tally::of(Arc::clone(&self.shared))
    }

    /// Whether the state would be another one with so many slots held. Where weights count it always may be.
    #[doc(hidden)]
    #[inline]
    pub fn is_edge(&self, held: usize) -> bool {
        !self.calm.contains(&held)
    }

    /// How many slots may be given back, of so many held, before the state changes.
    #[doc(hidden)]
    #[inline]
    pub fn slack(&self, held: usize) -> usize {
        if self.is_edge(held) { 0 } else { held - self.calm.start }
    }

    /// How many slots may be held beside so many held before the state changes.
    #[doc(hidden)]
    #[inline]
    pub fn headroom(&self, held: usize) -> usize {
        if self.is_edge(held) { 0 } else { self.calm.end - 1 - held }
    }

    /// Publishes the buffer after items arrived. Returns whether the state changed: if so, call [`Reporter::notify`] once
    /// the buffer's lock is released.
    #[must_use = "a change of state has to be notified"]
    pub fn arrived<T>(&mut self, buffer: &BoundedBuffer<T>) -> bool {
        self.update(buffer, Moved::NOTHING)
    }

    /// Publishes that the consumer took `items`; others may have arrived. Returns what [`arrived`](Self::arrived) would.
    #[must_use = "a change of state has to be notified"]
    pub fn took<T>(&mut self, buffer: &BoundedBuffer<T>, items: usize) -> bool {
        self.update(buffer, Moved::taken(items))
    }

    /// Publishes that `items` that were queued are lost for `reason`; others may have arrived. Returns what
    /// [`arrived`](Self::arrived) would.
    #[must_use = "a change of state has to be notified"]
    pub fn discarded<T>(&mut self, buffer: &BoundedBuffer<T>, reason: DropReason, items: usize) -> bool {
        self.update(buffer, Moved::discarded(reason, items))
    }

    /// Publishes the buffer as it is now, and what has left it. Returns what [`arrived`](Self::arrived) would.
    #[doc(hidden)]
    #[inline(always)]
    #[must_use = "a change of state has to be notified"]
    pub fn update<T>(&mut self, buffer: &BoundedBuffer<T>, moved: Moved) -> bool {
        self.publish(buffer.accepted(), moved);
        if let Some(oldest) = buffer.oldest_out_of_turn() {
            self.shared.ledger.oldest(oldest);
        }
        let held = buffer.held();
        self.shared.fill.store(buffer.held_before_taken(), buffer.held_weight());
        !self.calm.contains(&held) && self.look(buffer)
    }

    /// Publishes that an item was [pushed](BoundedBuffer::push), and nothing else happened. Returns what
    /// [`arrived`](Self::arrived) would.
    #[inline]
    #[must_use = "a change of state has to be notified"]
    pub fn pushed<T>(&mut self, buffer: &BoundedBuffer<T>) -> bool {
        self.accepted = buffer.accepted();
        self.shared.ledger.accept(self.accepted);
        self.hold(buffer)
    }

    /// Publishes that the consumer took an item that was [popped](BoundedBuffer::pop). Nothing else has happened, unless
    /// items are weighed or ranked: then some may have come. Returns what [`arrived`](Self::arrived) would.
    #[inline]
    #[must_use = "a change of state has to be notified"]
    pub fn popped<T>(&mut self, buffer: &BoundedBuffer<T>) -> bool {
        if !buffer.is_plain() {
            return self.popped_tagged(buffer);
        }
        self.taken += 1;
        self.shared.ledger.take(self.taken);
        self.hold(buffer)
    }

    #[inline(never)]
    fn popped_tagged<T>(&mut self, buffer: &BoundedBuffer<T>) -> bool {
        self.update(buffer, Moved::taken(1))
    }

    /// Publishes that an item came in [exchange](BoundedBuffer::exchange) for the oldest one.
    #[doc(hidden)]
    #[inline]
    pub fn exchanged<T>(&mut self, buffer: &BoundedBuffer<T>) {
        self.accepted = buffer.accepted();
        self.discarded += 1;
        self.shared.ledger.discard(DropReason::Evicted, 1);
        self.shared.ledger.accept(self.accepted);
    }

    /// The same for an exchange for the oldest [of its key](BoundedBuffer::exchange_own).
    #[doc(hidden)]
    #[inline]
    pub fn exchanged_own<T>(&mut self, buffer: &BoundedBuffer<T>) {
        self.exchanged(buffer);
        self.shared.ledger.oldest(buffer.oldest());
    }

    /// Publishes that an item went past the empty buffer to the consumer.
    #[doc(hidden)]
    #[inline]
    pub fn passed(&mut self) {
        self.shared.ledger.pass();
    }

    /// How many items the consumer ever took, out of the buffer or past it. Those that it counts by itself, outside the lock, are not among them.
    pub fn taken(&self) -> u64 {
        self.taken + self.shared.ledger.passed()
    }

    /// Says whether something waits that the bounds alone do not show: an item too heavy for the room there is, a service that
    /// is not ready. While it does the state is `Blocked`, from the next time on that the buffer is published.
    #[inline]
    pub fn stall(&mut self, stalled: bool) {
        if stalled != self.stalled && self.state != State::Draining {
            self.stalled = stalled;
            self.calm = 0..0;
        }
    }

    /// From now on the consumer does this: [`Reporter::works`], for whoever has the lock of the buffer. To say it again costs a
    /// comparison.
    #[inline]
    pub fn works(&mut self, activity: Activity) {
        let bits = activity.to_bits();
        if self.told != bits {
            self.told = bits;
            self.shared.work.tell_bits(bits);
        }
    }

    /// The consumer need not wait for input any longer, if it [does](Self::works).
    #[inline]
    pub fn resume(&mut self) {
        if self.told == Activity::IDLE.to_bits() {
            self.works(Activity::BUSY);
        }
    }

    /// Publishes how many slots are held, where nothing is weighed.
    #[inline]
    fn hold<T>(&mut self, buffer: &BoundedBuffer<T>) -> bool {
        self.shared.fill.hold(buffer.held_before_taken());
        self.is_edge(buffer.held()) && self.look(buffer)
    }

    #[inline(always)]
    fn publish(&mut self, accepted: u64, moved: Moved) {
        match (moved.taken, moved.discarded) {
            (0, None) => self.shared.ledger.accept(accepted),
            (taken, None) if accepted == self.accepted => {
                self.taken += taken;
                self.shared.ledger.take(self.taken);
            }
            _ => self.publish_both(accepted, moved),
        }
        self.accepted = accepted;
    }

    /// Items came and went, or were lost.
    fn publish_both(&mut self, accepted: u64, moved: Moved) {
        let discarded = moved.discarded.map_or(0, |(_, items)| items);
        let gone = self.taken + self.discarded + self.shared.ledger.handed.count();
        let queued = self.accepted.saturating_sub(gone);
        let were_queued = moved.taken + discarded <= queued;
        self.taken += moved.taken;
        self.discarded += discarded;
        let taken = self.taken;
        let change = |ledger: &Ledger| {
            ledger.take(taken);
            if let Some((reason, items)) = moved.discarded {
                ledger.discard(reason, items);
            }
            ledger.accept(accepted);
        };
        if were_queued {
            change(&self.shared.ledger);
        } else {
            self.shared.ledger.at_once(change);
        }
    }

    /// Publishes the bounds and the strategy of `config`, which the buffer [has taken](BoundedBuffer::reconfigure), and the state
    /// that follows: no snapshot has one without the others. Returns what [`arrived`](Self::arrived) would.
    #[must_use = "a change of state has to be notified"]
    pub fn reconfigured<T>(&mut self, buffer: &BoundedBuffer<T>, config: &BackpressureConfig) -> bool {
        let shared = Arc::clone(&self.shared);
        shared.fill.bounds.replace(config, || self.look(buffer))
    }

    /// Finds the state, and where it will stay.
    #[inline(never)]
    fn look<T>(&mut self, buffer: &BoundedBuffer<T>) -> bool {
        let (next, calm) = if self.stalled && self.state != State::Draining {
            (State::Blocked, 0..usize::MAX)
        } else {
            let next = buffer.state(self.state);
            (next, buffer.calm(next))
        };
        self.calm = calm;
        next != self.state && self.enter(next)
    }

    /// Publishes that shutdown has begun; the state stays `Draining` from here on. Returns whether that is news.
    #[must_use = "a change of state has to be notified"]
    pub fn drain(&mut self) -> bool {
        self.calm = 0..usize::MAX;
        self.state != State::Draining && self.enter(State::Draining)
    }

    #[inline(never)]
    fn enter(&mut self, next: State) -> bool {
        self.shared.times.edge(&self.shared.fill, self.state, next, self.shared.clock);
        self.state = next;
        true
    }
}

/// A part that is gone has begun its shutdown: nobody waits for a change of its state any longer.
impl Drop for Recorder {
    fn drop(&mut self) {
        let is_news = self.drain();
        // Release: pairs with the load in a snapshot; who sees the end sees everything that was recorded before.
        self.shared.ended.store(true, Ordering::Release);
        if is_news {
            self.shared.watchers.notify();
        }
    }
}
