//! The two halves of a bisected batch.

use std::collections::BTreeMap;

use backpressure_core::KeyId;

use crate::careful::Careful;

/// Items with their keys, if they have any.
pub(crate) struct Part<T> {
    pub(crate) items: Careful<Vec<T>>,
    pub(crate) keys: Vec<KeyId>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { items: Careful::default(), keys: Vec::new() }
    }
}

/// Two parts of at least one item each.
pub(crate) struct Halves<T> {
    pub(crate) left: Part<T>,
    pub(crate) right: Part<T>,
    /// Whether they have a key in common, so that one has to wait for the other.
    pub(crate) in_turn: bool,
}

impl<T> Part<T> {
    /// Splits two items or more. Those of one key stay together unless there is no other key.
    pub(crate) fn halve(mut self) -> Halves<T> {
        let middle = self.items.len() / 2;
        let is_single = self.keys.windows(2).all(|pair| pair[0] == pair[1]);
        if is_single {
            let items = Careful::new(self.items.split_off(middle));
            let in_turn = !self.keys.is_empty();
            let keys = self.keys.split_off(middle.min(self.keys.len()));
            return Halves { left: self, right: Self { items, keys }, in_turn };
        }
        let goes_left = share_out(&self.keys);
        let (mut left, mut right) = (Self::default(), Self::default());
        for (item, key) in self.items.release().into_iter().zip(self.keys) {
            let part = if goes_left.get(&key) == Some(&true) { &mut left } else { &mut right };
            part.items.push(item);
            part.keys.push(key);
        }
        Halves { left, right, in_turn: false }
    }
}

/// Which keys go to the left: the first, and more as long as it has not more than half of the items.
fn share_out(keys: &[KeyId]) -> BTreeMap<KeyId, bool> {
    let mut items = BTreeMap::<KeyId, usize>::new();
    keys.iter().for_each(|&key| *items.entry(key).or_default() += 1);
    let (mut left, mut goes_left) = (0, BTreeMap::new());
    for key in keys {
        goes_left.entry(*key).or_insert_with(|| {
            let together = left + items[key];
            let goes = left == 0 || together <= keys.len().div_ceil(2);
            if goes {
                left = together;
            }
            goes
        });
    }
    goes_left
}

#[cfg(test)]
mod tests {
    use backpressure_core::{KeyedOrder, Keyer};

    use super::*;

    /// Halves items whose keys are their tens.
    fn halve(items: &[u32]) -> (Vec<u32>, Vec<u32>, bool) {
        let keyer = Keyer::by(|item: &u32| item / 10);
        let mut order = KeyedOrder::new(100, usize::MAX);
        let mut batch = order.begin(100, usize::MAX);
        items.iter().for_each(|&item| order.offer(&mut batch, keyer.key(&item), item, 1));
        let Halves { left, right, in_turn } = Part { items: Careful::new(batch.items), keys: batch.keys }.halve();
        assert_eq!((left.keys.len(), right.keys.len()), (left.items.len(), right.items.len()));
        (left.items.release(), right.items.release(), in_turn)
    }

    #[test]
    fn o5_items_of_one_key_stay_together_and_in_order() {
        assert_eq!(halve(&[10, 20, 11, 30]), (vec![10, 11], vec![20, 30], false));
        assert_eq!(halve(&[10, 20]), (vec![10], vec![20], false));
        assert_eq!(halve(&[10, 11, 12, 20, 13]), (vec![10, 11, 12, 13], vec![20], false));
        assert_eq!(halve(&[10, 20, 21, 22, 23, 30]), (vec![10, 30], vec![20, 21, 22, 23], false));
    }

    #[test]
    fn o5_one_key_alone_is_halved_and_its_parts_go_in_turn() {
        assert_eq!(halve(&[10, 11, 12]), (vec![10], vec![11, 12], true));
    }
}
