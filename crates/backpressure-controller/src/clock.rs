//! Where the time comes from.

use std::time::Instant;

/// Tokio's clock, so that a paused one is followed.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
