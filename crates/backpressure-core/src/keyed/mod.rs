//! Order per key while batches of other keys are in flight.

mod batch;
mod key;
mod keys;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::VecDeque;
use std::fmt;

pub use batch::KeyedBatch;
pub use key::{Key, Keyer};
pub use keys::KeyId;

use keys::Keys;
use waiting::Waiting;

/// Fills batches so that each key stays in order although several batches are in flight.
///
/// A key is *out* from the moment that an item of it is in a batch until each of its items in that batch has been
/// [settled](Self::settle). Meanwhile its next items are set aside; items of other keys pass them. A batch may have several
/// items of one key, in order. So of each key there is one batch at a time, and what follows it.
///
/// At most `most` items are ever set aside, and none once those that are weigh `most_weight`: so their weight exceeds it by
/// less than one item. [`room`](Self::room) says how many more may be offered. Where it is 0, nothing is to be offered until
/// a key that blocks others is settled. So at most as many keys are held as items are out or set aside.
///
/// Every call takes constant time for each item that it moves.
///
/// ```
/// use backpressure_core::{KeyedOrder, Keyer};
///
/// let keyer = Keyer::by(|item: &&str| item.as_bytes()[0]);
/// let mut order = KeyedOrder::new(100, usize::MAX);
/// let mut fill = |order: &mut KeyedOrder<&'static str>, items: &[&'static str]| {
///     let mut batch = order.begin(3, usize::MAX);
///     items.iter().for_each(|item| order.offer(&mut batch, keyer.key(item), item, 1));
///     batch
/// };
/// let first = fill(&mut order, &["a1", "a2"]);
/// let second = fill(&mut order, &["a3", "b1"]);
/// assert_eq!((first.items, second.items), (vec!["a1", "a2"], vec!["b1"]), "a3 waits for a1 and a2");
///
/// first.keys.into_iter().for_each(|key| order.settle(key));
/// assert_eq!(fill(&mut order, &["a4"]).items, ["a3", "a4"]);
/// ```
pub struct KeyedOrder<T> {
    keys: Keys,
    waiting: Waiting<T>,
    /// Keys that are not out and have items set aside, first come, first served.
    free: VecDeque<KeyId>,
    most: usize,
    most_weight: usize,
    batches: u64,
}

impl<T> KeyedOrder<T> {
    /// Sets at most this many items aside, and no more once they weigh this much together.
    pub fn new(most: usize, most_weight: usize) -> Self {
        Self { keys: Keys::new(), waiting: Waiting::new(), free: VecDeque::new(), most, most_weight, batches: 0 }
    }

    /// Begins a batch of at most `max_items` and `max_weight`, unless one item alone weighs more: with the items that were set
    /// aside and whose keys are out no more, those first whose key was settled first.
    pub fn begin(&mut self, max_items: usize, max_weight: usize) -> KeyedBatch<T> {
        self.batches += 1;
        let mut batch = KeyedBatch::new(self.batches, max_items, max_weight);
        if self.has_free() {
            batch.reserve(self.waiting.len().min(max_items));
        }
        while let Some(&id) = self.free.front() {
            if !self.move_lane(&mut batch, id) {
                break;
            }
            self.free.pop_front();
        }
        batch
    }

    /// Moves what fits of a lane into the batch; `false` if nothing does.
    fn move_lane(&mut self, batch: &mut KeyedBatch<T>, id: KeyId) -> bool {
        let key = self.keys.get_mut(id);
        let before = batch.items.len();
        while let Some(weight) = self.waiting.peek(&key.lane) {
            if !batch.admits(weight) {
                break;
            }
            let Some((item, weight)) = self.waiting.pop(&mut key.lane) else { break };
            batch.push(item, id, weight);
            key.out += 1;
            key.batch = batch.number;
        }
        batch.items.len() > before
    }

    /// Offers the next item: it goes into the batch if it fits and nothing of its key is before it, and is set aside if
    /// not.
    pub fn offer(&mut self, batch: &mut KeyedBatch<T>, key: Key, item: T, weight: usize) {
        let id = self.keys.enter(key);
        let key = self.keys.get_mut(id);
        let is_next = key.lane.is_empty() && (key.out == 0 || key.batch == batch.number);
        if is_next && batch.admits(weight) {
            batch.push(item, id, weight);
            key.out += 1;
            key.batch = batch.number;
            return;
        }
        if key.out == 0 && key.lane.is_empty() {
            self.free.push_back(id);
        }
        self.waiting.push(&mut key.lane, item, weight);
    }

    /// Sets the next item aside, whatever its key.
    pub fn set_aside(&mut self, key: Key, item: T, weight: usize) {
        self.offer(&mut KeyedBatch::new(0, 0, 0), key, item, weight);
    }

    /// An item that went out with this key has its fate. To be called once for each of the [`keys`](KeyedBatch::keys) of a
    /// batch.
    pub fn settle(&mut self, id: KeyId) {
        let Some(key) = self.keys.find_mut(id) else { return };
        key.out = key.out.saturating_sub(1);
        if key.out > 0 {
            return;
        }
        if key.lane.is_empty() {
            self.keys.leave(id);
        } else {
            self.free.push_back(id);
        }
    }

    /// The key of this value that is held, if it is.
    pub fn held(&self, key: Key) -> Option<KeyId> {
        self.keys.find(key)
    }

    /// Whether items that were set aside could go now.
    pub fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// How many more items may be offered.
    pub fn room(&self) -> usize {
        if self.waiting.weight() >= self.most_weight { 0 } else { self.most.saturating_sub(self.waiting.len()) }
    }

    /// How much more weight may be set aside before no more is. The last item may weigh more.
    pub fn weight_room(&self) -> usize {
        self.most_weight.saturating_sub(self.waiting.weight())
    }

    /// How many items are set aside.
    pub const fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing is set aside.
    pub const fn is_empty(&self) -> bool {
        self.waiting.len() == 0
    }

    /// How many keys are held: out, or with items set aside.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// How many items were ever set aside: the number of the next one.
    pub const fn next_number(&self) -> u64 {
        self.waiting.next_number()
    }

    /// The number of the oldest item that is set aside. Every one with a lower number has gone into a batch.
    pub fn oldest_number(&self) -> Option<u64> {
        self.waiting.oldest_number()
    }

    /// Takes out all that is set aside, oldest first.
    pub fn evacuate(&mut self) -> Vec<T> {
        self.free.clear();
        self.keys.empty_lanes();
        self.waiting.evacuate()
    }
}

impl<T> fmt::Debug for KeyedOrder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedOrder").field("keys", &self.keys()).field("set_aside", &self.len()).finish_non_exhaustive()
    }
}
