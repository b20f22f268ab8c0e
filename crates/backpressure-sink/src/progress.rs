//! The progress of one poll.

use std::task::{Context, Poll};

/// Most items that one poll deals with.
pub(crate) const BUDGET: usize = 64;

/// Why a poll stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// There is nothing left to do.
    Done,
    /// What is behind has to answer first, and wakes the task when it does.
    Waiting,
    /// The budget is spent. Nothing wakes the task by itself.
    Yielding,
}

impl Stopped {
    /// Ready if all is done; otherwise pending, with a wake to come.
    pub(crate) fn poll(self, cx: &Context<'_>) -> Poll<()> {
        match self {
            Self::Done => return Poll::Ready(()),
            Self::Waiting => {}
            Self::Yielding => cx.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}
