//! The one writer beside a buffer.

use std::sync::Arc;
use std::time::Instant;

use super::gauge::Gauge;
use super::ledger::Books;
use super::reporter::Reporter;
use super::shared::Shared;
use crate::buffer::BoundedBuffer;
use crate::config::BackpressureConfig;
use crate::offer::DropReason;
use crate::state::State;

/// Where a shell's time comes from, for the instruments that need it. Called only on changes of state once somebody has
/// taken a snapshot, and by the snapshots themselves.
pub type Clock = fn() -> Instant;

/// Publishes what happens in a buffer. It belongs beside the buffer, under the same lock: one writer, plain stores.
///
/// ```
/// use std::time::Instant;
/// use backpressure_core::{BackpressureConfig, BoundedBuffer, Moved, Recorder, State, Tag};
///
/// let config = BackpressureConfig::builder().capacity(2).build()?;
/// let mut buffer = BoundedBuffer::new(&config);
/// let mut recorder = Recorder::new(&config, Instant::now, false);
/// let gauge = recorder.gauge();
///
/// for item in 0..2 {
///     assert!(buffer.offer(item, Tag::default()).is_accepted());
///     if recorder.update(&buffer, Moved::NOTHING) {
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
    /// Items the consumer ever took.
    taken: u64,
    /// Items and weight held at the last update.
    held: (usize, usize),
    state: State,
}

/// What left a buffer since the last update.
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
        Self { shared: Arc::new(Shared::new(config, clock, tracked)), taken: 0, held: (0, 0), state: State::Normal }
    }

    /// A handle that reads these instruments.
    pub fn gauge(&self) -> Gauge {
        Gauge::of(Arc::clone(&self.shared))
    }

    /// A handle that reports what happens outside the buffer's lock.
    pub fn reporter(&self) -> Reporter {
        Reporter::of(Arc::clone(&self.shared))
    }

    /// Publishes the buffer as it is now. Returns whether the state changed: if so, call [`Reporter::notify`] once the
    /// buffer's lock is released.
    #[inline]
    #[must_use = "a change of state has to be notified"]
    pub fn update<T>(&mut self, buffer: &BoundedBuffer<T>, moved: Moved) -> bool {
        self.taken = self.taken.saturating_add(moved.taken);
        let books = Books {
            accepted: buffer.accepted(),
            taken: self.taken,
            queued: buffer.len() as u64,
            oldest: buffer.oldest(),
        };
        self.shared.ledger.publish(&books, moved.discarded);
        let held = (buffer.held(), buffer.held_weight());
        if held == self.held {
            return false;
        }
        self.held = held;
        self.shared.level.store(held.0, held.1);
        let next = buffer.state(self.state);
        next != self.state && self.enter(next)
    }

    /// Publishes that shutdown has begun; the state stays `Draining` from here on. Returns whether that is news.
    #[must_use = "a change of state has to be notified"]
    pub fn drain(&mut self) -> bool {
        self.state != State::Draining && self.enter(State::Draining)
    }

    #[inline(never)]
    fn enter(&mut self, next: State) -> bool {
        self.shared.times.edge(&self.shared.level, self.state, next, self.shared.clock);
        self.state = next;
        true
    }
}

/// A part that is gone has begun its shutdown: nobody waits for a change of its state any longer.
impl Drop for Recorder {
    fn drop(&mut self) {
        if self.drain() {
            self.shared.watchers.notify();
        }
    }
}
