//! The lane of a request, by its key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use slab::Slab;

/// Gives a lane to each key. This runs the user's code, so never under a lock.
pub(crate) trait Sort<Req>: Send {
    /// The lane of this request's key: a free one, if the key has none yet.
    fn lane(&mut self, request: &Req) -> usize;

    /// Nobody is left in this lane: it is free, and its key forgotten.
    fn close(&mut self, lane: usize);
}

/// Makes a fresh [`Sort`] for each batcher.
pub(crate) type MakeSort<Req> = Arc<dyn Fn() -> Box<dyn Sort<Req>> + Send + Sync>;

/// A lane for every key.
pub(crate) struct Keyed<K, F> {
    key: Arc<F>,
    lanes: HashMap<K, usize>,
    /// By lane.
    keys: Slab<K>,
}

impl<K, F> Keyed<K, F> {
    pub(crate) fn new(key: Arc<F>) -> Self {
        Self { key, lanes: HashMap::new(), keys: Slab::new() }
    }
}

impl<Req, K, F> Sort<Req> for Keyed<K, F>
where
    K: Hash + Eq + Clone + Send,
    F: Fn(&Req) -> K + Send + Sync,
{
    fn lane(&mut self, request: &Req) -> usize {
        match self.lanes.entry((self.key)(request)) {
            Entry::Occupied(lane) => *lane.get(),
            Entry::Vacant(vacant) => {
                let lane = self.keys.insert(vacant.key().clone());
                *vacant.insert(lane)
            }
        }
    }

    fn close(&mut self, lane: usize) {
        if let Some(key) = self.keys.try_remove(lane) {
            self.lanes.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_a_lane_that_is_gone_leaves_no_key_behind() {
        let mut keys = Keyed::new(Arc::new(|word: &&str| word.len()));
        for _ in 0..100 {
            let lane = keys.lane(&"four");
            assert_eq!((keys.lane(&"five"), keys.lane(&"three")), (lane, lane + 1));
            (lane..lane + 2).rev().for_each(|lane| Sort::<&str>::close(&mut keys, lane));
            assert!(keys.keys.is_empty() && lane == 0);
        }
        assert!(keys.lanes.is_empty());
    }
}
