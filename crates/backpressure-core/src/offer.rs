//! The truthful answer to an offer.

use std::fmt;

/// Why an item was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum DropReason {
    /// It came to a full buffer whose strategy discards incoming items.
    Overflow = 0,
    /// It was queued and had to make room for another.
    Evicted = 1,
    /// It was not among the sample admitted under pressure.
    Sampled = 2,
    /// It waited longer than the strategy's longest wait and nobody was there to take it back; or it is a call that was
    /// cut by a timeout.
    TimedOut = 3,
    /// Its consumer went away.
    Closed = 4,
    /// It grew too old while it was queued, or its own deadline passed.
    Expired = 5,
    /// It was still undelivered when the deadline of a drain passed.
    DrainDeadline = 6,
    /// The consumer failed on it, and no retry was left.
    Failed = 7,
    /// Whoever waited for its answer went away.
    Cancelled = 8,
}

impl DropReason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Overflow,
        Self::Evicted,
        Self::Sampled,
        Self::TimedOut,
        Self::Closed,
        Self::Expired,
        Self::DrainDeadline,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The reason in snake case, as it stands in the `error.type` attribute of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Evicted => "evicted",
            Self::Sampled => "sampled",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::Expired => "expired",
            Self::DrainDeadline => "drain_deadline",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What became of an item offered to a [`BoundedBuffer`](crate::BoundedBuffer).
///
/// Every item that did not enter, or had to leave, comes back by value: nothing is lost behind the caller's back, and
/// nothing that is lost is ever answered [`Accepted`](Offer::Accepted).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an offer may hand items back"]
pub enum Offer<T> {
    /// The item is in the buffer.
    Accepted,
    /// The item is in the buffer; these had to leave for it.
    AcceptedEvicting(Evicted<T>),
    /// The strategy discarded the item.
    Dropped(T, DropReason),
    /// There is no room, and the strategy does not discard: try again later.
    Full(T),
    /// The buffer takes nothing any more.
    Closed(T),
}

impl<T> Offer<T> {
    /// Whether the offered item is in the buffer.
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted | Self::AcceptedEvicting(_))
    }
}

/// Queued items that had to leave, in the order they left: one, or several when a heavy item needed the room of many.
#[derive(Debug, PartialEq, Eq)]
pub struct Evicted<T> {
    first: T,
    rest: Vec<T>,
}

impl<T> Evicted<T> {
    pub(crate) const fn one(item: T) -> Self {
        Self { first: item, rest: Vec::new() }
    }

    pub(crate) fn push(&mut self, item: T) {
        self.rest.push(item);
    }

    /// How many items left: at least one.
    pub fn count(&self) -> usize {
        1 + self.rest.len()
    }
}

impl<T> IntoIterator for Evicted<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::iter::Once<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.first).chain(self.rest)
    }
}
