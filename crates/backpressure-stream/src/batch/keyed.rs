//! One batch per key.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backpressure_core::{BatchAccumulator, BatchConfig, ClosedBatches, Weigher};

use super::driver::{Driver, in_force};
use super::gather::{Gather, Stop};
use crate::handle::{Learned, MicroBatchHandle};

/// The batches of the keys of a stream.
pub(crate) type KeyedBatches<K, T> = Driver<Keyed<K, T>>;

/// Most keys that have a batch open, unless it is set.
const MAX_KEYS: usize = 1024;

pub(crate) struct Keyed<K, T> {
    /// What the user asked for, and what follows from that.
    configured: BatchConfig,
    config: BatchConfig,
    max_keys: usize,
    weigh: Option<Weigher<T>>,
    open: HashMap<K, Open<T>>,
    /// The keys of the open batches in the order in which these were opened, by number.
    by_age: BTreeMap<u64, K>,
    /// The numbers of the open batches in the order in which these fall due.
    by_deadline: BTreeSet<(Instant, u64)>,
    /// The numbers of the batches whose arrivals the clock has not seen.
    unseen: Vec<u64>,
    closed: VecDeque<(K, Vec<T>)>,
    opened: u64,
}

/// The open batch of a key.
struct Open<T> {
    number: u64,
    batch: BatchAccumulator<T>,
    deadline: Option<Instant>,
    unseen: bool,
}

impl<K, T> KeyedBatches<K, T> {
    pub(crate) fn keyed(config: BatchConfig) -> Self {
        let keyed = Keyed {
            configured: config,
            config: in_force(config, config.linger(), config.max_items()),
            max_keys: MAX_KEYS,
            weigh: None,
            open: HashMap::new(),
            by_age: BTreeMap::new(),
            by_deadline: BTreeSet::new(),
            unseen: Vec::new(),
            closed: VecDeque::new(),
            opened: 0,
        };
        Self::new(keyed, config.linger())
    }

    pub(crate) fn weigh_by(&mut self, weigh: Weigher<T>) {
        self.gather.weigh = Some(weigh);
    }

    pub(crate) fn handle(&mut self) -> MicroBatchHandle {
        self.handle_for(self.gather.configured, Learned::default())
    }

    pub(crate) fn set_max_keys(&mut self, max_keys: usize) {
        self.gather.max_keys = max_keys;
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.gather.open.is_empty() && self.gather.closed.is_empty()
    }

    /// Keys that have a batch open.
    pub(crate) fn len(&self) -> usize {
        self.gather.open.len()
    }

    /// How many batches are still to come when `(lower, upper)` items are.
    pub(crate) fn size_hint(&self, (lower, upper): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let Keyed { config, open, closed, .. } = &self.gather;
        let items = open.values().fold(lower, |items, open| items.saturating_add(open.batch.len()));
        // With a handle, batches may become larger.
        let largest = if self.handle.is_some() { usize::MAX } else { config.max_items() };
        let least = items.div_ceil(largest).max(open.len());
        let most = closed.len() + open.len();
        (closed.len().saturating_add(least), upper.and_then(|upper| upper.checked_add(most)))
    }
}

impl<K: Hash + Eq + Clone, T> KeyedBatches<K, T> {
    /// [`poll_next`](Driver::poll_next), under the latest configuration.
    #[inline]
    pub(crate) fn poll_batch(
        &mut self,
        cx: &mut Context<'_>,
        source: Option<impl FnMut(&mut Context<'_>) -> Poll<Option<(K, T)>>>,
    ) -> Poll<Option<(K, Vec<T>)>> {
        if self.handle.is_some() {
            self.adopt();
        }
        self.poll_next::<false>(cx, source)
    }

    /// Everything that is held, by age.
    pub(crate) fn into_remainder(mut self) -> Vec<(K, Vec<T>)> {
        self.gather.cut();
        self.gather.closed.into()
    }
}

impl<K: Hash + Eq + Clone, T> Keyed<K, T> {
    fn add(&mut self, key: K, item: T) {
        let weight = self.weigh.as_ref().map_or(1, |weigh| weigh.weigh(&item));
        let Some(open) = self.open.get_mut(&key) else { return self.open_with(key, item, weight) };
        let closed = open.batch.push(item, weight);
        if !closed.is_empty() {
            self.turn_over(key, closed);
        } else if self.config.quiet().is_some() && !open.unseen {
            open.unseen = true;
            self.unseen.push(open.number);
        }
    }

    /// Opens a batch for the first item of a key, which may fill it.
    fn open_with(&mut self, key: K, item: T, weight: usize) {
        while self.open.len() >= self.max_keys && self.close_oldest() {}
        let mut batch = BatchAccumulator::new(self.config);
        let closed = batch.push(item, weight);
        if closed.is_empty() {
            self.start(key, batch);
        } else {
            self.closed.extend(closed.map(|batch| (key.clone(), batch.items)));
        }
    }

    /// Opens a batch: the youngest, and not seen by the clock yet.
    fn start(&mut self, key: K, batch: BatchAccumulator<T>) {
        let number = self.opened;
        self.opened += 1;
        self.by_age.insert(number, key.clone());
        self.unseen.push(number);
        self.open.insert(key, Open { number, batch, deadline: None, unseen: true });
    }

    /// The batch of `key` was closed by its size or weight; its last item may have opened another.
    fn turn_over(&mut self, key: K, closed: ClosedBatches<T>) {
        self.closed.extend(closed.map(|batch| (key.clone(), batch.items)));
        let Some(open) = self.open.remove(&key) else { return };
        self.forget(open.number, open.deadline);
        if !open.batch.is_empty() {
            self.start(key, open.batch);
        }
    }

    /// Takes a batch that is no longer open out of the orders.
    fn forget(&mut self, number: u64, deadline: Option<Instant>) {
        self.by_age.remove(&number);
        if let Some(deadline) = deadline {
            self.by_deadline.remove(&(deadline, number));
        }
    }

    fn close_oldest(&mut self) -> bool {
        let Some((number, key)) = self.by_age.pop_first() else { return false };
        if let Some(mut open) = self.open.remove(&key) {
            self.forget(number, open.deadline);
            self.closed.extend(open.batch.end().map(|batch| (key, batch.items)));
        }
        true
    }

    /// Looks at the clock for one batch.
    fn sample(&mut self, number: u64, now: Instant) {
        let Some(key) = self.by_age.get(&number) else { return };
        let Some(open) = self.open.get_mut(key) else { return };
        open.unseen = false;
        let due = open.batch.observe(now);
        let deadline = open.batch.poll_timeout();
        let before = std::mem::replace(&mut open.deadline, deadline);
        if before != deadline {
            self.by_deadline.extend(deadline.map(|deadline| (deadline, number)));
            if let Some(before) = before {
                self.by_deadline.remove(&(before, number));
            }
        }
        if let Some(batch) = due {
            let key = key.clone();
            self.open.remove(&key);
            self.by_age.remove(&number);
            self.closed.push_back((key, batch.items));
        }
    }
}

impl<K: Hash + Eq + Clone, T> Gather for Keyed<K, T> {
    type Item = (K, T);
    type Batch = (K, Vec<T>);

    fn fill<const ATTENTIVE: bool>(
        &mut self,
        most: usize,
        mut next: impl FnMut() -> Result<(K, T), Stop>,
    ) -> (usize, Result<(), Stop>) {
        let mut items = 0;
        while items < most && self.closed.is_empty() {
            match next() {
                Ok((key, item)) => self.add(key, item),
                Err(stop) => return (items, Err(stop)),
            }
            items += 1;
        }
        (items, Ok(()))
    }

    /// What is due goes first, in the order in which it fell due.
    fn observe(&mut self, now: Instant) {
        while self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            if let Some((_, number)) = self.by_deadline.pop_first() {
                self.sample(number, now);
            }
        }
        for number in std::mem::take(&mut self.unseen) {
            self.sample(number, now);
        }
    }

    fn reconfigure(&mut self, config: BatchConfig) -> Duration {
        self.configured = config;
        self.config = in_force(config, config.linger(), config.max_items());
        let Self { config: in_force, open, by_age, by_deadline, unseen, closed, .. } = self;
        let mut full = Vec::new();
        open.retain(|key, open| {
            if let Some(batch) = open.batch.reconfigure(*in_force) {
                full.push((open.number, (key.clone(), batch.items)));
                by_age.remove(&open.number);
                if let Some(deadline) = open.deadline {
                    by_deadline.remove(&(deadline, open.number));
                }
                return false;
            }
            // The clock has to see it for its new deadline.
            if !std::mem::replace(&mut open.unseen, true) {
                unseen.push(open.number);
            }
            true
        });
        full.sort_unstable_by_key(|&(number, _)| number);
        closed.extend(full.into_iter().map(|(_, batch)| batch));
        config.linger()
    }

    fn cut(&mut self) {
        while self.close_oldest() {}
    }

    fn has_closed(&self) -> bool {
        !self.closed.is_empty()
    }

    fn closed(&mut self) -> Option<(K, Vec<T>)> {
        self.closed.pop_front()
    }

    fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn is_unseen(&self) -> bool {
        !self.unseen.is_empty()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.by_deadline.first().map(|&(deadline, _)| deadline)
    }
}

impl<K, T> fmt::Debug for Keyed<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("config", &self.config).field("open", &self.open.len()).finish_non_exhaustive()
    }
}
