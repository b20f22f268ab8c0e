use std::mem;
use std::time::Instant;

use super::{Batch, BatchConfig, ClosedBatches, FlushReason};

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
    /// The open batch's deadlines, once it has been looked at.
    timing: Option<Timing>,
}

#[derive(Debug)]
struct Timing {
    linger: Option<Instant>,
    quiet: Option<Instant>,
    /// How many items the last look saw; more of them now means that something has arrived.
    seen: usize,
}

impl Timing {
    /// The earlier of the two deadlines, linger if they coincide.
    fn next(&self) -> Option<(Instant, FlushReason)> {
        match (self.linger, self.quiet) {
            (Some(linger), Some(quiet)) if quiet < linger => Some((quiet, FlushReason::Quiet)),
            (Some(linger), _) => Some((linger, FlushReason::Linger)),
            (None, quiet) => quiet.map(|quiet| (quiet, FlushReason::Quiet)),
        }
    }
}

impl<T> BatchAccumulator<T> {
    /// An empty accumulator. It allocates nothing until the first item.
    pub const fn new(config: BatchConfig) -> Self {
        Self { config, items: Vec::new(), excess: 0, limit: 0, brim: 0, timing: None }
    }

    /// Adds an item, and answers the batches that this closes.
    ///
    /// The weight has no effect unless the configuration bounds it; 1 will do.
    #[inline]
    pub fn push(&mut self, item: T, weight: usize) -> ClosedBatches<T> {
        match self.weight().checked_add(weight) {
            Some(total) if self.items.len() < self.brim && total < self.config.max_weight().unwrap_or(OUTSIZE) => {
                self.items.push(item);
                self.weighs(total);
                ClosedBatches::default()
            }
            _ => self.push_at_edge(item, weight),
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

    /// Adds an item that opens a batch, or closes one, or both.
    #[inline(never)]
    fn push_at_edge(&mut self, item: T, weight: usize) -> ClosedBatches<T> {
        let first = if self.has_weight_for(weight) { None } else { self.close(FlushReason::Weight) };
        if self.items.is_empty() {
            self.limit = self.config.max_items();
            self.items = Vec::with_capacity(self.limit.min(MAX_RESERVED));
        }
        let total = self.weight().saturating_add(weight);
        self.items.push(item);
        self.brim = if total < OUTSIZE { self.limit - 1 } else { 0 };
        self.weighs(total);
        let second = if self.items.len() >= self.limit {
            self.close(FlushReason::Full)
        } else if self.config.max_weight().is_some_and(|max| total >= max) {
            self.close(FlushReason::Weight)
        } else {
            None
        };
        ClosedBatches::new(first, second)
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
        if self.items.is_empty() {
            return None;
        }
        let linger = self.config.linger();
        let timing =
            self.timing.get_or_insert_with(|| Timing { linger: now.checked_add(linger), quiet: None, seen: 0 });
        if self.items.len() > timing.seen {
            timing.seen = self.items.len();
            timing.quiet = self.config.quiet().and_then(|quiet| now.checked_add(quiet));
        }
        let (due, reason) = timing.next()?;
        if now < due { None } else { self.close(reason) }
    }

    /// When to [`observe`](BatchAccumulator::observe) next even if nothing arrives.
    ///
    /// It is `None` while no batch is open, for a batch that has not been looked at since it was opened, and for one
    /// whose deadlines lie beyond the end of time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timing.as_ref()?.next().map(|(due, _)| due)
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
        (self.excess, self.limit, self.brim, self.timing) = (0, 0, 0, None);
        Some(Batch { items: mem::take(&mut self.items), weight, reason })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::BatchConfigBuilder;

    const MS: Duration = Duration::from_millis(1);

    fn accumulator<T>(build: impl FnOnce(BatchConfigBuilder) -> BatchConfigBuilder) -> BatchAccumulator<T> {
        BatchAccumulator::new(build(BatchConfig::builder()).build().unwrap())
    }

    fn closed<T>(batches: impl IntoIterator<Item = Batch<T>>) -> Vec<(Vec<T>, usize, FlushReason)> {
        batches.into_iter().map(|batch| (batch.items, batch.weight, batch.reason)).collect()
    }

    #[test]
    fn b1_an_item_that_would_be_too_much_closes_the_batch_before_it() {
        let mut batches = accumulator(|builder| builder.max_weight(10));
        assert!(batches.push('a', 6).is_empty());
        assert_eq!(closed(batches.push('b', 5)), [(vec!['a'], 6, FlushReason::Weight)]);
        assert_eq!(closed(batches.push('c', 5)), [(vec!['b', 'c'], 10, FlushReason::Weight)]);
        assert!(batches.is_empty());
    }

    #[test]
    fn b1_an_item_heavier_than_the_bound_goes_alone_and_at_once() {
        let mut batches = accumulator(|builder| builder.max_weight(10));
        assert!(batches.push('a', 1).is_empty());
        let expected = [(vec!['a'], 1, FlushReason::Weight), (vec!['b'], 11, FlushReason::Weight)];
        assert_eq!(closed(batches.push('b', 11)), expected);
        assert_eq!(closed(batches.push('c', usize::MAX)), [(vec!['c'], usize::MAX, FlushReason::Weight)]);
        assert!(batches.is_empty());
    }

    #[test]
    fn b1_one_push_can_close_two_batches() {
        let mut batches = accumulator(|builder| builder.max_weight(10));
        assert!(batches.push('a', 9).is_empty());
        batches.set_max_items(1);
        let mut closing = batches.push('b', 2);
        assert_eq!(closing.len(), 2);
        assert_eq!(closing.next().map(|batch| batch.reason), Some(FlushReason::Weight));
        assert_eq!(closing.next().map(|batch| batch.reason), Some(FlushReason::Full));
        assert!(closing.is_empty());
    }

    #[test]
    fn b2_a_source_that_never_pauses_does_not_put_off_the_linger() {
        let start = Instant::now();
        let mut batches = accumulator(|builder| builder.max_items(1000).linger(20 * MS).quiet(5 * MS));
        for ms in 0..20 {
            assert!(batches.push(ms, 1).is_empty());
            assert_eq!(batches.observe(start + ms * MS), None, "at {ms} ms");
            assert_eq!(batches.poll_timeout(), Some(start + (ms + 5).min(20) * MS));
        }
        let batch = batches.observe(start + 20 * MS).unwrap();
        assert_eq!((batch.items.len(), batch.reason), (20, FlushReason::Linger));
    }

    #[test]
    fn b3_a_batch_that_is_due_but_not_asked_for_is_kept() {
        let start = Instant::now();
        let mut batches = accumulator(|builder| builder.linger(MS));
        assert!(batches.push('a', 1).is_empty());
        assert_eq!(batches.observe(start), None);
        assert!(batches.push('b', 1).is_empty(), "the deadline has passed unseen");
        assert_eq!(closed(batches.observe(start + 9 * MS)), [(vec!['a', 'b'], 2, FlushReason::Linger)]);
    }

    #[test]
    fn b4_looking_again_and_again_does_not_close_a_batch() {
        let start = Instant::now();
        let mut batches = accumulator(|builder| builder.linger(MS));
        assert!(batches.push('a', 1).is_empty());
        assert!((0..100).all(|_| batches.observe(start).is_none()));
        assert_eq!(batches.len(), 1);
    }

    #[test]
    fn b5_stale_deadline_never_closes_the_next_batch() {
        let start = Instant::now();
        let mut batches = accumulator(|builder| builder.max_items(2).linger(10 * MS).quiet(8 * MS));
        assert!(batches.push('a', 1).is_empty());
        assert_eq!(batches.observe(start), None);
        let stale = batches.poll_timeout().unwrap();
        assert_eq!(batches.push('b', 1).len(), 1);
        assert_eq!(batches.poll_timeout(), None, "nothing is open, nothing is due");
        assert_eq!(batches.observe(stale), None);

        assert!(batches.push('c', 1).is_empty());
        assert_eq!(batches.observe(stale), None, "the timer of the first batch fires late");
        assert_eq!(batches.poll_timeout(), Some(stale + 8 * MS));
    }

    #[test]
    fn quiet_closes_when_nothing_arrives_and_only_then() {
        let start = Instant::now();
        let mut batches = accumulator(|builder| builder.linger(100 * MS).quiet(10 * MS));
        assert!(batches.push('a', 1).is_empty());
        assert_eq!(batches.observe(start), None);
        assert!(batches.push('b', 1).is_empty());
        assert_eq!(batches.observe(start + 10 * MS), None, "something has arrived");
        assert_eq!(batches.observe(start + 19 * MS), None);
        assert_eq!(closed(batches.observe(start + 20 * MS)), [(vec!['a', 'b'], 2, FlushReason::Quiet)]);
    }

    #[test]
    fn the_reason_is_the_deadline_that_came_first() {
        let start = Instant::now();
        for (quiet, reason) in [(9, FlushReason::Quiet), (10, FlushReason::Linger), (11, FlushReason::Linger)] {
            let mut batches = accumulator(|builder| builder.linger(10 * MS).quiet(quiet * MS));
            assert!(batches.push('a', 1).is_empty());
            assert_eq!(batches.observe(start), None);
            assert_eq!(batches.observe(start + 60 * MS).map(|batch| batch.reason), Some(reason), "quiet {quiet}");
        }
    }

    #[test]
    fn d6_zero_linger_closes_at_the_first_look() {
        let mut batches = accumulator(|builder| builder.linger(Duration::ZERO));
        assert!(batches.push('a', 1).is_empty());
        assert!(batches.push('b', 1).is_empty());
        assert_eq!(closed(batches.observe(Instant::now())), [(vec!['a', 'b'], 2, FlushReason::Linger)]);
    }

    #[test]
    fn d6_maxima_reserve_little_and_never_fall_due() {
        let start = Instant::now();
        let mut batches = accumulator(|builder| {
            builder.max_items(usize::MAX).max_weight(usize::MAX).linger(Duration::MAX).quiet(Duration::MAX)
        });
        assert!(batches.push('a', usize::MAX - 1).is_empty());
        assert!(batches.items.capacity() <= MAX_RESERVED);
        assert_eq!(batches.observe(start), None);
        assert_eq!(batches.poll_timeout(), None);
        assert_eq!(closed(batches.push('b', 2)), [(vec!['a'], usize::MAX - 1, FlushReason::Weight)]);
    }

    #[test]
    fn d6_without_a_bound_weight_saturates_and_closes_nothing() {
        let mut batches = accumulator(|builder| builder.max_items(3));
        assert!(batches.push('a', usize::MAX).is_empty());
        assert!(batches.push('b', usize::MAX).is_empty());
        let expected = [(vec!['a', 'b', 'c'], usize::MAX, FlushReason::Full)];
        assert_eq!(closed(batches.push('c', 1)), expected);
    }

    #[test]
    fn items_without_size_are_counted_all_the_same() {
        let mut batches = accumulator(|builder| builder.max_items(2));
        assert!(batches.push((), 1).is_empty());
        assert_eq!(batches.push((), 1).len(), 1);
        batches.set_max_items(1);
        assert_eq!(batches.push((), 1).len(), 1);
    }

    #[test]
    fn an_open_batch_keeps_its_limit() {
        let mut batches = accumulator(|builder| builder.max_items(3));
        assert!(batches.push('a', 1).is_empty());
        batches.set_max_items(0);
        assert!(batches.push('b', 1).is_empty());
        assert_eq!(closed(batches.push('c', 1)), [(vec!['a', 'b', 'c'], 3, FlushReason::Full)]);
        assert_eq!(closed(batches.push('d', 1)), [(vec!['d'], 1, FlushReason::Full)]);
    }

    #[test]
    fn flush_and_end_take_what_is_left_and_say_why() {
        let mut batches = accumulator(|builder| builder);
        assert_eq!(batches.flush(), None);
        assert!(batches.push('a', 1).is_empty());
        assert_eq!(closed(batches.flush()), [(vec!['a'], 1, FlushReason::Flush)]);
        assert!(batches.push('b', 2).is_empty());
        assert_eq!(closed(batches.end()), [(vec!['b'], 2, FlushReason::End)]);
        assert_eq!(batches.end(), None);
    }

    #[test]
    fn b1_a_run_stops_short_of_the_edges_of_a_batch() {
        let mut batches = accumulator(|builder| builder.max_items(5));
        let mut items = (0..).map(Ok);
        let mut next = || items.next().unwrap_or(Err("no more"));
        assert_eq!(batches.extend_to(9, &mut next), Ok(()));
        assert!(batches.is_empty(), "no batch is open");
        assert!(batches.push(99, 1).is_empty());
        assert_eq!(batches.extend_to(3, &mut next), Ok(()));
        assert_eq!((batches.extend_to(9, || Err("no more")), batches.len()), (Err("no more"), 3));
        assert_eq!(batches.extend_to(9, &mut next), Ok(()));
        assert_eq!((batches.len(), batches.weight()), (4, 4), "one more would fill it");
        assert_eq!(closed(batches.push(9, 1)), [(vec![99, 0, 1, 2, 9], 5, FlushReason::Full)]);

        let mut batches = accumulator(|builder| builder.max_weight(10));
        assert!(batches.push(0, 7).is_empty());
        assert_eq!(batches.extend_to(9, || Ok::<_, ()>(0)), Ok(()));
        assert_eq!((batches.len(), batches.weight()), (3, 9));
    }

    #[test]
    fn d6_a_run_does_not_bring_the_weight_beyond_what_can_be_counted() {
        let mut batches = accumulator(|builder| builder.max_items(9));
        assert!(batches.push(0, 0).is_empty());
        assert_eq!(batches.extend_to(2, || Ok::<_, ()>(0)), Ok(()));
        assert_eq!(batches.weight(), 1);
        assert!(batches.push(0, usize::MAX - 2).is_empty());
        assert_eq!(batches.extend_to(9, || Ok::<_, ()>(0)), Ok(()));
        assert_eq!((batches.len(), batches.weight()), (3, usize::MAX - 1));
        let weights = [1, 1, 0].map(|weight| batches.push(0, weight).len() + batches.weight());
        assert_eq!(weights, [usize::MAX; 3]);
        assert_eq!(batches.extend_to(9, || Ok::<_, ()>(0)), Ok(()));
        assert_eq!(batches.end().map(|batch| (batch.items.len(), batch.weight)), Some((6, usize::MAX)));
    }

    #[test]
    fn b1_one_allocation_holds_a_batch() {
        let mut batches = accumulator(|builder| builder.max_items(100));
        assert!(batches.push(0, 1).is_empty());
        let held = batches.items.as_ptr();
        let batch = (1..100).flat_map(|item| batches.push(item, 1)).next().unwrap();
        assert_eq!((batch.items.as_ptr(), batch.items.capacity()), (held, 100));
        assert_eq!(batches.items.capacity(), 0);
    }
}
