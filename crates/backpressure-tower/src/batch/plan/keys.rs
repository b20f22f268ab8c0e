//! The lane of a request, by its key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Knows the lanes by the keys of requests. This runs the user's code, so never under a lock.
pub(crate) trait Sort<Req>: Send {
    /// The lane of this request's key, if it has one. If not, the next [`open`](Self::open) is for it.
    fn find(&mut self, request: &Req) -> Option<usize>;

    /// The key last looked for has this lane now.
    fn open(&mut self, lane: usize);

    /// The lane is gone.
    fn close(&mut self, lane: usize);
}

/// Makes a fresh [`Sort`] for each batcher.
pub(crate) type MakeSort<Req> = Arc<dyn Fn() -> Box<dyn Sort<Req>> + Send + Sync>;

/// A lane for every key.
pub(crate) struct Keyed<K, F> {
    key: Arc<F>,
    lanes: HashMap<K, usize>,
    /// By lane.
    keys: Vec<Option<K>>,
    wanted: Option<K>,
}

impl<K, F> Keyed<K, F> {
    pub(crate) fn new(key: Arc<F>) -> Self {
        Self { key, lanes: HashMap::new(), keys: Vec::new(), wanted: None }
    }
}

impl<Req, K, F> Sort<Req> for Keyed<K, F>
where
    K: Hash + Eq + Clone + Send,
    F: Fn(&Req) -> K + Send + Sync,
{
    fn find(&mut self, request: &Req) -> Option<usize> {
        let key = (self.key)(request);
        let lane = self.lanes.get(&key).copied();
        if lane.is_none() {
            self.wanted = Some(key);
        }
        lane
    }

    fn open(&mut self, lane: usize) {
        let Some(key) = self.wanted.take() else { return };
        if lane >= self.keys.len() {
            self.keys.resize(lane + 1, None);
        }
        self.keys[lane] = Some(key.clone());
        self.lanes.insert(key, lane);
    }

    fn close(&mut self, lane: usize) {
        if let Some(key) = self.keys.get_mut(lane).and_then(Option::take) {
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
        for round in 0..100 {
            assert_eq!(keys.find(&"four"), None);
            Sort::<&str>::open(&mut keys, round % 3);
            assert_eq!(keys.find(&"five"), Some(round % 3));
            Sort::<&str>::close(&mut keys, round % 3);
        }
        assert!(keys.lanes.is_empty() && keys.keys.iter().all(Option::is_none));
    }
}
