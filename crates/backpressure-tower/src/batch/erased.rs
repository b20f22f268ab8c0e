//! The engine, where callers may run it.

use std::fmt;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

use super::engine::{Led, Run};

/// An engine of whatever service, and the runtime that it belongs to.
pub(super) struct ErasedEngine {
    engine: Box<dyn Run + Send>,
    runtime: Option<Handle>,
}

impl ErasedEngine {
    pub(super) fn new(engine: Box<dyn Run + Send>) -> Self {
        Self { engine, runtime: Handle::try_current().ok() }
    }

    /// Runs it as its worker.
    pub(super) fn work(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.engine.work(cx)
    }

    /// Runs it as a caller.
    pub(super) fn lead(&mut self, cx: &mut Context<'_>) -> Led {
        let _runtime = self.runtime.as_ref().map(Handle::enter);
        self.engine.lead(cx)
    }

    /// Runs it as a caller, for others.
    pub(super) fn lead_crowd(&mut self, cx: &mut Context<'_>, wakers: &mut Vec<Waker>) -> bool {
        let _runtime = self.runtime.as_ref().map(Handle::enter);
        self.engine.lead_crowd(cx, wakers)
    }
}

impl fmt::Debug for ErasedEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasedEngine")
    }
}
