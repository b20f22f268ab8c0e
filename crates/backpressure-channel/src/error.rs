//! What became of an item that was sent, and why it may not have been.

use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;

use backpressure_core::DropReason;

/// The truth about an item that the channel took off its producer's hands.
///
/// Only [`Accepted`](Sent::Accepted) and [`Evicting`](Sent::Evicting) mean that it is in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sent {
    /// It is in the buffer.
    Accepted,
    /// It is in the buffer, and this many queued items had to leave for it.
    Evicting(NonZeroUsize),
    /// The strategy discarded it. It went to the `on_drop` hook, if there is one.
    Dropped(DropReason),
}

impl Sent {
    /// Whether the item is in the buffer.
    pub const fn is_accepted(self) -> bool {
        !matches!(self, Self::Dropped(_))
    }
}

/// The truth about many items that the channel took off their producer's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct SentMany {
    /// Items that came into the buffer.
    pub accepted: usize,
    /// Queued items that had to leave for them; these may be among those of the same run.
    pub evicted: usize,
    /// Items that the strategy discarded. They went to the `on_drop` hook, if there is one.
    pub dropped: usize,
}

/// The channel did not take the item: here it is again.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError<T> {
    /// There is no room now; or, for an item heavier than the whole bound where those are refused, never.
    Full(T),
    /// There was no room for as long as the strategy lets a producer wait.
    TimedOut(T),
    /// The channel is closed.
    Closed(T),
}

impl<T> SendError<T> {
    /// The item that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::TimedOut(item) | Self::Closed(item) => item,
        }
    }

    /// Whether the channel is closed, so that trying again is no use.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    const fn reason(&self) -> &'static str {
        match self {
            Self::Full(_) => "Full",
            Self::TimedOut(_) => "TimedOut",
            Self::Closed(_) => "Closed",
        }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(self.reason()).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the channel is full",
            Self::TimedOut(_) => "the channel stayed full for the longest wait",
            Self::Closed(_) => "the channel is closed",
        })
    }
}

impl<T> Error for SendError<T> {}

/// Why a [`Sender`](crate::Sender) used as a sink failed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkError<T> {
    /// The channel was full, and its strategy is to reject: here is the item again.
    Full(T),
    /// The channel is closed. If an item was being sent, here it is again.
    Closed(Option<T>),
}

impl<T> SinkError<T> {
    /// The item that was not sent, if there was one.
    pub fn into_inner(self) -> Option<T> {
        match self {
            Self::Full(item) => Some(item),
            Self::Closed(item) => item,
        }
    }
}

impl<T> fmt::Debug for SinkError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.debug_tuple("Full").finish_non_exhaustive(),
            Self::Closed(item) => f.debug_struct("Closed").field("hands_back", &item.is_some()).finish(),
        }
    }
}

impl<T> fmt::Display for SinkError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the channel is full",
            Self::Closed(_) => "the channel is closed",
        })
    }
}

impl<T> Error for SinkError<T> {}
