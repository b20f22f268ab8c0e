//! How the exchange starts a runner, without knowing what it is; and whose turn it is to run it.

use std::task::{Context, Poll};

use backpressure_core::DropReason;
use tokio::runtime::Handle;

use super::effects::Effects;
use super::slab::{Answer, CallRef};
use crate::batch::plan::QueuedCall;

/// What sends batches to the inner service and answers calls. One task at a time runs it.
pub(crate) trait Run<O, Req, Resp, E> {
    /// Works until there is nothing to do, and sees to it that this task is woken then. Ready when there never will be.
    fn work(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Sends a call that is alone, as its task, which is woken if the answer does not come at once. Only while nothing else is
    /// held or in flight.
    fn run_alone(
        &mut self,
        call: &CallRef<O, Resp, E>,
        queued: QueuedCall<Req>,
        cx: &mut Context<'_>,
    ) -> Alone<Req, Resp, E>;

    /// Goes on with the call that was sent alone, as its task.
    fn run_on(&mut self, cx: &mut Context<'_>) -> Alone<Req, Resp, E>;

    /// Sends the calls that are in the inbox, in one go, as one of those who made them. `effects`, where nothing is yet, gets what is
    /// left to do. False if the worker has to take over.
    fn run_shard(&mut self, cx: &mut Context<'_>, effects: &mut Effects) -> bool;
}

/// As whom the runner goes on with whatever there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunAs {
    Worker,
    /// As a caller, for the calls in its shard: those in others are theirs, and it wakes whoever is answered.
    Shard,
}

/// What became of a call that was sent alone.
pub(crate) enum Alone<Req, Resp, E> {
    /// With a reason, without having been sent.
    Answered(Answer<Resp, E>, Option<DropReason>),
    InFlight,
    /// The inner service is not ready.
    NotReady(QueuedCall<Req>),
    /// Every call has been answered.
    Over,
}

/// A runner, and the runtime that it belongs to.
pub(crate) struct Runner<O, Req, Resp, E> {
    run: Box<dyn Run<O, Req, Resp, E> + Send>,
    runtime: Option<Handle>,
}

impl<O, Req, Resp, E> Runner<O, Req, Resp, E> {
    pub(crate) fn new(run: Box<dyn Run<O, Req, Resp, E> + Send>) -> Self {
        Self { run, runtime: Handle::try_current().ok() }
    }

    /// For its worker.
    pub(crate) fn as_worker(&mut self) -> &mut dyn Run<O, Req, Resp, E> {
        &mut *self.run
    }

    /// For a caller, who may be anywhere: in the context of the runtime.
    pub(super) fn as_caller<R>(&mut self, act: impl FnOnce(&mut dyn Run<O, Req, Resp, E>) -> R) -> R {
        let _runtime = self.runtime.as_ref().map(Handle::enter);
        act(&mut *self.run)
    }
}
