//! Order per key while several batches are in flight.

use std::collections::BTreeMap;
use std::time::Duration;

use backpressure_channel::{Demand, Receiver};
use backpressure_core::{Key, KeyId, KeyedBatch, KeyedOrder, Keyer};

use crate::careful::guarded;

pub(crate) struct Keyed<T> {
    keyer: Keyer<T>,
    pub(crate) order: KeyedOrder<T>,
    /// On their way out of the buffer, with their weights.
    incoming: Vec<(T, usize)>,
    /// How many items have come out of the buffer.
    pub(crate) taken: usize,
}

impl<T> Keyed<T> {
    pub(crate) fn new(keyer: Keyer<T>, most: usize, most_weight: usize) -> Self {
        Self { keyer, order: KeyedOrder::new(most, most_weight), incoming: Vec::new(), taken: 0 }
    }

    /// Whether an item can go. Takes them out of the buffer one by one until one can, or until no more can be set aside.
    pub(crate) fn seek(&mut self, receiver: &mut Receiver<T>) -> bool {
        while !self.order.has_free() && self.order.room() > 0 {
            guarded(|| receiver.try_recv_many_weighed(&mut self.incoming, 1, usize::MAX));
            let Some((item, weight)) = self.incoming.pop() else { break };
            self.taken = self.taken.wrapping_add(1);
            self.order.set_aside(key(&self.keyer, &item), item, weight);
        }
        self.order.has_free()
    }

    /// The next batch.
    pub(crate) fn fill(&mut self, receiver: &mut Receiver<T>, full: Demand) -> KeyedBatch<T> {
        let mut batch = self.order.begin(full.items, full.weight);
        loop {
            let (most, weight) = (batch.room().min(self.order.room()), batch.weight_room());
            if most > 0 {
                let weight = weight.min(self.order.weight_room());
                guarded(|| receiver.try_recv_many_weighed(&mut self.incoming, most, weight));
            }
            if self.incoming.is_empty() {
                return batch;
            }
            self.taken = self.taken.wrapping_add(self.incoming.len());
            batch.reserve(self.incoming.len());
            for (item, weight) in self.incoming.drain(..) {
                self.order.offer(&mut batch, key(&self.keyer, &item), item, weight);
            }
        }
    }

    /// Which of the keys that a batch went out with, `out`, these items of it have; the others stay in `out`. An item that came
    /// back with another key stands for one that did not come back.
    pub(crate) fn claim(&self, out: &mut Vec<KeyId>, items: &[T]) -> Vec<KeyId> {
        let mut unclaimed = BTreeMap::<KeyId, usize>::new();
        out.iter().for_each(|&id| *unclaimed.entry(id).or_default() += 1);
        let claimed: Vec<Option<KeyId>> = items
            .iter()
            .take(out.len())
            .map(|item| {
                let id = self.order.held(key(&self.keyer, item))?;
                let left = unclaimed.get_mut(&id).filter(|left| **left > 0)?;
                *left -= 1;
                Some(id)
            })
            .collect();
        *out = unclaimed.into_iter().flat_map(|(id, left)| std::iter::repeat_n(id, left)).collect();
        claimed.into_iter().map_while(|id| id.or_else(|| out.pop())).collect()
    }
}

/// The key of an item; the common one if the user's code panics about it.
fn key<T>(keyer: &Keyer<T>, item: &T) -> Key {
    guarded(|| keyer.key(item)).unwrap_or(Key::COMMON)
}

/// What has the same key waits equally long, so that it goes together: as long as the one that waits longest.
pub(crate) fn wait_together<V>(keys: &[KeyId], waits: &mut [(V, Option<Duration>)]) {
    let mut longest = BTreeMap::<KeyId, Duration>::new();
    for (key, (_, wait)) in keys.iter().zip(&*waits) {
        if let Some(wait) = wait {
            let longest = longest.entry(*key).or_default();
            *longest = (*longest).max(*wait);
        }
    }
    for (key, (_, wait)) in keys.iter().zip(waits) {
        *wait = wait.and_then(|_| longest.get(key).copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_claims_its_own_key_and_a_stranger_that_of_one_who_did_not() {
        let mut keyed = Keyed::new(Keyer::by(|item: &u32| item / 10), 10, usize::MAX);
        let mut batch = keyed.order.begin(10, usize::MAX);
        for item in [10, 20, 11, 30] {
            keyed.order.offer(&mut batch, key(&keyed.keyer, &item), item, 1);
        }
        let ids = batch.keys.clone();
        let claim = |items: &[u32]| {
            let mut out = ids.clone();
            let claimed = keyed.claim(&mut out, items);
            (claimed, out)
        };
        assert_eq!(claim(&[30, 10]), (vec![ids[3], ids[0]], vec![ids[0], ids[1]]));
        let (claimed, out) = claim(&[99, 11, 12, 13]);
        assert_eq!((claimed[1], claimed[2], out.len()), (ids[0], ids[0], 0));
        assert_ne!(claimed[0], claimed[3], "the keys of 20 and 30, once each");
        assert_eq!(claim(&[10, 10, 10, 10, 10, 10]).0.len(), 4, "not more than went out");
    }
}
