//! The record of calls that were given up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::fate::Fate;
use super::refusals::nanos;

/// What is known of calls that were given up.
#[derive(Debug)]
pub(super) struct Cuts {
    /// Those of which nobody knows how they would have ended.
    open: AtomicU64,
    /// How long the calls of the last window took that were answered, in nanoseconds; 0 if none was.
    usual: AtomicU64,
}

impl Cuts {
    pub(super) const fn new() -> Self {
        Self { open: AtomicU64::new(0), usual: AtomicU64::new(0) }
    }

    pub(super) fn count(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counted(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// From now on this is how long a call usually takes.
    pub(super) fn are_compared_to(&self, usual: Option<Duration>) {
        self.usual.store(usual.map_or(0, nanos), Ordering::Relaxed);
    }

    /// The fate of a call that was cut after so many nanoseconds. One that was given less than others are answered in says
    /// nothing about load.
    pub(super) fn fate(&self, patience: u64) -> Fate {
        if patience < self.usual.load(Ordering::Relaxed) { Fate::Hurried } else { Fate::TimedOut }
    }
}
