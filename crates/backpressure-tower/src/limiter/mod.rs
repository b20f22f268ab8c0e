//! The limiter: calls in flight, bounded by a limit that may change.
//!
//! ```text
//!            ┌── word ────────────────────────────────┐ every call: one compare-and-swap in, one subtraction out
//!  call ────▶│ admitted draining waiting limit in flight │────▶ Permit ────▶ back into the word,
//!            └──▲───────────────▲─────────────────────┘        │ │        or on to who waits
//!        no slot│        limit  │                             │ │ timed calls only: latency, delay
//!        ┌──────▼─────┐  ┌──────┴─────┐                       │ │
//!        │   queue    │◀─┼────────────┼───────────────────────┘ │
//!        └────────────┘  │   tuner    │◀────────────────────────┘
//!                        └────────────┘ one window in 100 ms to 1 s
//! ```
//!
//! Admission decides by the word alone. Everything else is beside it: the queue is asked when there is no slot, and by a call
//! that is over while somebody waits, the tuner by calls that are timed, the state when a call crosses a threshold.
//!
//! A slot goes from hand to hand: while somebody waits it does not come free, so nobody overtakes. That costs one lock to
//! join the queue, one to pass the slot on, and none to find out: each who waits has a seat where its verdict is
//! written. Nothing is allocated for a wait.

mod admit;
mod builder;
mod call_timing;
mod cells;
mod classes;
mod cut;
mod cuts;
mod fate;
mod learning;
mod levels;
mod notify;
mod open_stream;
mod pace;
mod permit;
mod pressure;
mod queue;
mod queued_call;
mod ready;
mod refusals;
mod seats;
mod shared;
mod streams;
mod tuner;
mod waiting;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backpressure_core::limit::{Level, Limit, Threshold};
use backpressure_core::{Clock, Gauge, State};

pub use builder::LimiterBuilder;
pub(crate) use cut::{Deadline, Hold};
pub(crate) use notify::{Listener, Notify};
pub use open_stream::OpenStream;
pub use permit::Permit;
pub(crate) use permit::Reserved;
pub use queued_call::{Entry, QueuedCall};
pub(crate) use ready::Readiness;

use crate::hash::hash_of;
use crate::overloaded::{Overloaded, ShedReason};
use shared::Shared;

/// Bounds how many calls are in flight: by a number, or by one that it finds out.
///
/// Clones are handles of the same limiter. [`ShedLayer`](crate::ShedLayer) is built on it; by itself it guards whatever is
/// not a tower service.
///
/// ```
/// use backpressure_core::limit::{Level, Outcome};
/// use backpressure_tower::{Limiter, ShedReason};
///
/// let limiter = Limiter::fixed(1)?;
/// let permit = limiter.try_admit(Level::default())?;
/// assert_eq!(limiter.try_admit(Level::default()).unwrap_err().reason(), ShedReason::Limit);
///
/// permit.finish(Outcome::Success);
/// assert!(limiter.try_admit(Level::default()).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What it knows
///
/// Of the calls in a second some 4000 are timed, spread evenly, and each if there are fewer; some 500 while less than half of the
/// limit is in use; in any case one in 64. The others cost no look at a clock. A fresh limiter times the first few. Once per
/// window, of 100 ms to a second, the [`Limit`] is told what was seen, and answers the limit from then on.
#[derive(Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
}

impl Limiter {
    /// Admits a call at once or refuses it at once.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] if there is no slot for a call of this level.
    #[inline]
    pub fn try_admit(&self, level: Level) -> Result<Permit, Overloaded> {
        self.shared.admit(level).map_err(|(seen, reason)| self.shared.refuse(seen, reason))
    }

    /// Admits a call at once, or lets it wait in the short queue, if there is one and it has room. `patience` is what is
    /// left of the time the call itself has; one that cannot be answered in it does not wait.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] if there is neither a slot nor a place.
    #[inline]
    pub fn acquire(&self, level: Level, patience: Option<Duration>) -> Result<Entry, Overloaded> {
        self.shared.acquire(level, patience)
    }

    /// [`acquire`](Self::acquire) for a call of a class, such as its route: calls that do the same. A class that fails, or that waits for
    /// something that only it needs, gets a limit of its own, so that it cannot fill this one. See
    /// [`ClassLimit`](backpressure_core::limit::ClassLimit).
    ///
    /// The first 63 classes are kept apart, and each that comes later shares the limit of one of them. The name of a class should
    /// not be one that callers can choose: a pattern of paths rather than a path.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and [`ShedReason::Class`] if as many calls of the class are in flight, or wait, as it may have.
    pub fn acquire_of<K: Hash + ?Sized>(
        &self,
        class: &K,
        level: Level,
        patience: Option<Duration>,
    ) -> Result<Entry, Overloaded> {
        self.shared.acquire_of(hash_of(class), level, patience)
    }

    /// [`acquire_of`](Self::acquire_of) for a class by its key.
    pub(crate) fn acquire_keyed(
        &self,
        key: u64,
        level: Level,
        patience: Option<Duration>,
    ) -> Result<Entry, Overloaded> {
        self.shared.acquire_of(key, level, patience)
    }

    /// Admits a call at once, or lets it wait behind all others of its class for as long as it takes, queue or no queue. It is
    /// not refused because others are more important: they go first.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] only if the limiter [drains](Self::drain).
    pub fn wait(&self, level: Level) -> Result<Entry, Overloaded> {
        self.shared.wait(level)
    }

    /// [`wait`](Self::wait) at the default level, with a waker that need not be given again.
    #[inline]
    pub(crate) fn wait_by(&self, cx: &Context<'_>) -> Result<Entry, Overloaded> {
        self.shared.wait_by(cx.waker().clone())
    }

    /// What may be in flight now.
    pub fn limit(&self) -> usize {
        self.shared.signal.slots().limit()
    }

    /// Why the limit is what it is, in words and numbers for people to read: the last change and its reason, and what was seen
    /// in the last window. See [`Limit::explain`].
    ///
    /// It takes the lock that timed calls take, and allocates the text: for a page or a log now and then. With the feature
    /// `tracing` it is logged whenever the limit changes, at the level `DEBUG` and for the target `backpressure`, at most once
    /// per window.
    pub fn explain(&self) -> String {
        self.shared.explain()
    }

    /// What is in flight now. It may be above the limit while a limit that has shrunk has not been drained to.
    pub fn in_flight(&self) -> usize {
        self.shared.signal.slots().in_flight()
    }

    /// Answers that are streams and still open. They occupy no slots.
    pub fn streams(&self) -> usize {
        self.shared.signal.streams()
    }

    /// How many streams may be open.
    pub fn max_streams(&self) -> usize {
        self.shared.streams.most()
    }

    /// So many streams may be open from now on; 0 allows none. Those that are open stay. Default: 10 000.
    pub fn set_max_streams(&self, most: usize) {
        self.shared.streams.set_most(most);
    }

    /// Counts something as a stream for as long as the answer is kept: what goes on after its call in a way that nobody else
    /// sees, such as a connection that was upgraded to a WebSocket.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] if as many streams are open as may be. It is not counted among the calls that were shed: the call that
    /// asks for a stream has a slot, and an answer of its own.
    pub fn open_stream(&self) -> Result<OpenStream, Overloaded> {
        OpenStream::open(&self.shared)
    }

    /// What waits for a slot now.
    pub fn waiting(&self) -> usize {
        self.shared.waiting()
    }

    /// The state, by the largest of in flight / limit, waiting / room to wait, and the mean delay of the work / 10 ms.
    ///
    /// It rises at once, at 0.5, 0.8 and 1. `Elevated`, `Critical` and `Blocked` are left below 0.45, 0.72 and 0.95, once that
    /// has lasted for 100 ms; at once when nothing is in flight.
    #[inline]
    pub fn state(&self) -> State {
        self.shared.signal.state()
    }

    /// The instruments: calls received, in flight, delivered, failed, rejected.
    pub fn gauge(&self) -> Gauge {
        self.shared.signal.gauge()
    }

    /// Another limit from now on, obeyed by the next admission.
    pub fn set_limit(&self, limit: impl Limit + 'static) {
        self.shared.replace(Box::new(limit));
    }

    /// Ends a window that is over and lets the state fall, as calls do by the way when they come and go. For those who
    /// must see a change of the state while no calls do.
    pub fn tick(&self) {
        let now = (self.shared.clock)();
        self.shared.learn(now, None);
        self.shared.update_state(now);
    }

    /// When the state may fall, if no calls come or go.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.shared.poll_timeout()
    }

    /// Admits nothing from now on, and refuses whoever waits. It cannot be undone.
    pub fn drain(&self) {
        self.shared.drain();
    }

    /// Ready once nothing is in flight, and no [stream](Self::streams) is open. It wakes nobody unless the limiter [drains](Self::drain).
    pub fn poll_idle(&self, cx: &Context<'_>) -> Poll<()> {
        if self.shared.poll_idle(cx.waker()) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The answer to a call that somebody else refuses for this reason, in a part in this `state`. It is counted here.
    #[inline]
    pub(crate) fn refuse(&self, state: State, reason: ShedReason) -> Overloaded {
        self.shared.refuse_for(state, reason)
    }

    /// The short way in, for a call of the default level. `None` says nothing.
    #[inline]
    pub(crate) fn admit_plainly(&self) -> Option<Permit> {
        self.shared.try_admit()
    }

    /// [`try_admit`](Self::try_admit) for a call of the class with this key, if it has one, of which nobody learns if it fails.
    pub(crate) fn admit_silently(&self, level: Level, key: Option<u64>) -> Result<Permit, ShedReason> {
        match key {
            None => self.shared.admit(level).map_err(|(_, reason)| reason),
            Some(key) => self.shared.admit_of(key, level),
        }
    }

    /// [`wait`](Self::wait) at the default level, for a call of the class with this key, if it has one.
    pub(crate) fn wait_keyed(&self, key: Option<u64>) -> Result<Entry, Overloaded> {
        match key {
            None => self.shared.wait(Level::default()),
            Some(key) => self.shared.wait_of(key, Level::default()),
        }
    }

    /// A call that has a slot is one of the class with this key.
    pub(crate) fn classify(&self, permit: Permit, key: u64) -> Result<Permit, Overloaded> {
        self.shared.classify(permit, key)
    }

    /// A place among the calls of the reserve, unless there are so many already.
    pub(crate) fn reserve(&self, most: usize) -> Option<Reserved> {
        Reserved::new(&self.shared, most)
    }

    /// The deadline of a call that comes now and may take so long: by a timeout of the `service`'s own, and by its `caller`.
    pub(crate) fn deadline(&self, service: Option<Duration>, caller: Option<Duration>) -> Deadline {
        self.shared.deadline(service, caller)
    }

    /// From now on services hold slots here that can be taken back.
    pub(crate) fn hold_for_services(&self) {
        self.shared.ready.enable();
    }

    /// A number for a service that holds slots, never 0.
    pub(crate) fn holder(&self) -> u64 {
        self.shared.ready.holder()
    }

    /// Whether a call that comes now need not wait for a slot.
    pub(crate) fn has_room(&self) -> bool {
        let seen = self.shared.signal.slots();
        !seen.has_waiters() && seen.in_flight() < seen.limit()
    }

    /// Takes note of a call that never comes here.
    #[inline]
    pub(crate) fn saw(&self, level: Level) {
        self.shared.levels.offered(level);
    }

    /// Tells `threshold` of the levels of the calls since `cursor`.
    pub(crate) fn tell_levels(&self, threshold: &mut Threshold, cursor: &mut usize) {
        self.shared.levels.tell(threshold, cursor);
    }

    pub(crate) fn now(&self) -> Clock {
        self.shared.clock
    }

    /// How many of the calls that were admitted are done, in whatever way, except those that were refused after all.
    pub(crate) fn settled(&self) -> u64 {
        let (admitted, in_flight) = self.shared.signal.admitted_so_far();
        let refusals = &self.shared.refusals;
        (admitted - in_flight).saturating_sub(refusals.of_streams() + refusals.unmade())
    }

    /// Whether streams that are too many are counted rather than refused.
    pub(crate) fn spare_streams(&self, are_spared: bool) {
        self.shared.streams.spare(are_spared);
    }

    /// How many streams were too many and spared.
    pub(crate) fn spared_streams(&self) -> u64 {
        self.shared.streams.spared()
    }

    /// How many calls were refused for which reason.
    pub(crate) fn shed(&self) -> [u64; ShedReason::ALL.len()] {
        self.shared.shed()
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("in_flight", &self.in_flight())
            .field("limit", &self.limit())
            .field("waiting", &self.waiting())
            .field("streams", &self.streams())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
