//! What is queued in a channel.

use crate::receiver::Receiver;

/// What is queued in a channel, as of one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Backlog {
    /// Items queued.
    pub items: usize,
    /// Their weight; 0 where nothing is weighed.
    pub weight: usize,
    /// The arrival number of the oldest queued item, counted from 0 over all accepted items; equal to `accepted` when
    /// nothing is queued. Every accepted item with a lower number has left the channel.
    pub oldest: u64,
    /// How many items were ever accepted.
    pub accepted: u64,
    /// Whether producers wait for room.
    pub producers_wait: bool,
    /// Whether the channel takes nothing any more.
    pub closed: bool,
}

impl<T> Receiver<T> {
    /// What is queued, as of one instant.
    pub fn backlog(&self) -> Backlog {
        let mut inner = self.shared.lock();
        inner.recall();
        let buffer = &inner.buffer;
        Backlog {
            items: buffer.len() + buffer.lent(),
            weight: buffer.weight(),
            oldest: buffer.oldest(),
            accepted: buffer.accepted(),
            producers_wait: !inner.waiters.is_empty(),
            closed: buffer.is_closed(),
        }
    }
}
