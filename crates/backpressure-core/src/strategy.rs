//! Strategies: what a full buffer does with an offer.

use std::fmt;
use std::time::Duration;

use crate::offer::DropReason;

/// What a full (or, for [`Sample`](Strategy::Sample), a pressed) buffer does with an offer.
///
/// The default is [`Block`](Strategy::Block) with a longest wait of five seconds: a library must not lose data unless it
/// was asked to.
///
/// | strategy | a full buffer … | lost | trade-off |
/// |---|---|---|---|
/// | `Block` | makes the producer wait, then hands the item back | nothing | the producer slows to the consumer's pace |
/// | `DropOldest` | discards its oldest item, takes the new one | old items | fresh data, gaps in the past |
/// | `DropNewest` | discards the incoming item | new items | an unbroken past, stale under load |
/// | `Sample` | discards the incoming item, having thinned out its intake before | a share of the new items | a representative trickle |
/// | `Reject` | hands the item back at once | nothing | the producer must decide |
/// | `DropLowest` | discards whatever would be delivered last | the least important | important items pass, others starve |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Make the producer wait for room, first come, first served.
    Block {
        /// The longest an offer may wait before it is handed back. [`Duration::MAX`] waits for ever. Default 5 s.
        max_wait: Duration,
    },
    /// Discard the oldest queued item to admit the new one.
    DropOldest,
    /// Discard the incoming item (also known as *drop incoming* or *tail drop*).
    DropNewest,
    /// From the low watermark on admit only every n-th offer; when full, discard the incoming item.
    Sample {
        /// One offer in this many is admitted. At least 1. Default 10.
        one_in: u32,
    },
    /// Hand the incoming item back at once.
    Reject,
    /// Discard the item that would be delivered last: the newest of the lowest priority, which may be the incoming one.
    DropLowest,
}

impl Strategy {
    /// The longest wait of [`Strategy::block`]: 5 s.
    pub const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(5);

    /// [`Strategy::Block`] with the default longest wait of 5 s.
    pub const fn block() -> Self {
        Self::Block { max_wait: Self::DEFAULT_MAX_WAIT }
    }

    /// [`Strategy::Block`] that waits as long as it takes.
    pub const fn block_forever() -> Self {
        Self::Block { max_wait: Duration::MAX }
    }

    /// [`Strategy::Sample`] of one offer in ten.
    pub const fn sample() -> Self {
        Self::Sample { one_in: 10 }
    }

    /// Whether this strategy may discard items, as opposed to making producers wait or handing items back.
    pub const fn is_lossy(self) -> bool {
        match self {
            Self::Block { .. } | Self::Reject => false,
            Self::DropOldest | Self::DropNewest | Self::Sample { .. } | Self::DropLowest => true,
        }
    }

    /// Whether this strategy may discard items for this reason.
    pub(crate) const fn may_lose_for(self, reason: DropReason) -> bool {
        match self {
            Self::Block { .. } | Self::Reject => false,
            Self::DropOldest | Self::DropLowest => matches!(reason, DropReason::Evicted | DropReason::Overflow),
            Self::DropNewest => matches!(reason, DropReason::Overflow),
            Self::Sample { .. } => matches!(reason, DropReason::Sampled | DropReason::Overflow),
        }
    }

    /// The strategy's name in kebab case, without its parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block { .. } => "block",
            Self::DropOldest => "drop-oldest",
            Self::DropNewest => "drop-newest",
            Self::Sample { .. } => "sample",
            Self::Reject => "reject",
            Self::DropLowest => "drop-lowest",
        }
    }
}

impl Default for Strategy {
    fn default() -> Self {
        Self::block()
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How important an item is: 0 (least) to 7 (most).
///
/// Items of a higher priority are delivered first, items of one priority in the order they came. See
/// [`BoundedBuffer`](crate::BoundedBuffer) for the bound on starvation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// The number of priorities.
    pub const COUNT: usize = 8;
    /// The least important: 0.
    pub const LOWEST: Self = Self(0);
    /// The default: 3.
    pub const NORMAL: Self = Self(3);
    /// The most important: 7.
    pub const HIGHEST: Self = Self(7);

    /// A priority from 0 (least important) to 7 (most important); higher numbers count as 7.
    pub const fn new(priority: u8) -> Self {
        if priority > Self::HIGHEST.0 { Self::HIGHEST } else { Self(priority) }
    }

    /// As a number, 0 to 7.
    pub const fn as_u8(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

/// What happens to an item that alone weighs more than the whole weight bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Oversize {
    /// It is admitted alone, once the buffer is empty. The default: nothing is refused for its size. A strategy that
    /// evicts does not empty the buffer for it: until then it meets a full buffer, and is what is dropped.
    #[default]
    AdmitAlone,
    /// It is refused like an offer to a full buffer that will never have room.
    Refuse,
}
