//! What timed calls do by the way: look at what is going on, and change what follows from it.

use std::num::NonZeroU64;
use std::time::Instant;

use backpressure_core::limit::Limit;
use backpressure_rt::sync::Ordering;
use backpressure_rt::{Relay, lock, try_lock};

use super::call_timing::Timing;
use super::fate::Fate;
use super::shared::Shared;
use super::tuner::{Look, Sums, Timed, Tuning};

impl Shared {
    /// The time, with a look at what is going on where every call is looked at. Where one in several is, those that go are
    /// enough.
    #[inline(never)]
    pub(super) fn time(&self) -> NonZeroU64 {
        let now = (self.clock)();
        if self.every.load(Ordering::Relaxed) == 1 {
            self.learn(now, None);
        }
        self.nanos(now)
    }

    /// Takes note of a call whose work is done.
    #[inline(never)]
    pub(super) fn learn_from(&self, timing: Timing, fate: Fate, class: u8) {
        let now = (self.clock)();
        let latency = timing.latency(self.nanos(now).get());
        if fate.is_answered() {
            self.signal.took(now, latency);
        }
        let timed = Timed { latency, delay: timing.delay, is_usual: fate == Fate::Success };
        let timed = fate.is_measure().then_some(timed);
        if let Some(classes) = self.classes.get().filter(|_| class != 0) {
            lock(&self.class_tuner).look(classes, class, now, timed.as_ref());
        }
        self.learn(now, timed);
    }

    /// Looks at what is going on, learns if a window is over, and lets the state fall.
    pub(super) fn learn(&self, now: Instant, timed: Option<Timed>) {
        let every = self.every.load(Ordering::Relaxed);
        // Where every call is looked at, none may be missed; where one in several is, none need be waited for.
        let tuner = if every == 1 { Some(lock(&self.tuner)) } else { try_lock(&self.tuner) };
        let Some(mut tuner) = tuner else { return };
        let (seen, sending) = (self.signal.slots(), self.sending.0.load(Ordering::Relaxed));
        let look = Look {
            now,
            working: seen.in_flight().saturating_sub(sending),
            room: seen.limit().saturating_sub(sending),
            was_felt: self.was_felt.0.load(Ordering::Relaxed) && self.was_felt.0.swap(false, Ordering::Relaxed),
            every,
            timed,
        };
        let tuning = tuner.look(&look, &self.levels, || self.sums());
        match tuning {
            Some(tuning) => {
                if let Some(classes) = self.classes.get() {
                    lock(&self.class_tuner).conclude(classes, &look, tuning.is_felt);
                }
                self.tune(&tuning);
            }
            None => tuner.hurry(&look).into_iter().for_each(|every| self.every.store(every, Ordering::Relaxed)),
        }
        drop(tuner);
        let mut relay = Relay::new();
        if tuning.is_some_and(|tuning| tuning.limit > seen.limit()) && self.signal.slots().has_waiters() {
            relay.call(|| self.hand_on());
        }
        #[cfg(feature = "tracing")]
        if let Some(tuning) = tuning.filter(|tuning| tuning.limit != seen.limit()) {
            relay.call(|| self.tell(seen.limit(), tuning.limit));
        }
        if tuning.is_some() || self.pressure.may_fall(seen.in_flight()) {
            relay.call(|| self.update_state(now));
        }
        relay.resume();
    }

    fn sums(&self) -> Sums {
        let sending = self.sending.0.load(Ordering::Relaxed);
        let (admitted, in_flight) = self.signal.admitted_so_far();
        Sums {
            decided: self.signal.decided_so_far(),
            answered: (admitted + sending as u64).saturating_sub(in_flight + self.refusals.unmade()),
            overloads: self.overloads.load(Ordering::Relaxed),
            cancelled: self.cuts.counted(),
        }
    }

    fn tune(&self, tuning: &Tuning) {
        self.every.store(tuning.every, Ordering::Relaxed);
        self.residence.store(tuning.residence.to_bits(), Ordering::Relaxed);
        self.refusals.tune(tuning.limit, tuning.throughput);
        self.pressure.delayed(tuning.delay);
        self.cuts.are_compared_to(tuning.usual);
        if tuning.limit != self.signal.slots().limit() {
            self.signal.set_limit(tuning.limit);
        }
    }

    /// Why the limit is what it is.
    pub(super) fn explain(&self) -> String {
        lock(&self.tuner).explain()
    }

    /// Logs a change of the limit. Under no lock: whoever listens may call back in.
    #[cfg(feature = "tracing")]
    #[inline(never)]
    fn tell(&self, before: usize, after: usize) {
        if tracing::enabled!(target: "backpressure", tracing::Level::DEBUG) {
            let why = self.explain();
            tracing::debug!(target: "backpressure", before, after, %why, "the concurrency limit changed");
        }
    }

    /// Another limit from now on.
    pub(super) fn replace(&self, limit: Box<dyn Limit>) {
        let mut tuner = lock(&self.tuner);
        self.signal.set_limit(limit.limit());
        let old = tuner.replace(limit);
        drop(tuner);
        drop(old);
        let mut relay = Relay::new();
        if self.signal.slots().has_waiters() {
            relay.call(|| self.hand_on());
        }
        relay.call(|| self.update_state((self.clock)()));
        relay.resume();
    }

    pub(super) fn update_state(&self, now: Instant) {
        if self.pressure.observe(now, self.waiting_share(), &self.signal) {
            self.signal.notify();
        }
    }

    /// When [`learn`](Self::learn) has something to do even if nothing happens.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.pressure.poll_timeout()
    }
}
