//! One batch at a time.

use std::fmt;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backpressure_core::{Batch, BatchAccumulator, BatchConfig, BatchSizer, FlushPacer, Weigher};
use backpressure_rt::now;

use super::adapt::Adapt;
use super::driver::{Driver, in_force};
use super::gather::{Gather, Stop};
use super::losses::Losses;
use crate::handle::MicroBatchHandle;

/// The batches of a stream, one after the other.
pub(crate) type Batches<T> = Driver<Single<T>>;

pub(crate) struct Single<T> {
    /// What the user asked for, and what follows from that.
    configured: BatchConfig,
    pub(super) config: BatchConfig,
    pub(super) open: BatchAccumulator<T>,
    /// With how many items the open batch has something that the clock has to see.
    pub(super) unseen_from: usize,
    pub(super) closed: Closed<T>,
    pub(super) weigh: Option<Weigher<T>>,
    pub(super) adapt: Adapt,
    /// Where items can be lost, or their loss is to be told.
    pub(super) lost: Option<Box<Losses<T>>>,
    /// Whether there is something to see to before a poll.
    pub(super) is_attentive: bool,
}

/// Batches that wait to be asked for. There may be two: an item can close the batch before it and then its own, or a sampler at
/// the clock the next.
pub(super) struct Closed<T> {
    pub(super) next: Option<Vec<T>>,
    pub(super) after: Option<Vec<T>>,
}

impl<T> Closed<T> {
    #[inline]
    pub(super) fn add(&mut self, batch: Batch<T>) {
        let place = if self.next.is_none() { &mut self.next } else { &mut self.after };
        *place = Some(batch.items);
    }
}

impl<T> Batches<T> {
    pub(crate) fn single(config: BatchConfig) -> Self {
        let in_force = in_force(config, config.linger(), config.max_items());
        let single = Single {
            configured: config,
            config: in_force,
            open: BatchAccumulator::new(in_force),
            unseen_from: 0,
            closed: Closed { next: None, after: None },
            weigh: None,
            adapt: Adapt::default(),
            lost: None,
            is_attentive: false,
        };
        Self::new(single, config.linger())
    }

    pub(crate) fn weigh_by(&mut self, weigh: Weigher<T>) {
        self.gather.weigh = Some(weigh);
    }

    pub(crate) fn adapt_linger(&mut self, pacer: FlushPacer) {
        self.set_linger(pacer.interval());
        self.gather.adapt.pacer = Some(pacer);
        self.learn();
    }

    pub(crate) fn adapt_size(&mut self, sizer: BatchSizer) {
        self.gather.adapt.sizer = Some(sizer);
        self.learn();
    }

    fn learn(&mut self) {
        self.gather.is_attentive = true;
        self.gather.apply();
        if let Some(handle) = &self.handle {
            handle.learns(self.gather.adapt.learned());
        }
    }

    /// The handle, from the first call on.
    pub(crate) fn handle(&mut self) -> MicroBatchHandle {
        self.gather.is_attentive = true;
        self.handle_for(self.gather.configured, self.gather.adapt.learned())
    }

    /// Whether there is something to see to before a poll.
    #[inline]
    pub(crate) const fn is_attentive(&self) -> bool {
        self.gather.is_attentive
    }

    /// [`poll_next`](Driver::poll_next), under the latest configuration, learning from the time between a batch and the
    /// request for the next one, and without what has expired.
    pub(crate) fn poll_attentively(
        &mut self,
        cx: &mut Context<'_>,
        source: Option<impl FnMut(&mut Context<'_>) -> Poll<Option<T>>>,
    ) -> Poll<Option<Vec<T>>> {
        if self.gather.adapt.resume() {
            self.gather.apply();
        }
        if self.gather.open.is_expiring() {
            self.expire();
        }
        self.adopt();
        self.poll_next::<true>(cx, source)
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
    pub(crate) fn into_remainder(mut self) -> Vec<T> {
        self.gather.take_all()
    }

    /// How many batches are still to come when `(lower, upper)` items are.
    pub(crate) fn size_hint(&self, (lower, upper): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let Single { config, open, closed, adapt, .. } = &self.gather;
        // Batches may become larger.
        let grows = adapt.sizer.is_some() || self.handle.is_some();
        let largest = if grows { usize::MAX } else { config.max_items() };
        let closed = usize::from(closed.next.is_some()) + usize::from(closed.after.is_some());
        let batches = lower.saturating_add(open.len()).div_ceil(largest);
        let most = closed + usize::from(!open.is_empty());
        let least = if open.is_expiring() { 0 } else { closed.saturating_add(batches) };
        (least, upper.and_then(|upper| upper.checked_add(most)))
    }
}

impl<T> Single<T> {
    /// Puts what was learned into force, for the batches that open from now on.
    pub(super) fn apply(&mut self) {
        if let Some(linger) = self.adapt.linger().filter(|_| self.open.is_empty()) {
            self.config = in_force(self.config, linger, self.config.max_items());
            self.open.reconfigure(self.config);
        }
        if let Some(max_items) = self.adapt.max_items() {
            self.open.set_max_items(max_items);
        }
    }

    /// Everything that is held, in order.
    pub(super) fn take_all(&mut self) -> Vec<T> {
        let open = self.open.end().map(|batch| batch.items);
        [self.closed.next.take(), self.closed.after.take(), open].into_iter().flatten().flatten().collect()
    }
}

impl<T> Gather for Single<T> {
    type Item = T;
    type Batch = Vec<T>;

    #[inline]
    fn fill<const ATTENTIVE: bool>(
        &mut self,
        most: usize,
        mut next: impl FnMut() -> Result<T, Stop>,
    ) -> (usize, Result<(), Stop>) {
        if ATTENTIVE && self.open.is_expiring() {
            return self.fill_unexpired(most, next);
        }
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
        if self.open.is_expiring() {
            self.expire(now);
            if self.has_closed_one() {
                return;
            }
        }
        if self.closed.after.is_none() {
            if let Some(due) = self.open.observe(now) {
                self.close(due);
            }
            self.unseen_from = match self.config.quiet() {
                _ if self.open.is_empty() => 0,
                None => usize::MAX,
                Some(_) => self.open.len() + 1,
            };
        }
    }

    fn reconfigure(&mut self, config: BatchConfig) -> Duration {
        let linger = self.adapt.linger().unwrap_or(config.linger());
        self.configured = config;
        self.config = in_force(config, linger, self.adapt.max_items().unwrap_or(config.max_items()));
        self.unseen_from = 0;
        if let Some(full) = self.open.reconfigure(self.config) {
            self.close(full);
        }
        linger
    }

    fn cut(&mut self) {
        if self.open.is_expiring() {
            self.expire(now());
        }
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

impl<T> Drop for Single<T> {
    /// Where somebody wants to know, what is held is lost, and not silently.
    fn drop(&mut self) {
        if self.lost.is_some() {
            self.lose_all();
        }
    }
}

impl<T> fmt::Debug for Single<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Single").field("config", &self.config).field("open", &self.open.len()).finish_non_exhaustive()
    }
}
