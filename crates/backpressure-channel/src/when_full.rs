//! Offers to a full channel that need not ask the buffer.

use backpressure_core::{Hooks, Strategy};

/// What comes of an offer to a channel that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum WhenFull {
    HandBack = 0,
    Discard = 1,
    /// The same, but there are hooks that want to know.
    TellAndHandBack = 2,
    TellAndDiscard = 3,
    /// That is for the buffer to say.
    Ask = 4,
}

impl WhenFull {
    pub(crate) const fn of<T>(strategy: Strategy, hooks: &Hooks<T>) -> Self {
        match strategy {
            Strategy::Block { .. } | Strategy::Reject if hooks.is_empty() => Self::HandBack,
            Strategy::DropNewest if hooks.is_empty() => Self::Discard,
            Strategy::Block { .. } | Strategy::Reject => Self::TellAndHandBack,
            Strategy::DropNewest => Self::TellAndDiscard,
            _ => Self::Ask,
        }
    }

    /// The one of this number, in the three lowest bits.
    #[inline]
    pub(crate) const fn from_bits(bits: usize) -> Self {
        match bits & 7 {
            0 => Self::HandBack,
            1 => Self::Discard,
            2 => Self::TellAndHandBack,
            3 => Self::TellAndDiscard,
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
