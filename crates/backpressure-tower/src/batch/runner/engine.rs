//! The engine: the inner service, and everything that is known of the calls that are on their way to it and back.

use std::sync::Arc;

use backpressure_core::{Activity, DropReason};
use backpressure_rt::{ClockSampler, InFlight, Timer, discard, now};
use tower_service::Service;

use super::gather::{Gather, gather, limits};
use super::inner::Inner;
use crate::batch::exchange::{Answer, Effects, Exchange, RunAs, Updates};
use crate::batch::plan::{Batches, Lanes, Linger, Tuning};

/// Of so many calls that are sent alone, and answered at once, one at least is timed. Each is in a model, which must not depend on
/// the time.
const MOST_UNTIMED: usize = if cfg!(backpressure_loom) { 1 } else { 16 };

pub(super) struct Engine<S, Req, Resp>
where
    S: Service<Vec<Req>>,
{
    pub(super) exchange: Arc<Exchange<Req, Resp, S::Error>>,
    pub(super) inner: Inner<S>,
    pub(super) in_flight: InFlight<S::Future>,
    pub(super) gather: Gather,
    /// Where they are to gather, once the lanes are empty.
    pub(super) gather_next: Gather,
    pub(super) lanes: Lanes<Req>,
    pub(super) batches: Batches<Req>,
    /// Answers that are still to be handed out, by call.
    pub(super) answers: Vec<(usize, Answer<Resp, S::Error>)>,
    /// What is left to do for those who have been answered.
    pub(super) effects: Effects,
    pub(super) tuning: Tuning,
    pub(super) max_weight: Option<usize>,
    pub(super) linger: Linger,
    pub(super) joining: Joining,
    /// Whether a batch found the inner service not ready in the last step.
    pub(super) is_refused: bool,
    activity: Activity,
    pub(super) timer: Timer,
    /// Which of the calls that are sent alone are timed.
    pub(super) lone: ClockSampler,
    pub(super) updates: Updates<Req>,
    /// Room for the calls of a batch.
    pub(super) spare: Vec<usize>,
}

/// Whether others are given the time to join the batch that goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joining {
    /// One trip through the scheduler.
    Wanted,
    /// They have had it.
    Done,
    /// None: the last batch was of one call.
    Unlikely,
}

/// What a step came to.
pub(super) enum Step {
    Again,
    /// Others first.
    Yield,
    /// No batch is due.
    Idle,
    /// The inner service cannot take another batch.
    Busy,
    Over,
}

impl<S, Req, Resp> Engine<S, Req, Resp>
where
    S: Service<Vec<Req>>,
{
    pub(super) fn new(exchange: Arc<Exchange<Req, Resp, S::Error>>, service: S) -> Self {
        let settings = &exchange.settings;
        let (config, linger) = (&settings.config, settings.linger(&settings.config));
        let tuning = Tuning::new(settings, now());
        let limits = limits(settings, config, &tuning);
        let gather = gather(settings, &limits, linger);
        exchange.reporter.paced(limits.linger, limits.max_items);
        exchange.reporter.works(Activity::IDLE);
        Self {
            gather,
            gather_next: gather,
            lanes: Lanes::new(limits, settings.hooks.sorting.as_ref().map(|make| make())),
            max_weight: limits.max_weight,
            linger,
            exchange,
            inner: Inner::new(service),
            in_flight: InFlight::new(),
            batches: Batches::new(),
            answers: Vec::new(),
            effects: Effects::default(),
            tuning,
            joining: Joining::Wanted,
            is_refused: false,
            activity: Activity::IDLE,
            timer: Timer::default(),
            lone: ClockSampler::new(MOST_UNTIMED),
            updates: Updates::default(),
            spare: Vec::new(),
        }
    }

    /// Hands out the answers: to calls that were sent or, with a reason, to calls that were not.
    pub(super) fn deliver(&mut self, unsent: Option<DropReason>, run_as: RunAs) {
        if self.answers.is_empty() {
            return;
        }
        self.exchange.lock_uncollected().complete(&mut self.answers, unsent, &mut self.effects);
        // A caller wakes the others after it has put the engine back.
        if run_as == RunAs::Worker {
            self.effects.flush(&self.exchange.reporter);
        }
        self.discard_answers();
    }

    /// Drops answers that nobody waits for.
    pub(super) fn discard_answers(&mut self) {
        self.answers.drain(..).for_each(discard);
    }

    /// Says what it does if that is news: it is busy with the batches in flight, and blocked while the inner service wants none.
    pub(super) fn tell_activity(&mut self) {
        let activity = match self.in_flight.len() {
            0 if self.is_refused => Activity::BLOCKED,
            _ if self.is_refused => Activity::BUSY,
            batches => Activity::busy(batches, self.tuning.concurrency()),
        };
        if self.activity != activity {
            self.activity = activity;
            self.exchange.reporter.works(activity);
        }
    }

    /// Whether a batch leaves without waiting for more calls.
    pub(super) fn is_eager(&self) -> bool {
        match self.linger {
            Linger::Never => true,
            Linger::WhileBusy => self.in_flight.is_empty(),
            Linger::Always => false,
        }
    }
}

/// Nobody is answered any more.
impl<S: Service<Vec<Req>>, Req, Resp> Drop for Engine<S, Req, Resp> {
    fn drop(&mut self) {
        self.exchange.end(None, DropReason::Closed);
    }
}
