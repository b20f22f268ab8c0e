//! Orders by hand.

use super::{Key, KeyedBatch, KeyedOrder, Keyer};

/// Offers items of one letter and one digit to a batch of three; the letter is the key.
fn fill(order: &mut KeyedOrder<&'static str>, items: &[&'static str]) -> KeyedBatch<&'static str> {
    let mut batch = order.begin(3, usize::MAX);
    items.iter().for_each(|item| order.offer(&mut batch, Key(u64::from(item.as_bytes()[0])), item, 1));
    batch
}

#[test]
fn o5_what_follows_a_key_waits_until_the_last_of_its_items_has_a_fate() {
    let mut order = KeyedOrder::new(10, usize::MAX);
    let first = fill(&mut order, &["a1", "a2", "b1"]);
    assert_eq!(fill(&mut order, &["a3", "b2"]).items.len(), 0);
    order.settle(first.keys[0]);
    assert!(!order.has_free(), "a2 has no fate yet");
    order.settle(first.keys[2]);
    assert_eq!(fill(&mut order, &["b3"]).items, ["b2", "b3"], "b waits for nothing of a");
    order.settle(first.keys[1]);
    assert_eq!(fill(&mut order, &[]).items, ["a3"]);
}

#[test]
fn o5_nothing_passes_what_a_complete_batch_leaves_behind() {
    let mut order = KeyedOrder::new(10, usize::MAX);
    let first = fill(&mut order, &["a1", "b1", "c1", "a2", "d1"]);
    assert_eq!(first.items, ["a1", "b1", "c1"]);
    let second = fill(&mut order, &["d2", "e1", "f1"]);
    assert_eq!(second.items, ["d1", "d2", "e1"]);
    order.settle(first.keys[0]);
    assert_eq!(fill(&mut order, &[]).items, ["f1", "a2"], "in the order in which they could go");
}

#[test]
fn b1_a_heavy_item_ends_the_batch_and_goes_first_in_the_next() {
    let mut order = KeyedOrder::new(10, usize::MAX);
    let mut batch = order.begin(10, 5);
    for (key, weight) in [(1, 3), (2, 9), (3, 1)] {
        order.offer(&mut batch, Key(key), key, weight);
    }
    assert_eq!((batch.items, order.begin(10, 5).items, order.begin(10, 5).items), (vec![1], vec![2], vec![3]));
}

#[test]
fn the_room_is_bounded_by_items_and_by_weight() {
    let mut order = KeyedOrder::new(3, 10);
    order.set_aside(Key(1), (), 4);
    assert_eq!((order.room(), order.weight_room()), (2, 6));
    order.set_aside(Key(1), (), 6);
    assert_eq!((order.room(), order.weight_room()), (0, 0));
    assert_eq!(order.begin(1, usize::MAX).items.len(), 1);
    assert_eq!(order.room(), 2);
}

#[test]
fn keys_are_told_apart_and_equal_ones_are_not() {
    let keyer = Keyer::by(|item: &u32| format!("tenant {}", item % 100));
    let keys: std::collections::HashSet<Key> = (0..10_000).map(|item| keyer.key(&item)).collect();
    assert_eq!(keys.len(), 100);
}
