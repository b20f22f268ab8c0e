//! Where the time comes from.

use std::time::Instant;

/// Tokio's clock where it is there, so that a paused one is followed; the system's elsewhere.
#[cfg(feature = "time")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(not(feature = "time"))]
pub(crate) fn now() -> Instant {
    Instant::now()
}
