//! Random fills and settlements beside a model that searches where the real one has links.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Key, KeyId, KeyedOrder};

#[derive(Debug, Clone)]
enum Step {
    /// Begins a batch of at most so many items and so much weight, and offers it items of these keys and weights.
    Fill(usize, usize, Vec<(u64, usize)>),
    /// Settles one of the keys that are out.
    Settle(prop::sample::Index),
    SetAside(u64, usize),
    Evacuate,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let items = prop::collection::vec((0u64..5, 0usize..4), 0..9);
    let step = prop_oneof![
        6 => (1usize..6, 1usize..9, items).prop_map(|(most, weight, items)| Step::Fill(most, weight, items)),
        9 => any::<prop::sample::Index>().prop_map(Step::Settle),
        2 => (0u64..5, 0usize..4).prop_map(|(key, weight)| Step::SetAside(key, weight)),
        1 => Just(Step::Evacuate),
    ];
    prop::collection::vec(step, 1..120)
}

type Item = (u64, u32);

#[derive(Default)]
struct Model {
    /// Items that are set aside, with their number and weight, oldest first.
    aside: Vec<(u64, Item, usize)>,
    numbers: u64,
    /// How many items of each key are in a batch and not settled.
    out: BTreeMap<u64, usize>,
    free: Vec<u64>,
}

impl Model {
    fn fill(&mut self, most: usize, most_weight: usize, offered: &[(Item, usize)]) -> Vec<Item> {
        let (mut batch, mut weight, mut complete) = (Vec::<Item>::new(), 0, false);
        let mut mine: BTreeMap<u64, usize> = BTreeMap::new();
        let mut admit = |batch: &mut Vec<Item>, item: Item, heavy: usize| {
            complete |=
                batch.len() == most || (!batch.is_empty() && (weight >= most_weight || weight + heavy > most_weight));
            if !complete {
                batch.push(item);
                weight += heavy;
            }
            !complete
        };
        'free: while let Some(&key) = self.free.first() {
            let mut went = false;
            while let Some(place) = self.aside.iter().position(|(_, item, _)| item.0 == key) {
                let (_, item, heavy) = self.aside[place];
                if !admit(&mut batch, item, heavy) {
                    if !went {
                        break 'free;
                    }
                    break;
                }
                self.aside.remove(place);
                *mine.entry(key).or_default() += 1;
                went = true;
            }
            self.free.remove(0);
        }
        for &(item, heavy) in offered {
            let key = item.0;
            let waits = self.aside.iter().any(|(_, waiting, _)| waiting.0 == key);
            if !waits && !self.out.contains_key(&key) && admit(&mut batch, item, heavy) {
                *mine.entry(key).or_default() += 1;
                continue;
            }
            if !waits && !self.out.contains_key(&key) && !mine.contains_key(&key) {
                self.free.push(key);
            }
            self.aside.push((self.numbers, item, heavy));
            self.numbers += 1;
        }
        mine.into_iter().for_each(|(key, items)| *self.out.entry(key).or_default() += items);
        batch
    }

    fn settle(&mut self, key: u64) {
        let left = self.out.get_mut(&key).expect("it is out");
        *left -= 1;
        if *left == 0 {
            self.out.remove(&key);
            if self.aside.iter().any(|(_, item, _)| item.0 == key) {
                self.free.push(key);
            }
        }
    }
}

fn run(steps: Vec<Step>) {
    let (mut order, mut model) = (KeyedOrder::<Item>::new(8, 12), Model::default());
    let (mut out, mut next) = (Vec::<(u64, KeyId)>::new(), 0);
    let (mut delivered, mut accepted) = (BTreeMap::<u64, Vec<u32>>::new(), BTreeMap::<u64, Vec<u32>>::new());
    for step in steps {
        match step {
            Step::Fill(most, weight, items) => {
                let room = order.room();
                let items: Vec<_> = items
                    .into_iter()
                    .take(room)
                    .map(|(key, weight)| {
                        next += 1;
                        accepted.entry(key).or_default().push(next);
                        ((key, next), weight)
                    })
                    .collect();
                let mut batch = order.begin(most, weight);
                items.iter().for_each(|&(item, weight)| order.offer(&mut batch, Key(item.0), item, weight));
                assert_eq!(batch.items, model.fill(most, weight, &items));
                for (&(key, number), &id) in batch.items.iter().zip(&batch.keys) {
                    assert_eq!(order.held(Key(key)), Some(id));
                    delivered.entry(key).or_default().push(number);
                    out.push((key, id));
                }
                assert_eq!(batch.items.len(), batch.keys.len());
            }
            Step::Settle(which) if !out.is_empty() => {
                let (key, id) = out.swap_remove(which.index(out.len()));
                order.settle(id);
                model.settle(key);
            }
            Step::SetAside(key, weight) if order.room() > 0 => {
                next += 1;
                accepted.entry(key).or_default().push(next);
                order.set_aside(Key(key), (key, next), weight);
                assert!(model.fill(0, 0, &[((key, next), weight)]).is_empty());
            }
            Step::Evacuate => {
                let gone: Vec<_> = model.aside.drain(..).map(|(_, item, _)| item).collect();
                model.free.clear();
                for item in &gone {
                    accepted.get_mut(&item.0).expect("it was accepted").retain(|number| *number != item.1);
                }
                assert_eq!(order.evacuate(), gone, "oldest first");
            }
            Step::Settle(_) | Step::SetAside(..) => {}
        }
        check(&order, &model);
        for (key, delivered) in &delivered {
            assert!(accepted[key].starts_with(delivered), "key {key}: {delivered:?} of {:?}", accepted[key]);
        }
    }
    // Once everything is settled, what is left goes, whatever it is.
    while !order.is_empty() || !out.is_empty() {
        for (key, id) in out.drain(..) {
            order.settle(id);
            model.settle(key);
        }
        let batch = order.begin(3, 5);
        assert!(order.is_empty() || !batch.items.is_empty(), "progress");
        assert_eq!(batch.items, model.fill(3, 5, &[]));
        for (item, id) in batch.items.into_iter().zip(batch.keys) {
            delivered.entry(item.0).or_default().push(item.1);
            out.push((item.0, id));
        }
    }
    accepted.retain(|_, items| !items.is_empty());
    assert_eq!(delivered, accepted, "nothing is lost");
    assert_eq!(order.keys(), 0, "nothing is kept");
}

fn check(order: &KeyedOrder<Item>, model: &Model) {
    assert_eq!(order.len(), model.aside.len());
    assert_eq!(order.has_free(), !model.free.is_empty());
    assert_eq!(order.oldest_number(), model.aside.first().map(|&(number, ..)| number));
    assert_eq!(order.next_number(), model.numbers);
    let mut keys: Vec<u64> = model.aside.iter().map(|(_, item, _)| item.0).chain(model.out.keys().copied()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(order.keys(), keys.len());
    assert!(order.len() <= 8, "the bound");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn o5_o6_each_key_is_in_order_no_free_key_is_held_back_and_nothing_is_lost(steps in steps()) {
        run(steps);
    }
}
