//! What an accumulator of batches has to offer so that a [`Driver`](super::driver::Driver) can drive it.

use std::time::Instant;

pub(crate) trait Gather {
    type Item;
    type Batch;

    /// Adds what `next` has, at most `most` items, and stops early once a batch is [`closed`](Self::closed). Answers how many.
    fn fill(&mut self, most: u32, next: impl FnMut() -> Option<Self::Item>) -> u32;

    /// Looks at the clock, and closes what is due.
    fn observe(&mut self, now: Instant);

    /// Closes whatever is open.
    fn cut(&mut self);

    /// The next batch that is closed.
    fn closed(&mut self) -> Option<Self::Batch>;

    /// Whether no batch is open.
    fn is_empty(&self) -> bool;

    /// Whether something has arrived in an open batch that the clock has to see.
    fn is_unseen(&self) -> bool;

    /// When to look at the clock next even if nothing arrives.
    fn poll_timeout(&self) -> Option<Instant>;
}
