//! One batch at a time.

use std::fmt;
use std::task::{Context, Poll};
use std::time::Instant;

use backpressure_core::{Batch, BatchAccumulator, BatchConfig, BatchSizer, FlushPacer, Weigher};

use super::adapt::Adapt;
use super::driver::{Driver, with_linger};
use super::gather::{Gather, Stop};

/// The batches of a stream, one after the other.
pub(crate) type Batches<T> = Driver<Single<T>>;

pub(crate) struct Single<T> {
    config: BatchConfig,
    open: BatchAccumulator<T>,
    /// With how many items the open batch has something that the clock has to see.
    unseen_from: usize,
    closed: Closed<T>,
    weigh: Option<Weigher<T>>,
    adapt: Adapt,
}

/// Batches that wait to be asked for. There may be two: an item can close the batch before it and then its own, or a sampler at
/// the clock the next.
struct Closed<T> {
    next: Option<Vec<T>>,
    after: Option<Vec<T>>,
}

impl<T> Closed<T> {
    #[inline]
    fn add(&mut self, batch: Batch<T>) {
        let place = if self.next.is_none() { &mut self.next } else { &mut self.after };
        *place = Some(batch.items);
    }
}

impl<T> Batches<T> {
    pub(crate) fn single(config: BatchConfig) -> Self {
        let lingering = with_linger(config, config.linger());
        let single = Single {
            config: lingering,
            open: BatchAccumulator::new(lingering),
            unseen_from: 0,
            closed: Closed { next: None, after: None },
            weigh: None,
            adapt: Adapt::default(),
        };
        Self::new(single, config.linger())
    }

    pub(crate) fn weigh_by(&mut self, weigh: Weigher<T>) {
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
        source: Option<impl FnMut(&mut Context<'_>) -> Poll<Option<T>>>,
    ) -> Poll<Option<Vec<T>>> {
        if self.gather.adapt.resume() {
            self.gather.apply();
        }
        self.poll_next(cx, source)
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.gather.open.is_empty() && self.gather.closed.next.is_none()
    }

    /// Items in the open batch.
    pub(crate) fn len(&self) -> usize {
        self.gather.open.len()
    }

    /// Everything that is held, in order.
    pub(crate) fn into_remainder(self) -> Vec<T> {
        let Single { mut open, closed, .. } = self.gather;
        let open = open.end().map(|batch| batch.items);
        [closed.next, closed.after, open].into_iter().flatten().flatten().collect()
    }

    /// How many batches are still to come when `(lower, upper)` items are.
    pub(crate) fn size_hint(&self, (lower, upper): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let Single { config, open, closed, adapt, .. } = &self.gather;
        let largest = if adapt.sizer.is_some() { usize::MAX } else { config.max_items() };
        let closed = usize::from(closed.next.is_some()) + usize::from(closed.after.is_some());
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
    fn fill(&mut self, most: usize, mut next: impl FnMut() -> Result<T, Stop>) -> (usize, Result<(), Stop>) {
        let before = self.open.len();
        let stop_at = before + most;
        loop {
            if self.weigh.is_none() {
                if let Err(stop) = self.open.extend_to(stop_at, &mut next) {
                    return (self.open.len() - before, Err(stop));
                }
            }
            let items = self.open.len() - before;
            if items == most {
                return (items, Ok(()));
            }
            let item = match next() {
                Ok(item) => item,
                Err(stop) => return (items, Err(stop)),
            };
            let weight = self.weigh.as_ref().map_or(1, |weigh| weigh.weigh(&item));
            self.open.push_with(item, weight, |batch| self.closed.add(batch));
            if self.closed.next.is_some() {
                self.unseen_from = 0;
                return (items + 1, Ok(()));
            }
        }
    }

    fn observe(&mut self, now: Instant) {
        if self.closed.after.is_none() {
            if let Some(due) = self.open.observe(now) {
                self.closed.add(due);
            }
            self.unseen_from = match self.config.quiet() {
                _ if self.open.is_empty() => 0,
                None => usize::MAX,
                Some(_) => self.open.len() + 1,
            };
        }
    }

    fn cut(&mut self) {
        if self.closed.after.is_none() {
            if let Some(last) = self.open.end() {
                self.closed.add(last);
            }
            self.unseen_from = 0;
        }
    }

    #[inline]
    fn has_closed(&self) -> bool {
        self.closed.next.is_some()
    }

    fn closed(&mut self) -> Option<Vec<T>> {
        let next = self.closed.next.take()?;
        self.closed.next = self.closed.after.take();
        self.adapt.hand_over(next.len());
        Some(next)
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    #[inline]
    fn is_unseen(&self) -> bool {
        self.open.len() >= self.unseen_from
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
