//! The turns of the worker and of callers at running the runner.
//!
//! ```text
//!                  a call comes alone                answered
//!  worker asleep ─────────────────────▶ its caller runs ───────▶ worker asleep
//!        ▲                                    │
//!        │ nothing to do                      │ anybody else comes, drains or goes; the service is not ready
//!        └────────── worker runs ◀────────────┘
//! ```
//!
//! In contention, and while the worker is bound to come, whoever pushes the last call for which a shard has room runs it as well,
//! for all the calls in that shard: so callers on one thread are answered there. The worker stays away as long as that goes on.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use backpressure_core::Moved;

use super::calls::Stage;
use super::effects::Effects;
use super::run::{Alone, Runner};
use super::slab::{Answer, CallRef};
use super::state::{State, WhenAlone};

/// After so many calls in a row that were answered at once the worker has its turn, and with it whoever else may want to call: a
/// caller that never waits would otherwise never see that it is not alone.
const MAX_AT_ONCE: u32 = 32;

/// After so many turns in a row that it left to callers the worker has its own: some calls may be in shards where nobody runs.
const MAX_STAYED_AWAY: u32 = 4;

/// What the worker is to do.
pub(crate) enum Turn<O, Req, Resp, E> {
    /// Run it. The waker is to be dropped outside the lock.
    Run(Runner<O, Req, Resp, E>, Waker),
    /// Come again after others have had their turn: callers run it.
    Later(Waker),
    /// Wait for a caller, and drop what the waker replaced.
    Wait(Option<Waker>),
    Over(Waker),
}

/// For the worker.
impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    /// The worker comes to run it.
    pub(crate) fn take_turn(&mut self, waker: Waker) -> Turn<O, Req, Resp, E> {
        if self.stays_away() {
            return Turn::Later(waker);
        }
        let is_run = self.in_flight.take().is_some() || self.runner.is_none();
        self.others_came |= is_run && self.calls.queued() > 0;
        self.at_once = 0;
        if let Some(runner) = self.runner.take() {
            return Turn::Run(runner, waker);
        }
        if self.is_over() {
            return Turn::Over(waker);
        }
        self.is_awaited = true;
        self.when_alone = WhenAlone::WakeWorker;
        Turn::Wait(self.worker.replace(waker))
    }

    /// Whether the worker leaves its turn to the callers that run it.
    fn stays_away(&mut self) -> bool {
        let ran = mem::take(&mut self.ran_shard) && self.stayed_away < MAX_STAYED_AWAY;
        let may_wait = ran && self.gone.is_empty() && !self.is_ending() && !self.is_reconfigured;
        self.stayed_away = if may_wait { self.stayed_away + 1 } else { 0 };
        may_wait
    }

    /// It is not run any more. If everything is over, it stays where it is, to be dropped outside the lock.
    pub(crate) fn put_back(&mut self, runner: &mut Option<Runner<O, Req, Resp, E>>) {
        if !self.is_over() {
            mem::swap(&mut self.runner, runner);
        }
    }
}

/// For a caller that is alone.
impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    /// Takes the runner for a call that is about to come, if that is the only one and the worker sleeps. Nothing else is queued,
    /// held or in flight then.
    pub(super) fn take_alone(&mut self) -> Option<Runner<O, Req, Resp, E>> {
        let is_alone = self.when_alone == WhenAlone::Run && self.pending == 0 && self.worker.is_some();
        self.runner.take_if(|_| is_alone)
    }

    /// The caller whose call is alone in flight goes on. One that was answered has no number of its own any more: that in flight
    /// may have the same.
    pub(super) fn resume_alone(&mut self, call: &CallRef<O, Resp, E>) -> Option<Runner<O, Req, Resp, E>> {
        self.calls.find(call)?;
        self.in_flight.take_if(|in_flight| *in_flight == call.number)?;
        self.runner.take()
    }

    /// A caller has run it so far. Whatever came up meanwhile has woken the worker, which was here then, or has still to come.
    /// Answers what the caller is to have, and whether it goes on. What is not used stays, to be dropped outside the lock.
    pub(super) fn end_alone(
        &mut self,
        call: &CallRef<O, Resp, E>,
        runner: &mut Option<Runner<O, Req, Resp, E>>,
        outcome: &mut Option<Alone<Req, Resp, E>>,
        waker: &mut Option<Waker>,
        effects: &mut Effects,
    ) -> (Option<Answer<Resp, E>>, bool) {
        let (mut answer, mut in_flight, mut is_stuck) = (None, None, false);
        let number = call.number;
        match outcome.take_if(|_| self.calls.find(call).is_some()) {
            // Its caller has the answer in hand, so that needs no slot.
            Some(Alone::Answered(got, unsent)) => {
                self.at_once += u32::from(unsent.is_some() || self.dispatch_alone(number, effects));
                // Only one of the two is there: a call keeps its waker once it is in flight, and its caller comes back without one.
                let kept = self.calls.withdraw(number);
                debug_assert!(kept.is_none() || waker.is_none(), "one of them would be dropped under the lock");
                *waker = kept.or(waker.take());
                let failed = usize::from(got.is_err());
                self.completed(1 - failed, failed, unsent, effects);
                answer = Some(got);
            }
            Some(Alone::InFlight) => {
                if self.dispatch_alone(number, effects) {
                    self.calls.call(number).waker = waker.take();
                }
                in_flight = Some(number);
            }
            Some(Alone::NotReady(queued)) => {
                self.note_arrival();
                self.calls.requeue(number, queued);
                self.calls.call(number).waker = waker.take();
                is_stuck = true;
            }
            // Whoever ended everything has answered the call.
            Some(Alone::Over) | None => {}
        }
        if mem::take(&mut self.is_awaited) || is_stuck || self.at_once >= MAX_AT_ONCE {
            in_flight = None;
            effects.worker = self.worker.take();
        }
        self.in_flight = in_flight;
        self.put_back(runner);
        (answer, in_flight.is_some())
    }

    /// A call that is alone was sent. Whether that is news.
    fn dispatch_alone(&mut self, number: usize, effects: &mut Effects) -> bool {
        let call = self.calls.call(number);
        let is_news = matches!(call.stage, Stage::Held);
        if is_news {
            call.stage = Stage::Sent;
            self.vacate(1, Moved::taken(1), effects);
        }
        is_news
    }
}

/// For a caller that runs it for its shard.
impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    /// A call that has just been pushed, the last for which the shard had room, takes the runner and its own waker, if that is
    /// there. If somebody else runs it, the shard is opened again.
    ///
    /// Only while the worker is bound to come, so that nobody depends on the caller.
    pub(super) fn take_for_shard(
        &mut self,
        shard: usize,
        call: &CallRef<O, Resp, E>,
        owner: &Arc<O>,
    ) -> Option<(Runner<O, Req, Resp, E>, Waker)> {
        let is_free = self.runner.is_some() && self.in_flight.is_none();
        let runs = is_free && self.worker.is_none() && !self.is_ending();
        if runs || self.shards.is_full(shard) {
            self.collect_mine(shard);
        }
        if !runs {
            self.open_shard(owner);
            return None;
        }
        let waker = self.calls.find(call)?.waker.take()?;
        self.runner.take().map(|runner| (runner, waker))
    }

    /// A caller has run it for a shard, which is opened again. If it was not `done`, the worker goes on. What is not used
    /// stays, to be dropped outside the lock.
    pub(super) fn end_shard_run(
        &mut self,
        call: &CallRef<O, Resp, E>,
        runner: &mut Option<Runner<O, Req, Resp, E>>,
        waker: &mut Option<Waker>,
        done: bool,
        owner: &Arc<O>,
        effects: &mut Effects,
    ) {
        if let Some(own) = waker.take() {
            *waker = self.wait(call, own).1;
        }
        self.ran_shard = done;
        if mem::take(&mut self.is_awaited) {
            effects.worker = self.worker.take();
        }
        self.put_back(runner);
        self.open_shard(owner);
    }
}
