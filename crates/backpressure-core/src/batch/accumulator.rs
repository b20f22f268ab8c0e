mod expiring;
mod expiry;
mod timing;

use std::mem;
use std::time::Instant;

use super::{Batch, BatchConfig, ClosedBatches, FlushReason};
use expiry::Expiry;
use timing::Timing;

/// Room is set aside for at most this many items when a batch opens; a larger batch grows as it fills.
const MAX_RESERVED: usize = 1024;

/// From this weight on, items of weight 1 could bring an unbounded batch beyond what can be counted.
const OUTSIZE: usize = usize::MAX / 2;

/// Gathers items into batches, and says when a batch is to close.
///
/// A batch closes when it has [`max_items`](crate::BatchConfigBuilder::max_items) or
/// [`max_weight`](crate::BatchConfigBuilder::max_weight), and, when it is looked at, once it is due by its
/// [`linger`](crate::BatchConfigBuilder::linger) or [`quiet`](crate::BatchConfigBuilder::quiet). Batches are never
/// empty, and one after the other they are the input.
///
/// Items and time come in separately, so that an item costs no clock read: push what there is, up to a budget, then
/// call [`observe`](BatchAccumulator::observe) once, then wait for more items or for
/// [`poll_timeout`](BatchAccumulator::poll_timeout).
///
/// ```text
///        push push push     observe            push        observe
/// items   a    b    c          │                 d            │
/// time                         ├── linger of a, b, c, d ─────▶│ closes [a, b, c, d]
///                              └─▶ poll_timeout = here ──────▶│
/// ```
///
/// A deadline belongs to the open batch and goes with it: a timer that was armed for one batch and fires late finds
/// the deadline of the next one in the future, or no batch at all.
///
/// Items [expire](Self::expiring) if that is asked for. Then no batch holds an item that had expired when the accumulator
/// was last told the time.
///
/// Dropping the accumulator drops what it holds; [`end`](BatchAccumulator::end) takes it out.
///
/// ```
/// use std::time::{Duration, Instant};
/// use backpressure_core::{BatchAccumulator, BatchConfig, FlushReason};
///
/// let linger = Duration::from_millis(20);
/// let mut batches = BatchAccumulator::new(BatchConfig::builder().max_items(2).linger(linger).build()?);
///
/// assert!(batches.push('a', 1).is_empty());
/// let full = batches.push('b', 1).next().unwrap();
/// assert_eq!((full.items, full.reason), (vec!['a', 'b'], FlushReason::Full));
///
/// let start = Instant::now();
/// assert!(batches.push('c', 1).is_empty());
/// assert_eq!(batches.observe(start), None);
/// assert_eq!(batches.poll_timeout(), Some(start + linger));
/// let late = batches.observe(start + linger).unwrap();
/// assert_eq!((late.items, late.reason), (vec!['c'], FlushReason::Linger));
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct BatchAccumulator<T> {
    config: BatchConfig,
    items: Vec<T>,
    /// What the open batch weighs beyond 1 for each item, modulo 2^n: so an item of weight 1 leaves it as it is.
    excess: usize,
    /// Most items in the open batch; 0 while none is open.
    limit: usize,
    /// With fewer items than this, one more of weight 1 neither opens nor closes a batch.
    brim: usize,
    /// A batch that weighs less with an item needs no closer look at that; none does where items expire.
    light: usize,
    /// The open batch's deadlines, once it has been looked at.
    timing: Option<Timing>,
    /// Only where items expire.
    expiry: Option<Box<Expiry<T>>>,
}

impl<T> BatchAccumulator<T> {
    /// An empty accumulator. It allocates nothing until the first item.
    pub const fn new(config: BatchConfig) -> Self {
        let light = light(&config);
        Self { config, items: Vec::new(), excess: 0, limit: 0, brim: 0, light, timing: None, expiry: None }
    }

    /// Adds an item, and answers the batches that this closes.
    ///
    /// The weight has no effect unless the configuration bounds it; 1 will do.
    #[inline]
    pub fn push(&mut self, item: T, weight: usize) -> ClosedBatches<T> {
        let mut closed = ClosedBatches::default();
        self.push_with(item, weight, |batch| closed.add(batch));
        closed
    }

    /// Adds an item as [`push`](Self::push) does, and gives the batches that this closes to `closed`, in order.
    ///
    /// Cheaper for those who put them away anyhow.
    #[inline]
    pub fn push_with(&mut self, item: T, weight: usize, closed: impl FnMut(Batch<T>)) {
        match self.weight().checked_add(weight) {
            Some(total) if self.items.len() < self.brim && total < self.light => {
                self.items.push(item);
                self.weighs(total);
            }
            _ => self.push_at_edge(item, weight, closed),
        }
    }

    /// Adds what `next` has, each of weight 1: until the open batch has `len` items, and only as long as none of them opens
    /// or closes a batch.
    ///
    /// Cheaper than one [`push`](Self::push) after the other, which the item after these needs. Should `next` panic, what it
    /// gave before is in the batch.
    ///
    /// # Errors
    ///
    /// What `next` answers instead of an item, which ends the run.
    #[inline]
    pub fn extend_to<E>(&mut self, len: usize, mut next: impl FnMut() -> Result<T, E>) -> Result<(), E> {
        let len = len.min(self.brim);
        while self.items.len() < len {
            self.items.push(next()?);
        }
        Ok(())
    }

    /// Adds an item that opens a batch, or closes one, or both, or expires.
    #[cold]
    #[inline(never)]
    fn push_at_edge(&mut self, item: T, weight: usize, closed: impl FnMut(Batch<T>)) {
        if self.is_expiring() {
            self.push_dated(item, weight, None, closed);
        } else {
            self.push_and_close(item, weight, |_| {}, closed);
        }
    }

    #[inline]
    fn push_and_close(
        &mut self,
        item: T,
        weight: usize,
        note: impl FnOnce(&mut Self),
        mut closed: impl FnMut(Batch<T>),
    ) {
        if !self.has_weight_for(weight) {
            self.close(FlushReason::Weight).into_iter().for_each(&mut closed);
        }
        if self.items.is_empty() {
            self.limit = self.config.max_items();
            self.items = Vec::with_capacity(self.limit.min(MAX_RESERVED));
        }
        let total = self.weight().saturating_add(weight);
        note(self);
        self.items.push(item);
        self.fills(total);
        if self.items.len() >= self.limit {
            self.close(FlushReason::Full).into_iter().for_each(closed);
        } else if self.config.max_weight().is_some_and(|max| total >= max) {
            self.close(FlushReason::Weight).into_iter().for_each(closed);
        }
    }

    /// Notes what the items weigh now, and how many may follow.
    fn fills(&mut self, total: usize) {
        self.brim = if total < OUTSIZE { self.limit - 1 } else { 0 };
        self.weighs(total);
    }

    /// Notes what the items weigh now.
    #[inline]
    fn weighs(&mut self, total: usize) {
        self.excess = total.wrapping_sub(self.items.len());
        if let Some(max_weight) = self.config.max_weight() {
            let room = max_weight.saturating_sub(total).saturating_sub(1);
            self.brim = self.items.len().saturating_add(room).min(self.limit - 1);
        }
    }

    fn has_weight_for(&self, weight: usize) -> bool {
        self.config.max_weight().is_none_or(|max| self.weight().checked_add(weight).is_some_and(|total| total <= max))
    }

    /// Looks at the clock: answers the open batch if it is due at `now`, and otherwise starts its linger if that has
    /// not begun, and its quiet time if anything has arrived since the last look.
    ///
    /// Call it after every run of pushes and whenever [`poll_timeout`](BatchAccumulator::poll_timeout) has passed, but
    /// only when the batch can be taken: a batch that is due and not asked for is kept, and goes on filling. A `now`
    /// that repeats or goes backwards is harmless.
    pub fn observe(&mut self, now: Instant) -> Option<Batch<T>> {
        if self.is_expiring() {
            self.expire(now);
        }
        if self.items.is_empty() {
            return None;
        }
        let timing = self.timing.get_or_insert_with(|| Timing::since(now));
        timing.saw(self.items.len(), now, &self.config);
        let (due, reason) = timing.next(&self.config)?;
        if now < due { None } else { self.close(reason) }
    }

    /// When to [`observe`](BatchAccumulator::observe) next even if nothing arrives.
    ///
    /// It is `None` while no batch is open, for a batch that has not been looked at since it was opened, and for one
    /// whose deadlines lie beyond the end of time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timing.as_ref()?.next(&self.config).map(|(due, _)| due)
    }

    /// Closes the open batch, if there is one, because someone wants it now.
    pub fn flush(&mut self) -> Option<Batch<T>> {
        self.close(FlushReason::Flush)
    }

    /// Closes the open batch, if there is one, because nothing follows it.
    ///
    /// The accumulator stays usable.
    pub fn end(&mut self) -> Option<Batch<T>> {
        self.close(FlushReason::End)
    }

    /// Sets the most items of the batches that open from now on; zero counts as 1.
    ///
    /// The open batch keeps the limit that it was opened with.
    pub fn set_max_items(&mut self, max_items: usize) {
        self.config.max_items = max_items.max(1);
    }

    /// Takes another configuration, for the open batch as well: it goes on waiting since its first item, for as long as
    /// the new linger says, and it is answered at once, as it is, if it has as much as a batch may have now. Its quiet time
    /// begins anew with the next look.
    ///
    /// That one batch may have more than the new bounds allow: it is what was held when they were lowered.
    ///
    /// ```
    /// use backpressure_core::{BatchAccumulator, BatchConfig, FlushReason};
    ///
    /// let mut batches = BatchAccumulator::new(BatchConfig::builder().max_items(100).build()?);
    /// for item in 0..5 {
    ///     assert!(batches.push(item, 1).is_empty());
    /// }
    /// let smaller = BatchConfig::builder().max_items(4).build()?;
    /// let batch = batches.reconfigure(smaller).expect("it is full now");
    /// assert_eq!((batch.items.len(), batch.reason), (5, FlushReason::Full));
    /// # Ok::<(), backpressure_core::ConfigError>(())
    /// ```
    pub fn reconfigure(&mut self, config: BatchConfig) -> Option<Batch<T>> {
        self.config = config;
        self.light = if self.is_expiring() { 0 } else { light(&config) };
        if self.items.is_empty() {
            return None;
        }
        if let Some(timing) = &mut self.timing {
            timing.stir();
        }
        let total = self.weight();
        self.limit = config.max_items();
        if self.items.len() >= self.limit {
            return self.close(FlushReason::Full);
        }
        if config.max_weight().is_some_and(|max| total >= max) {
            return self.close(FlushReason::Weight);
        }
        self.fills(total);
        None
    }

    /// How many items the open batch has.
    #[inline]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether no batch is open.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The weight of the open batch.
    #[inline]
    pub fn weight(&self) -> usize {
        self.excess.wrapping_add(self.items.len())
    }

    fn close(&mut self, reason: FlushReason) -> Option<Batch<T>> {
        if self.items.is_empty() {
            return None;
        }
        let weight = self.weight();
        self.begin_anew();
        Some(Batch { items: mem::take(&mut self.items), weight, reason })
    }

    /// No batch is open.
    fn begin_anew(&mut self) {
        (self.excess, self.limit, self.brim, self.timing) = (0, 0, 0, None);
        if let Some(expiry) = &mut self.expiry {
            expiry.begin_anew();
        }
    }
}

const fn light(config: &BatchConfig) -> usize {
    match config.max_weight() {
        Some(max_weight) => max_weight,
        None => OUTSIZE,
    }
}

#[cfg(test)]
mod tests;
