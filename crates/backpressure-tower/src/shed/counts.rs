//! The counts of shed calls, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::overloaded::ShedReason;

/// How many calls were shed for which reason since the layer was made. Layers that share a limiter share what is counted
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShedCounts {
    shed: [u64; ShedReason::ALL.len()],
    would_shed: [u64; ShedReason::ALL.len()],
    /// Calls that went by the layer.
    pub bypassed: u64,
    /// Calls that passed as probes while the others were shed.
    pub probes: u64,
}

impl ShedCounts {
    /// Calls that were shed for this reason.
    pub const fn shed(&self, reason: ShedReason) -> u64 {
        self.shed[reason as usize]
    }

    /// Calls that would have been shed for this reason, had the layer not been a shadow.
    pub const fn would_shed(&self, reason: ShedReason) -> u64 {
        self.would_shed[reason as usize]
    }

    /// Calls that were shed.
    pub fn total(&self) -> u64 {
        self.shed.iter().sum()
    }
}

/// What the limiter does not count.
#[derive(Debug, Default)]
pub(super) struct Cells {
    would_shed: [AtomicU64; ShedReason::ALL.len()],
    bypassed: AtomicU64,
    probes: AtomicU64,
}

impl Cells {
    pub(super) fn would_shed(&self, reason: ShedReason) {
        self.would_shed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn bypassed(&self) {
        self.bypassed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn probe(&self) {
        self.probes.fetch_add(1, Ordering::Relaxed);
    }

    /// With what the limiter counts: the calls that were `shed`, and the streams it `spared`.
    pub(super) fn read(&self, shed: [u64; ShedReason::ALL.len()], spared: u64) -> ShedCounts {
        let mut would_shed = std::array::from_fn(|reason| self.would_shed[reason].load(Ordering::Relaxed));
        would_shed[ShedReason::Streams as usize] = spared;
        ShedCounts {
            shed,
            would_shed,
            bypassed: self.bypassed.load(Ordering::Relaxed),
            probes: self.probes.load(Ordering::Relaxed),
        }
    }
}
