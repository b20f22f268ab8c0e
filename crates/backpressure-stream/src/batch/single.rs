//! One batch at a time.

use std::fmt;
use std::task::{Context, Poll};
use std::time::Instant;

use backpressure_core::{Batch, BatchAccumulator, BatchConfig, BatchSizer, ClosedBatches, FlushPacer};

use super::adapt::Adapt;
use super::driver::{Driver, with_linger};
use super::gather::Gather;
use crate::hooks::Weigh;

/// The batches of a stream, one after the other.
pub(crate) type Batches<T> = Driver<Single<T>>;

pub(crate) struct Single<T> {
    config: BatchConfig,
    open: BatchAccumulator<T>,
    /// How many items of the open batch the last look at the clock has seen.
    seen: usize,
    /// Closed by their size or weight.
    closed: ClosedBatches<T>,
    /// Closed after those for another reason.
    cut: Option<Batch<T>>,
    weigh: Option<Weigh<T>>,
    adapt: Adapt,
}

impl<T> Batches<T> {
    pub(crate) fn single(config: BatchConfig) -> Self {
        let lingering = with_linger(config, config.linger());
        let single = Single {
            config: lingering,
            open: BatchAccumulator::new(lingering),
            seen: 0,
            closed: ClosedBatches::default(),
            cut: None,
            weigh: None,
            adapt: Adapt::default(),
        };
        Self::new(single, config.linger())
    }

    pub(crate) fn weigh_by(&mut self, weigh: Weigh<T>) {
        self.gather.weigh = Some(weigh);
    }

    pub(crate) fn adapt_linger(&mut self, pacer: FlushPacer) {
        self.set_linger(pacer.interval());
        self.gather.adapt.pacer = Some(pacer);
        self.gather.apply();
    }

    pub(crate) fn adapt_size(&mut self, sizer: BatchSizer) {
        self.gather.adapt.sizer = Some(sizer);
        self.gather.apply();
    }

    /// [`poll_next`](Driver::poll_next), learning from the time between a batch and the request for the next one.
    #[inline]
    pub(crate) fn poll_batch(
        &mut self,
        cx: &mut Context<'_>,
        source: impl FnMut(&mut Context<'_>) -> Poll<Option<T>>,
    ) -> Poll<Option<Vec<T>>> {
        if self.gather.adapt.resume() {
            self.gather.apply();
        }
        let polled = self.poll_next(cx, source);
        if let Poll::Ready(Some(batch)) = &polled {
            self.gather.adapt.hand_over(batch.len());
        }
        polled
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.gather.open.is_empty() && self.gather.closed.is_empty() && self.gather.cut.is_none()
    }

    /// Items in the open batch.
    pub(crate) fn len(&self) -> usize {
        self.gather.open.len()
    }

    /// Everything that is held, in order.
    pub(crate) fn into_remainder(self) -> Vec<T> {
        let Single { mut open, closed, cut, .. } = self.gather;
        closed.chain(cut).chain(open.end()).flat_map(|batch| batch.items).collect()
    }

    /// How many batches are still to come when `(lower, upper)` items are.
    pub(crate) fn size_hint(&self, (lower, upper): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let Single { config, open, closed, cut, adapt, .. } = &self.gather;
        let largest = if adapt.sizer.is_some() { usize::MAX } else { config.max_items() };
        let closed = closed.size_hint().0 + usize::from(cut.is_some());
        let batches = lower.saturating_add(open.len()).div_ceil(largest);
        let most = closed + usize::from(!open.is_empty());
        (closed.saturating_add(batches), upper.and_then(|upper| upper.checked_add(most)))
    }
}

impl<T> Single<T> {
    /// Puts what was learned into force, for the batches that open from now on.
    fn apply(&mut self) {
        if let Some(linger) = self.adapt.linger().filter(|_| self.open.is_empty()) {
            self.config = with_linger(self.config, linger);
            self.open = BatchAccumulator::new(self.config);
        }
        if let Some(max_items) = self.adapt.max_items() {
            self.open.set_max_items(max_items);
        }
    }
}

impl<T> Gather for Single<T> {
    type Item = T;
    type Batch = Vec<T>;

    #[inline]
    fn fill(&mut self, most: u32, mut next: impl FnMut() -> Option<T>) -> u32 {
        let mut added = 0;
        while added < most {
            let Some(item) = next() else { break };
            added += 1;
            let weight = self.weigh.as_ref().map_or(1, |weigh| weigh(&item));
            let closed = self.open.push(item, weight);
            if !closed.is_empty() {
                self.seen = 0;
                self.closed = closed;
                break;
            }
        }
        added
    }

    fn observe(&mut self, now: Instant) {
        self.cut = self.cut.take().or_else(|| self.open.observe(now));
        self.seen = self.open.len();
    }

    fn cut(&mut self) {
        self.cut = self.cut.take().or_else(|| self.open.end());
        self.seen = self.open.len();
    }

    #[inline]
    fn closed(&mut self) -> Option<Vec<T>> {
        self.closed.next().or_else(|| self.cut.take()).map(|batch| batch.items)
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    #[inline]
    fn is_unseen(&self) -> bool {
        self.seen == 0 || (self.config.quiet().is_some() && self.open.len() > self.seen)
    }

    #[inline]
    fn poll_timeout(&self) -> Option<Instant> {
        self.open.poll_timeout()
    }
}

impl<T> fmt::Debug for Single<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Single").field("config", &self.config).field("open", &self.open.len()).finish_non_exhaustive()
    }
}
