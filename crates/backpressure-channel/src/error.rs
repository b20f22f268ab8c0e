//! The results and errors of a send.

use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;

use backpressure_core::{DropReason, Refusal, Refused};

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
///
/// It is an [`Error`] whatever the item is. To hand it on with `?`, as `anyhow::Error` or `Box<dyn Error + Send + Sync>`, the
/// item must be `Send + Sync + 'static`, or [left out](Self::without_item):
///
/// ```
/// use std::cell::Cell;
/// use backpressure_channel::{SendError, Sender};
///
/// fn forward(tx: &Sender<Cell<u8>>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     tx.try_send(Cell::new(1)).map_err(SendError::without_item)?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError<T> {
    /// There is no room now; or, for an item heavier than the whole bound where those are refused, never.
    Full(T),
    /// There was no room for as long as the strategy lets a producer wait.
    TimedOut(T),
    /// The channel is closed.
    Closed(T),
    /// A [blocking send](crate::Sender::blocking_send) was called where it would block an asynchronous runtime.
    WouldBlockRuntime(T),
}

impl<T> SendError<T> {
    /// The item that was not sent.
    pub fn into_inner(self) -> T {
        self.split().0
    }

    /// The same error without the item, which is dropped.
    pub fn without_item(self) -> SendError<()> {
        self.split().1
    }

    fn split(self) -> (T, SendError<()>) {
        match self {
            Self::Full(item) => (item, SendError::Full(())),
            Self::TimedOut(item) => (item, SendError::TimedOut(())),
            Self::Closed(item) => (item, SendError::Closed(())),
            Self::WouldBlockRuntime(item) => (item, SendError::WouldBlockRuntime(())),
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
            Self::WouldBlockRuntime(_) => "WouldBlockRuntime",
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
            Self::Full(_) => "the buffer is full",
            Self::TimedOut(_) => "timed out waiting for room: the buffer stayed full",
            Self::Closed(_) => "the buffer is closed: no more items are accepted",
            Self::WouldBlockRuntime(_) => {
                "a blocking send would block the async runtime of this thread: await a send instead"
            }
        })
    }
}

impl<T> Error for SendError<T> {}

impl<T> Refused for SendError<T> {
    fn refusal(&self) -> Refusal {
        match self {
            Self::Full(_) | Self::TimedOut(_) => Refusal::BUSY,
            Self::Closed(_) => Refusal::CLOSED,
            Self::WouldBlockRuntime(_) => Refusal::Failed,
        }
    }
}

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

    /// The same error without the item, which is dropped.
    pub fn without_item(self) -> SinkError<()> {
        match self {
            Self::Full(_) => SinkError::Full(()),
            Self::Closed(item) => SinkError::Closed(item.map(drop)),
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
            Self::Full(_) => "the buffer is full",
            Self::Closed(_) => "the buffer is closed: no more items are accepted",
        })
    }
}

impl<T> Error for SinkError<T> {}

impl<T> Refused for SinkError<T> {
    fn refusal(&self) -> Refusal {
        match self {
            Self::Full(_) => Refusal::BUSY,
            Self::Closed(_) => Refusal::CLOSED,
        }
    }
}
