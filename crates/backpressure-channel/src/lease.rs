//! The lock holder's view of the receiver's [lease](crate::lending).

use backpressure_core::Tally;

#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) tally: Tally,
    /// Whether the receiver is to come to the lock with each item it takes.
    pub(crate) is_called: bool,
}

impl Lease {
    pub(crate) const fn new(tally: Tally) -> Self {
        Self { tally, is_called: false }
    }
}
