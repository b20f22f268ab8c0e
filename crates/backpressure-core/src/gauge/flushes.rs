//! The statistics of flushes.

use std::time::{Duration, Instant};

use backpressure_rt::sync::{AtomicU64, Ordering};

use super::lazy::LazyLatencies;
use crate::batch::FlushReason;

/// A flush that was answered, for the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// When the answer came.
    pub at: Instant,
    /// How long it took.
    pub latency: Duration,
    /// How many items the batch had.
    pub items: usize,
    /// Why the batch was closed.
    pub reason: FlushReason,
}

#[derive(Debug)]
pub(super) struct FlushCells {
    pub(super) causes: [AtomicU64; FlushReason::ALL.len()],
    pub(super) items: AtomicU64,
    pub(super) last: AtomicU64,
    pub(super) interval: AtomicU64,
    pub(super) batch_items: AtomicU64,
    pub(super) latencies: LazyLatencies,
}

impl FlushCells {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            causes: std::array::from_fn(|_| zero()),
            items: zero(),
            last: zero(),
            interval: zero(),
            batch_items: zero(),
            latencies: LazyLatencies::default(),
        }
    }

    pub(super) fn count(&self, items: usize, reason: FlushReason) {
        self.causes[reason as usize].fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(items as u64, Ordering::Relaxed);
    }

    pub(super) fn record(&self, flush: Flushed) {
        self.count(flush.items, flush.reason);
        self.last.store(nanos(flush.latency), Ordering::Relaxed);
        self.latencies.record(flush.at, flush.latency);
    }

    pub(super) fn pace(&self, interval: Duration, batch_items: usize) {
        self.interval.store(nanos(interval), Ordering::Relaxed);
        self.batch_items.store(batch_items as u64, Ordering::Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
