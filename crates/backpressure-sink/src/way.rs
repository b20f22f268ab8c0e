//! The path between an item and the inner sink.

use crate::phase::Phase;

/// The later, the more is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Nothing at all: the sink is open, nothing is queued, no task waits for the inner sink, and all items are alike.
    Clear,
    /// Whatever is queued.
    Open,
    /// A task waits for the inner sink to be ready.
    Readying,
    /// A task waits for the inner sink to be flushed.
    Flushing,
    /// The sink takes nothing more, and delivers what it holds.
    Draining,
    /// The inner sink was closed, well or not.
    Closed,
}

impl Way {
    /// At least this is in the way now.
    #[inline]
    pub(crate) fn block(&mut self, by: Self) {
        *self = (*self).max(by);
    }

    /// If it was this that was in the way, it is so no longer.
    #[inline]
    pub(crate) fn unblock(&mut self, from: Self) {
        if *self == from {
            *self = Self::Open;
        }
    }

    pub(crate) const fn phase(self) -> Phase {
        match self {
            Self::Clear | Self::Open | Self::Readying | Self::Flushing => Phase::Open,
            Self::Draining => Phase::Draining,
            Self::Closed => Phase::Closed,
        }
    }
}
