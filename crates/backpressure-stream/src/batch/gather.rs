//! The interface between a batch accumulator and its [`Driver`](super::driver::Driver).

use std::time::{Duration, Instant};

use backpressure_core::BatchConfig;

/// Why a source gives no item.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    Pause,
    End,
}

pub(crate) trait Gather {
    type Item;
    type Batch;

    /// Adds what `next` has: at most so many items, until a batch is [`closed`](Self::closed), or `next` says why it has no more.
    /// Tells how many came.
    /// Where items may expire it has to be `ATTENTIVE`. Who is not has a loop of its own without any of that.
    fn fill<const ATTENTIVE: bool>(
        &mut self,
        most: usize,
        next: impl FnMut() -> Result<Self::Item, Stop>,
    ) -> (usize, Result<(), Stop>);

    /// Looks at the clock, and closes what is due.
    fn observe(&mut self, now: Instant);

    /// Takes another configuration, and closes what is full by it. Returns the linger that is in force.
    fn reconfigure(&mut self, config: BatchConfig) -> Duration;

    /// Closes whatever is open.
    fn cut(&mut self);

    /// Whether a batch is closed.
    fn has_closed(&self) -> bool;

    /// The next batch that is closed. It goes to the consumer.
    fn closed(&mut self) -> Option<Self::Batch>;

    /// Whether no batch is open.
    fn is_empty(&self) -> bool;

    /// Whether something has arrived in an open batch that the clock has to see.
    fn is_unseen(&self) -> bool;

    /// When to look at the clock next even if nothing arrives.
    fn poll_timeout(&self) -> Option<Instant>;
}
