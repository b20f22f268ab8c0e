//! Offers to a full channel that need not ask the buffer.

use backpressure_core::{Hooks, Strategy};

/// What comes of an offer to a channel that is full.
#[derive(Debug)]
pub(crate) enum WhenFull {
    HandBack,
    Discard,
    /// One of the two, but there are hooks that want to know.
    Tell,
    /// That is for the buffer to say.
    Ask,
}

impl WhenFull {
    pub(crate) const fn of<T>(strategy: Strategy, hooks: &Hooks<T>) -> Self {
        match strategy {
            Strategy::Block { .. } | Strategy::Reject if hooks.is_empty() => Self::HandBack,
            Strategy::DropNewest if hooks.is_empty() => Self::Discard,
            Strategy::Block { .. } | Strategy::Reject | Strategy::DropNewest => Self::Tell,
            _ => Self::Ask,
        }
    }
}

/// There is more to an offer than putting its item into the queue.
#[derive(Debug)]
pub(crate) struct Unsent;

/// The item of an offer, which takes it once.
///
/// # Panics
///
/// If it was taken before.
#[inline]
pub(crate) fn taken<T>(item: &mut Option<T>) -> T {
    item.take().expect("an offer has one item")
}
