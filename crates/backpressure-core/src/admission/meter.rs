//! The instruments of a part without a buffer: calls arrive, are in flight, and leave.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backpressure_rt::lock;
use backpressure_rt::sync::{Mutex, Ordering};

use super::calls::{Calls, one_more};
use super::word::AdmissionState;
use crate::config::BackpressureConfig;
use crate::gauge::{Clock, Gauge, Shared};
use crate::ledger::sum;
use crate::offer::DropReason;
use crate::state::State;
use crate::strategy::Strategy;

/// Bounds calls in flight by one atomic word, and publishes what happens to them.
///
/// Any number of threads take slots and give them back. Its [`Gauge`] balances like any other: calls that came are
/// received, those that wait are queued, those that were refused are rejected, those that gave their slot back are
/// delivered, or lost. The utilization is the share of the limit that is in flight. It costs nothing on top: the word that
/// admits a call also counts it.
///
/// The state is whatever the part says it is, with [`enter`](Self::enter). How long to wait for a slot, and who is next, is
/// up to the part, too.
///
/// ```
/// use std::time::Instant;
/// use backpressure_core::{AdmissionMeter, State};
///
/// let signal = AdmissionMeter::new(2, Instant::now);
/// let gauge = signal.gauge();
///
/// let slots = signal.try_take().expect("there is room");
/// assert_eq!(slots.in_flight(), 1);
/// signal.rejected();
/// if signal.enter(State::Elevated) {
///     signal.notify(); // outside of every lock
/// }
/// assert_eq!((gauge.state(), gauge.utilization()), (State::Elevated, 0.5));
///
/// signal.give_back();
/// let counts = gauge.snapshot().counts;
/// assert_eq!((counts.received, counts.delivered, counts.rejected, counts.in_flight), (2, 1, 1, 0));
/// assert!(counts.balances());
/// ```
#[doc(hidden)]
#[derive(Debug)]
pub struct AdmissionMeter {
    shared: Arc<Shared>,
    calls: Arc<Calls>,
    /// The state that was entered last. It makes changes of state wait for each other.
    state: Mutex<State>,
}

impl AdmissionMeter {
    /// Fresh instruments for a part that has at most `limit` calls in flight. It is brought into 1 to [`AdmissionState::MOST`].
    pub fn new(limit: usize, clock: Clock) -> Self {
        let calls = Arc::new(Calls::new(limit));
        let config = BackpressureConfig::builder().strategy(Strategy::Reject).build().unwrap_or_default();
        let shared = Shared::new(&config, clock, true).counting(calls.clone());
        Self { shared: Arc::new(shared), calls, state: Mutex::new(State::Normal) }
    }

    /// A handle that reads these instruments.
    pub fn gauge(&self) -> Gauge {
        Gauge::of(Arc::clone(&self.shared))
    }

    /// What the word says now.
    #[inline]
    pub fn slots(&self) -> AdmissionState {
        self.calls.word.load()
    }

    /// What the word says now, in its place in the order of all changes: whatever was written before this is seen by
    /// whoever changes the word after it, and the other way round.
    pub fn fence(&self) -> AdmissionState {
        self.calls.word.fence()
    }

    /// A call comes and takes a slot, if there is one, nobody waits, and the part does not drain. Answers what the word
    /// says then. If it takes none, nothing is said about it yet.
    #[inline]
    pub fn try_take(&self) -> Option<AdmissionState> {
        self.calls.word.try_take().inspect(|slots| self.came(*slots))
    }

    /// A call comes and takes a slot, if `permits` does not object to what the word says at that instant, and there is one.
    /// Answers what it says then. `permits` may be called several times.
    ///
    /// # Errors
    ///
    /// The objection, or `full`, and what it was about. Whether the call is [`rejected`](Self::rejected) or
    /// [`queued`](Self::queued) is then to be said.
    #[inline]
    pub fn take<E>(
        &self,
        full: E,
        permits: impl Fn(AdmissionState) -> Result<(), E>,
    ) -> Result<AdmissionState, (AdmissionState, E)> {
        self.calls.word.take(full, permits).inspect(|slots| self.came(*slots))
    }

    /// A call that waited takes a slot, as in [`take`](Self::take). For the holder of the queue's lock.
    ///
    /// # Errors
    ///
    /// The objection, or `full`, and what it was about. The call still waits.
    pub fn take_queued<E>(
        &self,
        full: E,
        permits: impl Fn(AdmissionState) -> Result<(), E>,
    ) -> Result<AdmissionState, (AdmissionState, E)> {
        self.grant(|| self.calls.word.take(full, permits)).inspect(|slots| self.came(*slots))
    }

    /// A call that is over gives its slot to one that waited. Objections are as in [`take`](Self::take), to what the word would
    /// say had the slot been given back. For the holder of the queue's lock.
    ///
    /// # Errors
    ///
    /// The objection, or `full`, and what it was about. The slot is still to be given back, and the other call still waits.
    pub fn pass_on<E>(
        &self,
        full: E,
        permits: impl Fn(AdmissionState) -> Result<(), E>,
    ) -> Result<AdmissionState, (AdmissionState, E)> {
        self.grant(|| self.calls.word.pass_on(full, permits))
    }

    /// A call that waited is granted a slot, as readers see it, in one step.
    fn grant<R>(&self, take: impl FnOnce() -> Result<AdmissionState, R>) -> Result<AdmissionState, R> {
        self.calls.queue.write(|| {
            let taken = take();
            if taken.is_ok() {
                one_more(&self.calls.granted);
            }
            taken
        })
    }

    /// A call has been answered, and gives its slot back. Answers what the word says then.
    #[inline]
    pub fn give_back(&self) -> AdmissionState {
        let slots = self.calls.word.give_back();
        if slots.in_flight() == 0 {
            self.shared.work.edge();
        }
        slots
    }

    /// A call was answered at `now`, so long after it had taken its slot. For those that are timed anyway.
    pub fn took(&self, now: Instant, latency: Duration) {
        self.shared.call_took(now, latency);
    }

    /// A call has taken a slot.
    #[inline]
    fn came(&self, slots: AdmissionState) {
        if slots.in_flight() == 1 {
            self.shared.work.edge();
        }
    }

    /// A call that has a slot was lost for `reason`. It gives the slot back, or passes it on, next.
    pub fn lost(&self, reason: DropReason) {
        // Release: pairs with the load in `gone`, and goes before the slot that is given back.
        self.calls.lost[reason as usize].fetch_add(1, Ordering::Release);
    }

    /// A call that had a slot was lost for `reason`, and gives the slot back. Answers what the word says then.
    pub fn lose(&self, reason: DropReason) -> AdmissionState {
        self.lost(reason);
        self.give_back()
    }

    /// A call that has a slot is refused all the same: it is rejected, not delivered. It gives the slot back, or passes it
    /// on, next.
    pub fn refused(&self) {
        // Release: pairs with the load in `gone`, and goes before the slot that is given back.
        self.calls.refused.fetch_add(1, Ordering::Release);
    }

    /// An answer becomes a stream, which takes no slot, unless `most` are open already. Answers whether it does. A call that
    /// has a slot gives it back after this, so that whoever sees the slot come free sees the stream.
    pub fn open_stream(&self, most: usize) -> bool {
        self.calls.open_stream(most)
    }

    /// A stream has ended. Answers how many are left.
    pub fn close_stream(&self) -> usize {
        // AcqRel: pairs with `open_stream` and `streams`. Whoever ends the last one comes after all others.
        self.calls.streams.fetch_sub(1, Ordering::AcqRel).saturating_sub(1)
    }

    /// Streams that are open.
    pub fn streams(&self) -> usize {
        // Acquire: pairs with `close_stream`; who sees no stream sees what those did that ended.
        self.calls.streams.load(Ordering::Acquire)
    }

    /// A call came and was refused at once. Answers how many were before it.
    #[inline]
    pub fn rejected(&self) -> u64 {
        self.calls.rejected.0.fetch_add(1, Ordering::Relaxed)
    }

    /// A call came and waits for a slot. For the holder of the queue's lock.
    pub fn queued(&self) {
        one_more(&self.calls.queued);
    }

    /// A call that waited was refused. For the holder of the queue's lock.
    pub fn returned(&self) {
        one_more(&self.calls.returned);
    }

    /// A call that waited was lost for `reason`. For the holder of the queue's lock.
    pub fn discarded(&self, reason: DropReason) {
        one_more(&self.calls.discarded[reason as usize]);
    }

    /// Makes this the limit. Answers what the word says then.
    pub fn set_limit(&self, limit: usize) -> AdmissionState {
        self.calls.word.set_limit(limit)
    }

    /// From now on the word says that somebody waits. Answers what it says then. Whoever waits looks for a slot again
    /// after this: those that come free from here on see that it waits.
    pub fn announce_waiting(&self) -> AdmissionState {
        self.calls.word.announce_waiting()
    }

    /// From now on the word says that nobody waits.
    pub fn retract_waiting(&self) {
        self.calls.word.retract_waiting();
    }

    /// From now on the word says that the part drains. Answers whether that is news.
    pub fn drain(&self) -> bool {
        self.calls.word.drain()
    }

    /// How many calls took a slot or were refused one.
    pub fn decided_so_far(&self) -> u64 {
        let (admitted, _) = self.calls.word.totals();
        let refused = [&self.calls.rejected.0, &self.calls.returned].map(|cell| cell.load(Ordering::Relaxed));
        sum(refused).saturating_add(admitted)
    }

    /// How many calls took a slot, and how many of them still have it, as of one instant.
    pub fn admitted_so_far(&self) -> (u64, u64) {
        self.calls.word.totals()
    }

    /// The state that was entered last.
    #[inline]
    pub fn state(&self) -> State {
        self.shared.fill.state()
    }

    /// Publishes the state; [`Draining`](State::Draining) stays. Returns whether it changed: if so, call
    /// [`notify`](Self::notify) once no lock is held.
    ///
    /// Changes by several threads take effect one after the other. Which of them comes last is theirs to settle.
    #[must_use = "a change of state has to be notified"]
    pub fn enter(&self, state: State) -> bool {
        let mut current = lock(&self.state);
        if *current == state || *current == State::Draining {
            return false;
        }
        self.shared.times.edge(&self.shared.fill, *current, state, self.shared.clock);
        *current = state;
        true
    }

    /// Wakes whoever waits for a change of state. It calls wakers: never under a lock.
    pub fn notify(&self) {
        self.shared.watchers.notify();
    }
}

/// A part that is gone has begun its shutdown: nobody waits for a change of its state any longer.
impl Drop for AdmissionMeter {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        if self.enter(State::Draining) {
            self.notify();
        }
    }
}
