//! Items that leave out of turn: by priority, or fair by key.

use std::hash::Hash;
use std::mem;

use backpressure_core::{BoundedBuffer, Priority};

use super::Queue;

impl<T> Queue<T> {
    /// Delivers by priority from now on.
    pub(crate) fn rank_by(&mut self, rank: impl Fn(&T) -> Priority + Send + Sync + 'static) {
        self.hooks.rank_by(rank);
        self.reorder(BoundedBuffer::prioritized);
    }

    /// Is fair by key from now on.
    pub(crate) fn fair_by<K: Hash>(&mut self, key: impl Fn(&T) -> K + Send + Sync + 'static) {
        self.hooks.fair_by(key);
        self.reorder(BoundedBuffer::fair);
    }

    fn reorder(&mut self, order: impl FnOnce(BoundedBuffer<T>) -> BoundedBuffer<T>) {
        if let Err(error) = self.hooks.check() {
            panic!("{error}");
        }
        let bare = BoundedBuffer::new(&self.config);
        self.buffer = order(mem::replace(&mut self.buffer, bare));
        self.plain = false;
    }
}
