//! How much there is to do, and how long it takes, from minute to minute.

use std::time::{Duration, Instant};

/// What the load is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Calm,
    /// Three times as many items.
    Rush,
    /// The database is slow, as in a backup.
    Slow,
}

/// A load whose minutes are all alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    start: Instant,
    second: u64,
}

impl Load {
    /// It begins so many seconds into a minute.
    pub(crate) fn starting_at(second: u64) -> Self {
        Self { start: Instant::now(), second }
    }

    pub(crate) fn phase(self) -> Phase {
        match (self.second + self.start.elapsed().as_secs()) % 60 {
            20..30 => Phase::Rush,
            30..45 => Phase::Slow,
            _ => Phase::Calm,
        }
    }
}

impl Phase {
    /// Items a second.
    pub(crate) const fn rate(self) -> u64 {
        match self {
            Self::Calm | Self::Slow => 2_000,
            Self::Rush => 6_000,
        }
    }

    /// How long the database takes to write some rows.
    pub(crate) const fn write(self, rows: u64) -> Duration {
        match self {
            Self::Calm | Self::Rush => Duration::from_micros(4_000 + 25 * rows),
            Self::Slow => Duration::from_micros(900_000 + 500 * rows),
        }
    }
}
