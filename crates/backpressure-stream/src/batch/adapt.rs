//! Adaptive batches: size and linger, learned from the consumer.

use std::time::{Duration, Instant};

use backpressure_core::{BatchSizer, FlushPacer};
use backpressure_rt::now;

use crate::handle::Learned;

/// Takes the time between handing a batch over and being asked for the next one as the time that the consumer took. Without
/// a pacer or a sizer it reads no clock.
#[derive(Debug, Default)]
pub(super) struct Adapt {
    pub(super) pacer: Option<FlushPacer>,
    pub(super) sizer: Option<BatchSizer>,
    handed_over: Option<(Instant, usize)>,
}

impl Adapt {
    /// A batch of so many items goes to the consumer.
    #[inline]
    pub(super) fn hand_over(&mut self, items: usize) {
        if self.pacer.is_some() || self.sizer.is_some() {
            self.handed_over = Some((now(), items));
        }
    }

    /// The consumer asks for the next batch. Whether there is something to learn from that.
    #[inline]
    pub(super) fn resume(&mut self) -> bool {
        self.handed_over.is_some() && self.learn()
    }

    #[cold]
    #[inline(never)]
    fn learn(&mut self) -> bool {
        let Some((since, items)) = self.handed_over.take() else { return false };
        let took = now().saturating_duration_since(since);
        if let Some(pacer) = &mut self.pacer {
            pacer.record(took);
        }
        if let Some(sizer) = &mut self.sizer {
            sizer.record(items, took);
        }
        true
    }

    /// What is learned at all.
    pub(super) const fn learned(&self) -> Learned {
        Learned { linger: self.pacer.is_some(), max_items: self.sizer.is_some() }
    }

    pub(super) fn linger(&self) -> Option<Duration> {
        self.pacer.as_ref().map(FlushPacer::interval)
    }

    pub(super) fn max_items(&self) -> Option<usize> {
        self.sizer.as_ref().map(BatchSizer::limit)
    }
}
