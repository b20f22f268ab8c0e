//! The desk, for those who run the engine: the worker and, one at a time, callers.
//!
//! ```text
//!                  enter, alone                    answered
//!  worker asleep ───────────────▶ a caller leads ────────────▶ worker asleep
//!        ▲                              │
//!        │ nothing to do                │ anybody else comes, drains or goes; the service is not ready
//!        └───────── worker runs ◀───────┘
//! ```
//!
//! In a crowd, and while the worker is bound to come, whoever is the last to leave a call at a door leads as well, for all who
//! left theirs there: so callers that run on one thread are answered there. The worker stays away as long as that goes on.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use super::{After, Desk, Phase};
use crate::batch::engine::Led;
use crate::batch::erased::ErasedEngine;
use crate::batch::page::Page;
use crate::batch::shared::Shared;

/// Who runs the engine, where callers may.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// `None` while somebody runs it.
    engine: Option<ErasedEngine>,
    /// Whether a call that comes while the worker sleeps may run it.
    pub(super) is_free: bool,
    /// The call whose batch is with the inner service, which wakes its caller.
    pub(super) leader: Option<usize>,
    /// Whether the worker came while a caller ran it.
    summoned: bool,
    /// Whether others came while a caller led, and the engine does not know yet.
    pub(super) joined: bool,
    /// Calls since the worker last ran that were over before their callers could wait for anything.
    rushed: u32,
    /// Whether a caller led for a door since the worker last came.
    is_crowd_led: bool,
    /// How often in a row the worker has stayed away because of that.
    stayed_away: u32,
}

/// After so many such calls in a row the worker has its turn, and with it whoever else may want to call: a caller
/// that never waits would otherwise never see that it is not alone.
const RUSH: u32 = 16;

/// After so many visits in vain the worker has its turn, whoever leads: some may have left their calls where nobody does.
const PATIENCE: u32 = 4;

/// What the worker is to do.
#[derive(Debug)]
pub(in crate::batch) enum Turn {
    /// Run it. The waker is to be dropped outside the lock.
    Run(ErasedEngine, Waker),
    /// Come again after others have had their turn: callers lead.
    Later(Waker),
    /// Wait for a caller, and drop what the waker replaced.
    Wait(Option<Waker>),
    Over(Waker),
}

impl<Req, Resp, E> Desk<Req, Resp, E> {
    /// The worker comes to run the engine.
    pub(in crate::batch) fn take_turn(&mut self, waker: Waker) -> Turn {
        if self.stays_away() {
            return Turn::Later(waker);
        }
        let is_led = self.turns.leader.take().is_some() || self.turns.engine.is_none();
        self.turns.joined |= is_led && self.queued > 0;
        self.turns.rushed = 0;
        if let Some(engine) = self.turns.engine.take() {
            return Turn::Run(engine, waker);
        }
        if let Phase::Over(_) = self.phase {
            return Turn::Over(waker);
        }
        self.turns.summoned = true;
        self.turns.is_free = false;
        Turn::Wait(self.worker.replace(waker))
    }

    /// Whether the worker leaves its turn to the callers that lead.
    fn stays_away(&mut self) -> bool {
        let is_led = mem::take(&mut self.turns.is_crowd_led) && self.turns.stayed_away < PATIENCE;
        let may_wait = is_led && self.gone.is_empty() && !self.is_ending();
        self.turns.stayed_away = if may_wait { self.turns.stayed_away + 1 } else { 0 };
        may_wait
    }

    /// The engine is not run any more. If everything is over, it is handed out to be dropped.
    pub(in crate::batch) fn put_back_engine(&mut self, engine: ErasedEngine) -> Option<ErasedEngine> {
        if let Phase::Over(_) = self.phase {
            return Some(engine);
        }
        self.turns.engine.replace(engine)
    }

    /// Takes the engine out for good.
    pub(in crate::batch) fn take_out_engine(&mut self) -> Option<ErasedEngine> {
        self.turns.engine.take()
    }

    /// A call that has just come takes the engine, and its own waker, if it is the only one and the worker sleeps.
    #[inline]
    pub(super) fn take_lead(&mut self, call: usize) -> Option<(ErasedEngine, Waker)> {
        let is_free = self.turns.is_free && self.pending == 1 && self.worker.is_some() && self.turns.engine.is_some();
        let waker = self.pages.call(call).waker.take_if(|_| is_free)?;
        self.turns.engine.take().map(|engine| (engine, waker))
    }

    /// The caller that leads goes on.
    pub(in crate::batch) fn lead_on(&mut self, call: usize) -> Option<ErasedEngine> {
        self.turns.leader.take_if(|leader| *leader == call)?;
        self.turns.engine.take()
    }

    /// A caller has run the engine so far. `at_once` if that was in `call`. Whatever came up meanwhile has woken the worker,
    /// which was here then, or has still to come.
    pub(in crate::batch) fn end_lead(
        &mut self,
        call: usize,
        engine: ErasedEngine,
        led: Led,
        at_once: bool,
    ) -> (After, Option<ErasedEngine>) {
        let summoned = mem::take(&mut self.turns.summoned);
        self.turns.rushed += u32::from(at_once && led == Led::Done);
        let wakes = summoned || led == Led::Stuck || self.turns.rushed >= RUSH;
        self.turns.leader = (led == Led::InFlight && !wakes).then_some(call);
        let worker = if wakes { self.worker.take() } else { None };
        (After { worker, ..After::default() }, self.put_back_engine(engine))
    }

    /// A call that has just been left at a door, the last there, takes the engine and its own waker to lead for all of them, if
    /// it is there. If somebody else runs it, the door is opened again.
    ///
    /// Only while the worker is bound to come, so that nobody depends on the caller.
    pub(in crate::batch) fn take_crowd_lead(
        &mut self,
        door: usize,
        page: &Arc<Page<Req, Resp, E>>,
        call: usize,
        shared: &Arc<Shared<Req, Resp, E>>,
    ) -> Option<(ErasedEngine, Waker)> {
        let is_free = self.turns.engine.is_some() && self.turns.leader.is_none();
        let leads = is_free && self.worker.is_none() && !self.is_ending();
        if leads || shared.doors.is_full(door) {
            self.look_at(door, &shared.doors);
        }
        if !leads {
            self.open_door(shared);
            return None;
        }
        let waker = self.pages.find(page, call)?.waker.take()?;
        self.turns.engine.take().map(|engine| (engine, waker))
    }

    /// A caller has run the engine for a door, which is opened again. If it was not `done`, the worker goes on.
    pub(in crate::batch) fn end_crowd_lead(
        &mut self,
        engine: ErasedEngine,
        done: bool,
        shared: &Arc<Shared<Req, Resp, E>>,
    ) -> (After, Option<ErasedEngine>) {
        self.turns.is_crowd_led = done;
        let worker = if mem::take(&mut self.turns.summoned) { self.worker.take() } else { None };
        let refused = self.put_back_engine(engine);
        self.open_door(shared);
        (After { worker, ..After::default() }, refused)
    }
}
