//! The state shared by every service of one layer: limiter, watched parts, counts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backpressure_core::State;
use backpressure_core::limit::Level;
use backpressure_rt::Relay;

use super::counts::{Cells, ShedCounts};
use super::lingering::Lingering;
use super::watch::{Passage, Watch};
use crate::limiter::{Deadline, Entry, Limiter, Permit, QueuedCall, Reserved};
use crate::overloaded::{Overloaded, ShedReason};

#[derive(Debug)]
pub(super) struct Gate {
    pub(super) limiter: Limiter,
    pub(super) watch: Watch,
    pub(super) counts: Cells,
    /// How long calls may take before something else cuts them, if that is known.
    timeout: Option<Duration>,
    pub(super) lingering: Lingering,
    /// Whether `poll_ready` waits rather than `call` sheds.
    pub(super) waits: bool,
    shadow: AtomicBool,
    /// Whether it has been announced that the service goes away.
    leaving: AtomicBool,
}

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Decision {
    /// It is made. It takes no slot if the layer is a shadow that would have shed it.
    Go(Option<Permit>),
    Wait(QueuedCall, Option<Reserved>),
    Shed(Overloaded),
}

impl Gate {
    pub(super) fn new(limiter: Limiter, watch: Watch, waits: bool, shadow: bool) -> Self {
        if shadow {
            limiter.spare_streams(true);
        }
        if waits {
            limiter.hold_for_services();
        }
        Self {
            limiter,
            watch,
            counts: Cells::default(),
            timeout: None,
            lingering: Lingering::default(),
            waits,
            shadow: AtomicBool::new(shadow),
            leaving: AtomicBool::new(false),
        }
    }

    /// The gate of a layer whose calls are cut after so long.
    pub(super) fn timeout(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }

    /// The deadline of a call whose caller waits for so long. The clock is looked at only if there is one.
    #[inline]
    pub(super) fn deadline(&self, wait_timeout: Option<Duration>) -> Deadline {
        if self.timeout.is_none() && wait_timeout.is_none() {
            return Deadline::NEVER;
        }
        self.limiter.deadline(self.timeout, wait_timeout)
    }

    #[inline]
    pub(super) fn is_shadow(&self) -> bool {
        self.shadow.load(Ordering::Relaxed)
    }

    pub(super) fn set_shadow(&self, shadow: bool) {
        self.shadow.store(shadow, Ordering::Relaxed);
        self.limiter.spare_streams(shadow);
        self.watch.edited.notify_all();
    }

    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> ShedCounts {
        self.counts.read(self.limiter.shed(), self.limiter.spared_streams())
    }

    /// Sheds everything from now on.
    pub(super) fn drain(&self) {
        self.leave();
        let mut relay = Relay::new();
        relay.call(|| self.limiter.drain());
        relay.call(|| self.watch.edited.notify_all());
        relay.resume();
    }

    /// The state that is forced, or else the worst of what is watched and the limiter's own.
    pub(super) fn state(&self) -> State {
        let own = self.limiter.state();
        if self.watch.is_forced() && own != State::Draining { self.watch.state() } else { own.max(self.watch.state()) }
    }

    /// Whether calls are shed on account of what is watched, all but a few.
    #[inline]
    pub(super) fn sheds(&self) -> bool {
        !self.watch.is_idle() && self.watch.sheds() && !self.is_shadow()
    }

    /// The short way in. `None` says nothing.
    #[inline]
    pub(super) fn admit_plainly(&self, level: Level) -> Option<Permit> {
        if level == Level::default() && self.watch.is_idle() { self.limiter.admit_plainly() } else { None }
    }

    /// Decides a call, once.
    #[inline(always)]
    pub(super) fn decide(&self, level: Level, wait_timeout: Option<Duration>, key: Option<u64>) -> Decision {
        let admitted = if key.is_none() { self.admit_plainly(level) } else { None };
        match admitted {
            Some(permit) => Decision::Go(Some(permit)),
            None => self.decide_at_length(level, wait_timeout, key),
        }
    }

    #[inline(never)]
    pub(super) fn decide_at_length(&self, level: Level, wait_timeout: Option<Duration>, key: Option<u64>) -> Decision {
        let shadow = self.is_shadow();
        if self.watch.is_idle() && !shadow {
            return self.enter(level, wait_timeout, key, None);
        }
        let reserved = match self.watch.admit(level, &self.limiter) {
            Ok(Passage::Free) => None,
            Ok(Passage::Reserved(reserved)) => Some(reserved),
            Ok(Passage::Probe) => {
                self.counts.probe();
                None
            }
            Err((_, reason)) if shadow => return self.pass_by(reason),
            Err((state, reason)) => return Decision::Shed(self.limiter.refuse(state, reason)),
        };
        if shadow {
            return match self.limiter.admit_silently(level, key) {
                Ok(permit) => Decision::Go(Some(permit.reserved(reserved))),
                Err(reason) => self.pass_by(reason),
            };
        }
        self.enter(level, wait_timeout, key, reserved)
    }

    #[inline]
    fn enter(
        &self,
        level: Level,
        wait_timeout: Option<Duration>,
        key: Option<u64>,
        reserved: Option<Reserved>,
    ) -> Decision {
        let wait_timeout = wait_timeout.into_iter().chain(self.timeout).min();
        let entry = match key {
            None => self.limiter.acquire(level, wait_timeout),
            Some(key) => self.limiter.acquire_keyed(key, level, wait_timeout),
        };
        match entry {
            Ok(Entry::Admitted(permit)) => Decision::Go(Some(permit.reserved(reserved))),
            Ok(Entry::Queued(ticket)) => Decision::Wait(ticket, reserved),
            Err(overloaded) => Decision::Shed(overloaded),
        }
    }

    /// A call has the slot that its service waited for, unless its class may not have more.
    #[inline]
    pub(super) fn claim(&self, permit: Permit, key: Option<u64>) -> Decision {
        let permit = match key {
            Some(key) if !self.is_shadow() => self.limiter.classify(permit, key),
            _ => Ok(permit),
        };
        permit.map_or_else(Decision::Shed, |permit| Decision::Go(Some(permit)))
    }

    /// A call of a service that was ready takes a slot, or waits for one as long as it takes.
    pub(super) fn wait(&self, key: Option<u64>) -> Decision {
        match self.limiter.wait_keyed(key) {
            Ok(Entry::Admitted(permit)) => Decision::Go(Some(permit)),
            Ok(Entry::Queued(ticket)) => Decision::Wait(ticket, None),
            Err(overloaded) => Decision::Shed(overloaded),
        }
    }

    /// A call goes by the layer.
    pub(super) fn go_by(&self) -> Decision {
        self.counts.bypassed();
        Decision::Go(None)
    }

    /// A call that would have been shed is not.
    fn pass_by(&self, reason: ShedReason) -> Decision {
        self.counts.would_shed(reason);
        Decision::Go(None)
    }
}
