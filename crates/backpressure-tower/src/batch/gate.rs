//! How many batches may be with the inner service.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use backpressure_core::limit::{Limit, Sampler};

/// A bound that is given, or one that is found.
pub(super) enum Gate {
    Fixed(usize),
    Adaptive(Box<dyn Limit>, Sampler),
}

/// Makes the limit of each batcher.
pub(super) type MakeLimit = Arc<dyn Fn() -> Box<dyn Limit> + Send + Sync>;

impl Gate {
    pub(super) fn adaptive(limit: Box<dyn Limit>, now: Instant) -> Self {
        Self::Adaptive(limit, Sampler::new(now))
    }

    /// At least one, or nothing would ever be learned.
    pub(super) fn limit(&self) -> usize {
        match self {
            Self::Fixed(limit) => *limit,
            Self::Adaptive(limit, _) => limit.limit().max(1),
        }
    }

    /// A batch left; so many are in flight now.
    pub(super) fn depart(&mut self, now: Instant, in_flight: usize) {
        if let Self::Adaptive(limit, sampler) = self {
            sampler.in_flight(now, in_flight, limit.limit());
        }
    }

    /// A batch came back, or was dropped (`began` is `None` then); so many are in flight now.
    pub(super) fn land(&mut self, now: Instant, began: Option<Instant>, in_flight: usize) {
        let Self::Adaptive(limit, sampler) = self else { return };
        if let Some(began) = began {
            sampler.timed(now.saturating_duration_since(began), std::time::Duration::ZERO);
        }
        sampler.departed(1, 0);
        sampler.in_flight(now, in_flight, limit.limit());
        if let Some(window) = sampler.close(now) {
            limit.update(&window);
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gate").field(&self.limit()).finish()
    }
}
