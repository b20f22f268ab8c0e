//! Where the time comes from.

use std::time::Instant;

/// Tokio's clock where tokio is, so that a paused one is followed; the system's elsewhere.
#[cfg(feature = "tokio")]
#[inline]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The system's clock.
#[cfg(not(feature = "tokio"))]
#[inline]
pub fn now() -> Instant {
    Instant::now()
}
