//! A batch that is being filled.

use super::keys::KeyId;

/// A batch that [`KeyedOrder`](super::KeyedOrder) fills.
#[derive(Debug)]
#[must_use = "its keys are out until they are settled"]
pub struct KeyedBatch<T> {
    /// The items, those of one key in the order in which they came.
    pub items: Vec<T>,
    /// The key of each item: each is to be [settled](super::KeyedOrder::settle) once.
    pub keys: Vec<KeyId>,
    pub(super) number: u64,
    max_items: usize,
    max_weight: usize,
    weight: usize,
    /// Whether something did not fit: then it is complete, and nothing passes what did not.
    complete: bool,
}

impl<T> KeyedBatch<T> {
    pub(super) const fn new(number: u64, max_items: usize, max_weight: usize) -> Self {
        Self { items: Vec::new(), keys: Vec::new(), number, max_items, max_weight, weight: 0, complete: false }
    }

    /// How many more items it takes.
    pub fn room(&self) -> usize {
        let is_heavy = self.weight >= self.max_weight && !self.items.is_empty();
        if self.complete || is_heavy { 0 } else { self.max_items.saturating_sub(self.items.len()) }
    }

    /// Sets memory aside for as many more items.
    pub fn reserve(&mut self, items: usize) {
        self.items.reserve(items);
        self.keys.reserve(items);
    }

    /// How much more weight it takes, unless it is empty: then it takes one item of any weight.
    pub const fn weight_room(&self) -> usize {
        self.max_weight.saturating_sub(self.weight)
    }

    /// Whether it takes an item of this weight. If not, it is complete.
    pub(super) fn admits(&mut self, weight: usize) -> bool {
        let fits = self.items.is_empty() || self.weight.saturating_add(weight) <= self.max_weight;
        self.complete |= self.room() == 0 || !fits;
        !self.complete
    }

    pub(super) fn push(&mut self, item: T, key: KeyId, weight: usize) {
        self.items.push(item);
        self.keys.push(key);
        self.weight = self.weight.saturating_add(weight);
    }
}
