//! The watched parts, and what their state means for a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use backpressure_core::limit::{Criticality, Level, Threshold};
use backpressure_core::{Gauge, State};
use backpressure_rt::sync::Mutex;
use backpressure_rt::try_lock;

use super::policy::{Action, Policy};
use crate::limiter::{Limiter, Notify, Reserved};
use crate::overloaded::ShedReason;

/// Calls of the most important class that may be in flight under [`Action::Reserve`].
const RESERVED: usize = 2;

/// A probe passes so long after the shedding began, and so long after the one before.
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// One call in so many that are shed looks whether it may be a probe: a look at the clock costs as much as the shedding.
const LOOK_EVERY: usize = 8;

/// One call in so many finds out anew which levels fit.
const CUT_EVERY: usize = 64;

/// Where [`Action::AdmitByPriority`] begins to shed.
const PRESSED: f64 = 0.8;

/// The utilization of a state that is forced, when nothing is watched.
const ASSUMED: f64 = 0.9;

const NOT_FORCED: u8 = u8::MAX;

/// Watches gauges, under a table of what to do, unless a state is forced.
#[derive(Debug)]
pub(super) struct Watch {
    gauge: Option<Gauge>,
    forced: AtomicU8,
    policy: AtomicU64,
    /// Rings when a state is forced, or not any more, or the table is another one.
    pub(super) edited: Arc<Notify>,
    is_shedding: AtomicBool,
    looks: AtomicUsize,
    epoch: Instant,
    /// When the last probe passed, or the shedding began, in nanoseconds after the epoch.
    probed: AtomicU64,
    cut: AtomicU16,
    cuts: AtomicUsize,
    ramp: Mutex<Ramp>,
}

#[derive(Debug)]
struct Ramp {
    threshold: Threshold,
    cursor: usize,
}

/// How a call passes.
#[derive(Debug)]
pub(super) enum Passage {
    Free,
    /// On a slot of the reserve.
    Reserved(Reserved),
    Probe,
}

impl Watch {
    pub(super) fn new(gauge: Option<Gauge>, policy: Policy, now: Instant) -> Self {
        Self {
            gauge,
            forced: AtomicU8::new(NOT_FORCED),
            policy: AtomicU64::new(policy.to_bits()),
            edited: Arc::new(Notify::new()),
            is_shedding: AtomicBool::new(false),
            looks: AtomicUsize::new(0),
            epoch: now,
            probed: AtomicU64::new(0),
            cut: AtomicU16::new(Level::LAST.as_u16()),
            cuts: AtomicUsize::new(0),
            ramp: Mutex::new(Ramp { threshold: Threshold::new(), cursor: 0 }),
        }
    }

    pub(super) const fn gauge(&self) -> Option<&Gauge> {
        self.gauge.as_ref()
    }

    /// The state that is forced, or else the worst of those watched.
    #[inline]
    pub(super) fn state(&self) -> State {
        State::from_u8(self.forced.load(Ordering::Relaxed))
            .unwrap_or_else(|| self.gauge.as_ref().map_or(State::Normal, Gauge::state))
    }

    #[inline]
    pub(super) fn is_forced(&self) -> bool {
        self.forced.load(Ordering::Relaxed) != NOT_FORCED
    }

    #[inline]
    pub(super) fn action(&self, state: State) -> Action {
        Policy::action_in(self.policy.load(Ordering::Relaxed), state)
    }

    /// Whether nothing is watched and no state is forced.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.gauge.is_none() && !self.is_forced()
    }

    /// Whether nearly all calls are shed.
    #[inline(never)]
    pub(super) fn sheds(&self) -> bool {
        self.action(self.state()).sheds()
    }

    /// Whether whoever can wait does.
    #[inline]
    pub(super) fn holds_back(&self) -> bool {
        if self.is_idle() {
            return false;
        }
        let state = self.state();
        state != State::Draining && self.action(state).sheds()
    }

    pub(super) fn force(&self, state: Option<State>) {
        self.forced.store(state.map_or(NOT_FORCED, State::as_u8), Ordering::Relaxed);
        self.edited.notify_all();
    }

    pub(super) fn set_policy(&self, policy: Policy) {
        self.policy.store(policy.to_bits(), Ordering::Relaxed);
        self.edited.notify_all();
    }

    /// Whether a call of this level may go on to the limiter. If not, the state it met and the reason.
    #[inline]
    pub(super) fn admit(&self, level: Level, limiter: &Limiter) -> Result<Passage, (State, ShedReason)> {
        let state = self.state();
        let action = self.action(state);
        if action == Action::Admit {
            if self.is_shedding.load(Ordering::Relaxed) {
                self.is_shedding.store(false, Ordering::Relaxed);
            }
            return Ok(Passage::Free);
        }
        self.admit_under(action, state, level, limiter)
    }

    #[inline(never)]
    fn admit_under(
        &self,
        action: Action,
        state: State,
        level: Level,
        limiter: &Limiter,
    ) -> Result<Passage, (State, ShedReason)> {
        if action == Action::Reserve && level.criticality() == Criticality::CriticalPlus {
            if let Some(place) = limiter.reserve(RESERVED) {
                return Ok(Passage::Reserved(place));
            }
        }
        let reason = match action {
            Action::Admit => return Ok(Passage::Free),
            Action::AdmitFrom(class) if level.criticality() <= class => return Ok(Passage::Free),
            Action::AdmitByPriority if level <= self.cut(limiter) => return Ok(Passage::Free),
            Action::AdmitFrom(_) | Action::AdmitByPriority => ShedReason::Priority,
            Action::Reserve | Action::Shed if state == State::Draining => ShedReason::Draining,
            Action::Reserve | Action::Shed => ShedReason::Pressure,
        };
        if state != State::Draining && self.is_probe(limiter.now()) {
            return Ok(Passage::Probe);
        }
        limiter.saw(level);
        Err((state, reason))
    }

    /// Whether the call that is about to be shed passes instead.
    fn is_probe(&self, now: impl FnOnce() -> Instant) -> bool {
        let since_epoch =
            |now: Instant| u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX);
        if !self.is_shedding.swap(true, Ordering::Relaxed) {
            self.looks.store(1, Ordering::Relaxed);
            self.probed.store(since_epoch(now()), Ordering::Relaxed);
            return false;
        }
        if self.looks.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY != 0 {
            return false;
        }
        let (now, last) = (since_epoch(now()), self.probed.load(Ordering::Relaxed));
        now.saturating_sub(last) >= PROBE_EVERY.as_nanos() as u64
            && self.probed.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The least important level that fits.
    fn cut(&self, limiter: &Limiter) -> Level {
        if self.cuts.fetch_add(1, Ordering::Relaxed) % CUT_EVERY == 0 {
            if let Some(mut ramp) = try_lock(&self.ramp) {
                let utilization = self.gauge.as_ref().filter(|_| !self.is_forced()).map_or(ASSUMED, Gauge::utilization);
                let excess = ((utilization - PRESSED) / (1.0 - PRESSED)).clamp(0.0, 1.0);
                let Ramp { threshold, cursor } = &mut *ramp;
                limiter.tell_levels(threshold, cursor);
                let cut = threshold.update(1.0 - excess, 1.0, 1.0);
                self.cut.store(cut.as_u16(), Ordering::Relaxed);
            }
        }
        Level::from_u16(self.cut.load(Ordering::Relaxed)).unwrap_or(Level::LAST)
    }
}
