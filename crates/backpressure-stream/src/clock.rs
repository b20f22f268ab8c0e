//! Where the time comes from.

use std::time::Instant;

/// Tokio's clock where tokio is, so that a paused clock is followed; the system's elsewhere.
#[cfg(any(feature = "time", feature = "rt"))]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(not(any(feature = "time", feature = "rt")))]
pub(crate) fn now() -> Instant {
    Instant::now()
}
