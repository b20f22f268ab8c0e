//! The state shared by all clones of a limiter: how a slot is taken, held and given back.

use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64 as Cell, AtomicUsize as Hint};
use std::task::Waker;
use std::time::Instant;

use backpressure_core::limit::{CoDel, Limit};
use backpressure_core::{AdmissionMeter, AdmissionState, Clock, DropReason, State};
use backpressure_rt::sync::{AtomicUsize, Mutex, Ordering};
use backpressure_rt::{Padded, Relay};

use super::call_timing::Timing;
use super::cells::Ready;
use super::classes::{ClassTuner, Classes};
use super::cuts::Cuts;
use super::fate::Fate;
use super::levels::{Levels, is_nearly_full};
use super::notify::Notify;
use super::pace::is_one_of;
use super::pressure::Pressure;
use super::queue::Queue;
use super::refusals::{Refusals, nanos};
use super::seats::Seats;
use super::streams::Streams;
use super::tuner::Tuner;
use crate::overloaded::{Overloaded, ShedReason};

/// Begins on a cache line of its own, away from the count of its handles. What every call reads comes first; what is
/// written often is padded.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Shared {
    pub(super) signal: AdmissionMeter,
    pub(super) levels: Levels,
    pub(super) pressure: Pressure,
    /// One call in so many, a power of two, is timed.
    pub(super) every: Hint,
    /// How many wait.
    pub(super) waiting: AtomicUsize,
    pub(super) has_queue: bool,
    pub(super) clock: Clock,
    pub(super) epoch: Instant,
    pub(super) refusals: Refusals,
    /// Seconds per call, as the bits of an `f64`.
    pub(super) residence: Cell,
    /// Calls of the reserve.
    pub(super) reserved: Hint,
    /// Slots held by calls that have been answered, while their answer is still being sent.
    pub(super) sending: Padded<Hint>,
    /// Whether somebody was refused for want of a slot since the last look.
    pub(super) was_felt: Padded<AtomicBool>,
    pub(super) overloads: Cell,
    pub(super) cuts: Cuts,
    pub(super) tuner: Mutex<Tuner>,
    pub(super) classes: OnceLock<Classes>,
    /// Locked after the tuner, never before it.
    pub(super) class_tuner: Mutex<ClassTuner>,
    pub(super) queue: Mutex<Queue>,
    pub(super) seats: Seats,
    pub(super) streams: Streams,
    pub(super) ready: Ready,
    pub(super) idle: Notify,
}

impl Shared {
    pub(super) fn new(limit: Box<dyn Limit>, rule: Option<CoDel>, clock: Clock, seed: u64) -> Self {
        let signal = AdmissionMeter::new(limit.limit(), clock);
        let epoch = clock();
        Self {
            levels: Levels::new(),
            pressure: Pressure::new(signal.slots().limit()),
            signal,
            every: Hint::new(1),
            waiting: AtomicUsize::new(0),
            has_queue: rule.is_some(),
            clock,
            epoch,
            refusals: Refusals::new(seed),
            residence: Cell::new(0),
            reserved: Hint::new(0),
            sending: Padded::default(),
            was_felt: Padded::default(),
            overloads: Cell::new(0),
            cuts: Cuts::new(),
            tuner: Mutex::new(Tuner::new(epoch, limit)),
            classes: OnceLock::new(),
            class_tuner: Mutex::new(ClassTuner::default()),
            queue: Mutex::new(Queue::new(rule)),
            seats: Seats::new(),
            streams: Streams::new(),
            ready: Ready::new(),
            idle: Notify::new(),
        }
    }

    /// Whether the call of this number is timed.
    #[inline]
    pub(super) fn is_timed(&self, number: u64) -> bool {
        is_one_of(number, self.every.load(Ordering::Relaxed))
    }

    /// Whether there is more to the call of this number than to most: it is timed, or makes the state worse.
    #[inline]
    pub(super) fn is_noted(&self, number: u64, seen: AdmissionState) -> bool {
        self.is_timed(number) || self.pressure.rises(seen.in_flight())
    }

    /// Slots were taken: this is seen at once if it makes the state worse.
    #[inline]
    pub(super) fn has_taken(&self, seen: AdmissionState) {
        if self.pressure.rises(seen.in_flight()) {
            self.update_state((self.clock)());
        }
    }

    pub(super) fn now(&self) -> NonZeroU64 {
        self.nanos((self.clock)())
    }

    pub(super) fn nanos(&self, at: Instant) -> NonZeroU64 {
        NonZeroU64::MIN.saturating_add(nanos(at.saturating_duration_since(self.epoch)))
    }

    /// The work of a call is done, and its answer is on its way; the slot is still taken.
    pub(super) fn answered(&self, fate: Fate, timing: Option<Timing>, class: u8) {
        if fate.is_overload() {
            self.overloads.fetch_add(1, Ordering::Relaxed);
        }
        self.sending.0.fetch_add(1, Ordering::Relaxed);
        if let Some(timing) = timing {
            self.learn_from(timing, fate, class);
        }
    }

    /// A slot comes free.
    #[inline]
    pub(super) fn depart(&self, fate: Fate, timing: Option<Timing>, was_sending: bool, class: u8) {
        if class != 0 {
            self.class_departs(class, fate);
        }
        if was_sending {
            self.sending.0.fetch_sub(1, Ordering::Relaxed);
        } else if fate.is_overload() {
            self.overloads.fetch_add(1, Ordering::Relaxed);
        } else if fate.is_open() {
            self.cuts.count();
        }
        match fate {
            Fate::Success | Fate::Ignored => {}
            Fate::Overload | Fate::Panicked => self.signal.lost(DropReason::Failed),
            Fate::TimedOut | Fate::Hurried => self.signal.lost(DropReason::TimedOut),
            Fate::Cancelled => self.signal.lost(DropReason::Cancelled),
        }
        // A look at the count rather than at the word, which somebody else may be writing. If it misses somebody, the word
        // does not.
        if self.waiting() == 0 || !self.pass_on() {
            let after = self.signal.give_back();
            if after.has_waiters() || after.in_flight() == 0 && (after.is_draining() || self.state() != State::Normal) {
                self.released(after);
            }
        }
        if let Some(timing) = timing {
            self.learn_from(timing, fate, class);
        }
    }

    #[inline(never)]
    fn class_departs(&self, class: u8, fate: Fate) {
        self.classes.get().into_iter().for_each(|classes| classes.depart(class, fate));
    }

    #[inline(never)]
    fn released(&self, mut after: AdmissionState) {
        let mut relay = Relay::new();
        if after.has_waiters() {
            relay.call(|| self.hand_on());
            after = self.signal.slots();
        }
        if after.in_flight() == 0 {
            if self.state() != State::Normal {
                relay.call(|| self.update_state((self.clock)()));
            }
            if after.is_draining() {
                relay.call(|| self.idle.notify_all());
            }
        }
        relay.resume();
    }

    #[inline]
    pub(super) fn state(&self) -> State {
        self.signal.state()
    }

    /// Counts a refusal, and answers it.
    #[inline]
    pub(super) fn refuse(&self, seen: AdmissionState, reason: ShedReason) -> Overloaded {
        self.refusals.count(reason);
        self.answer(seen, reason, self.signal.rejected())
    }

    /// Counts a refusal that was not decided here, and answers it.
    #[inline]
    pub(super) fn refuse_for(&self, state: State, reason: ShedReason) -> Overloaded {
        self.refusals.count(reason);
        Overloaded::new(state, reason, self.refusals.retry_some_time(self.signal.rejected()))
    }

    /// The answer to a call that waited.
    pub(super) fn overloaded(&self, reason: ShedReason) -> Overloaded {
        let seen = self.signal.slots();
        self.answer(seen, reason, seen.admitted_bits())
    }

    #[inline]
    fn answer(&self, seen: AdmissionState, reason: ShedReason, number: u64) -> Overloaded {
        // Who keeps a distance to the limit has reached it all the same.
        if reason == ShedReason::Limit || reason == ShedReason::Priority && is_nearly_full(seen) {
            self.felt();
        }
        let ahead = seen.in_flight().saturating_add(self.waiting());
        let retry_after = self.refusals.retry_after(number, ahead, seen);
        Overloaded::new(self.signal.state(), reason, retry_after).with_in_flight(seen.in_flight())
    }

    /// How many calls were refused for which reason.
    pub(super) fn shed(&self) -> [u64; ShedReason::ALL.len()] {
        self.refusals.by_reason(self.signal.gauge().snapshot().counts.rejected)
    }

    #[inline]
    pub(super) fn felt(&self) {
        if !self.was_felt.0.load(Ordering::Relaxed) {
            self.was_felt.0.store(true, Ordering::Relaxed);
        }
    }

    /// Admits nothing from now on, and refuses everybody who waits.
    pub(super) fn drain(&self) {
        if self.signal.drain() {
            let mut relay = Relay::new();
            relay.call(|| self.update_state((self.clock)()));
            relay.call(|| self.dismiss());
            self.take_back_the_ready(&mut relay);
            relay.resume();
        }
    }

    /// Whether nothing is in flight, and no stream open. If anything is, the waker is woken when that ends, provided that the
    /// part drains.
    pub(super) fn poll_idle(&self, waker: &Waker) -> bool {
        // In this order: a call that becomes a stream opens that before it gives its slot back.
        if self.signal.slots().in_flight() == 0 && self.signal.streams() == 0 {
            return true;
        }
        self.idle.register(waker);
        self.signal.fence().in_flight() == 0 && self.signal.streams() == 0
    }
}
