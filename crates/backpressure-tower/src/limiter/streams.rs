//! How many streams there may be: answers that go on after their call, and have a bound of their own instead of a slot.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// As many open streams as a limiter has room for, unless it is told otherwise.
const MOST: usize = 10_000;

/// What bounds the streams. How many are open is counted with everything else.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) most: AtomicUsize,
    /// Whether those that are too many are counted rather than refused.
    pub(super) are_spared: AtomicBool,
    pub(super) spared: AtomicU64,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { most: AtomicUsize::new(MOST), are_spared: AtomicBool::new(false), spared: AtomicU64::new(0) }
    }

    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    pub(super) fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    pub(super) fn spare(&self, are_spared: bool) {
        self.are_spared.store(are_spared, Ordering::Relaxed);
    }

    /// How many would have been refused, had they not been spared.
    pub(super) fn spared(&self) -> u64 {
        self.spared.load(Ordering::Relaxed)
    }
}
