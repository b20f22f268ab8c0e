//! The source of time.

use std::time::Instant;

/// Where a shell's time comes from, for the instruments that need it. Called only on changes of state once somebody has
/// taken a snapshot, and by the snapshots themselves.
pub type Clock = fn() -> Instant;
