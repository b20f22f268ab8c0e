//! What is said of a delivery, once.

use std::time::Duration;

/// What became of a delivery, as its holder says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// It is where it was to go.
    Ack,
    /// It goes back, to be delivered again after this time.
    Nak(Duration),
    /// It failed: it goes back for as long as the redelivery policy says, and not for less than this time.
    Retry(Duration),
    /// It is never to be delivered again.
    Term,
    /// Nobody said anything: it was dropped.
    Dropped,
}
