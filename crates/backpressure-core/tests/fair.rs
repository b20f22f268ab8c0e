//! O7 to O9, fair by key: whose turn it is, who pays for a full buffer, and what holds beyond the most keys.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use backpressure_core::{
    BackpressureConfig, BackpressureConfigBuilder, BoundedBuffer, DropReason, Gauge, Moved, Offer, Recorder, Reporter,
    Strategy, Tag,
};
use proptest::prelude::{Strategy as Draw, *};

fn config(capacity: usize, strategy: Strategy) -> BackpressureConfigBuilder {
    BackpressureConfig::builder().capacity(capacity).batch_items(1).strategy(strategy)
}

fn fair<T>(config: BackpressureConfigBuilder) -> BoundedBuffer<T> {
    BoundedBuffer::new(&config.build().unwrap()).fair()
}

fn keyed(key: u32) -> Tag {
    Tag { key, ..Tag::default() }
}

#[derive(Debug, Clone)]
enum Step {
    Offer(Tag),
    Pop,
    PopMany(usize, usize),
    Expire(u64),
    Reserve,
    Release,
}

/// The first three look for their queue in the same place first, where only one of them finds its own.
const KEYS: [u32; 5] = [0, 0x144C_BC89, 0x2899_7912, 1, 2];

fn step(start: Instant) -> impl Draw<Value = Step> {
    let deadline = prop::option::of((0..60_u64).prop_map(move |ms| start + Duration::from_millis(ms)));
    let tag = (prop::sample::select(&KEYS[..]), 0..6_usize, deadline).prop_map(|(key, weight, deadline)| Tag {
        key,
        weight,
        deadline,
        ..Tag::default()
    });
    prop_oneof![
        8 => tag.prop_map(Step::Offer),
        2 => Just(Step::Pop),
        1 => (0..4_usize, 0..9_usize).prop_map(|(items, weight)| Step::PopMany(items, weight)),
        1 => (0..9_u64).prop_map(Step::Expire),
        1 => Just(Step::Reserve),
        1 => Just(Step::Release),
    ]
}

fn setup() -> impl Draw<Value = (BackpressureConfig, bool)> {
    let strategy = prop_oneof![
        4 => Just(Strategy::DropOldest),
        1 => Just(Strategy::block()),
        1 => Just(Strategy::DropNewest),
        1 => Just(Strategy::DropLowest),
        1 => Just(Strategy::Sample { one_in: 2 }),
    ];
    let age = prop::option::of(1..20_u64);
    (1..12_usize, strategy, prop::option::of(5..20_usize), age, any::<bool>()).prop_map(
        |(capacity, strategy, weight, age, dated)| {
            let builder = config(capacity, strategy);
            let builder = weight.map_or(builder.clone(), |weight| builder.max_weight(weight));
            let builder = age.map_or(builder.clone(), |age| builder.max_age(Duration::from_millis(age)));
            (builder.build().unwrap(), dated)
        },
    )
}

/// The buffer, its ledger, and what it holds: the items of each key with their weights, in the order they came.
struct World {
    config: BackpressureConfig,
    buffer: BoundedBuffer<(u64, u32)>,
    recorder: Recorder,
    reporter: Reporter,
    gauge: Gauge,
    held: BTreeMap<u32, VecDeque<(u64, usize)>>,
    /// How often each other key was served while this one waited.
    passed: BTreeMap<u32, BTreeMap<u32, usize>>,
    offered: u64,
    reserved: usize,
    now: Instant,
}

impl World {
    fn new(config: BackpressureConfig, dated: bool, now: Instant) -> Self {
        let buffer = BoundedBuffer::new(&config).fair();
        let recorder = Recorder::new(&config, Instant::now, false);
        Self {
            buffer: if dated { buffer.dated() } else { buffer },
            reporter: recorder.reporter(),
            gauge: recorder.gauge(),
            recorder,
            config,
            held: BTreeMap::new(),
            passed: BTreeMap::new(),
            offered: 0,
            reserved: 0,
            now,
        }
    }

    fn is_weighed(&self) -> bool {
        self.config.max_weight().is_some()
    }

    fn step(&mut self, step: &Step) {
        let mut taken = Vec::new();
        match *step {
            Step::Offer(tag) => self.offer(tag),
            Step::Pop => taken.extend(self.buffer.pop()),
            Step::PopMany(items, weight) => {
                assert_eq!(self.buffer.pop_many(&mut taken, items, weight), taken.len());
                assert!(taken.len() <= items);
            }
            Step::Expire(later) => {
                self.now += Duration::from_millis(later);
                self.buffer.expire(self.now);
            }
            Step::Reserve => self.reserved += usize::from(self.buffer.try_reserve(0)),
            Step::Release if self.reserved > 0 => {
                self.reserved -= 1;
                self.buffer.release(0);
            }
            Step::Release => {}
        }
        let expired = self.buffer.take_expired();
        let _ = self.recorder.update(&self.buffer, Moved::NOTHING.beside_expired(expired.len()));
        expired.into_iter().for_each(|item| self.expired(item));
        self.served(&taken);
        self.check();
    }

    fn offer(&mut self, tag: Tag) {
        let item = (self.offered, tag.key);
        self.offered += 1;
        let moved = match self.buffer.offer(item, tag) {
            Offer::Accepted => Moved::NOTHING,
            Offer::AcceptedEvicting(evicted) => {
                let moved = Moved::discarded(DropReason::Evicted, evicted.count());
                evicted.into_iter().for_each(|victim| self.evicted(victim, tag.key));
                moved
            }
            Offer::Dropped(_, reason) => return self.reporter.refused(reason),
            Offer::Full(_) | Offer::Closed(_) => return self.reporter.rejected(),
        };
        self.held.entry(tag.key).or_default().push_back((item.0, tag.weight));
        let _ = self.recorder.update(&self.buffer, moved);
    }

    fn load(&self, key: u32) -> usize {
        let Some(items) = self.held.get(&key) else { return 0 };
        if self.is_weighed() { items.iter().map(|&(_, weight)| weight).sum() } else { items.len() }
    }

    fn evicted(&mut self, victim: (u64, u32), coming: u32) {
        let most = self.held.keys().map(|&key| self.load(key)).max().unwrap();
        let its = self.load(victim.1);
        if self.is_weighed() {
            assert!(its * 2 >= most, "o8: it held {its} of {most}");
        } else {
            assert_eq!(its, most, "o8");
            assert!(victim.1 == coming || self.load(coming) < most, "o8: at a tie, whoever comes pays");
        }
        self.leaves(victim);
    }

    fn served(&mut self, items: &[(u64, u32)]) {
        if items.is_empty() {
            return;
        }
        let _ = self.recorder.update(&self.buffer, Moved::taken(items.len()));
        for &(number, key) in items {
            self.leaves((number, key));
            self.passed.remove(&key);
            for &waiting in self.held.keys().filter(|&&waiting| waiting != key) {
                let times = self.passed.entry(waiting).or_default().entry(key).or_default();
                *times += 1;
                assert!(*times == 1 || self.is_weighed(), "o7: {key} passed {waiting} twice");
            }
        }
    }

    fn expired(&mut self, (number, key): (u64, u32)) {
        let items = self.held.get_mut(&key).expect("it is held");
        let before = items.len();
        items.retain(|&(held, _)| held != number);
        assert_eq!(items.len() + 1, before);
        self.forget_if_empty(key);
    }

    /// It is the first of its key.
    fn leaves(&mut self, (number, key): (u64, u32)) {
        let items = self.held.get_mut(&key).expect("it is held");
        assert_eq!(items.pop_front().map(|(first, _)| first), Some(number), "o7: out of order");
        self.forget_if_empty(key);
    }

    fn forget_if_empty(&mut self, key: u32) {
        if self.held[&key].is_empty() {
            self.held.remove(&key);
            self.passed.remove(&key);
        }
    }

    fn check(&self) {
        let all = || self.held.values().flatten();
        assert_eq!(self.buffer.len(), all().count());
        assert!(self.buffer.held() <= self.config.capacity(), "d3");
        if let Some(most) = self.config.max_weight() {
            assert_eq!(self.buffer.weight(), all().map(|&(_, weight)| weight).sum::<usize>());
            assert!(self.buffer.weight() <= most, "d3");
        }
        let counts = self.gauge.snapshot().counts;
        assert!(counts.balances(), "c1: {counts:?}");
        assert_eq!((counts.received, counts.queued), (self.offered, self.buffer.len() as u64));
    }
}

proptest! {
    #[test]
    fn o7_o8_c1_d3_no_key_is_passed_twice_and_the_longest_pays(
        (config, dated) in setup(),
        (start, steps) in Just(Instant::now()).prop_flat_map(|start| {
            (Just(start), prop::collection::vec(step(start), 1..150))
        }),
    ) {
        let mut world = World::new(config, dated, start);
        steps.iter().for_each(|step| world.step(step));
        while !world.buffer.is_empty() {
            world.step(&Step::Pop);
        }
        world.check();
    }
}

#[test]
fn o7_what_keys_get_differs_by_three_of_the_heaviest_items_at_most() {
    let mut buffer = fair(config(300, Strategy::Reject).max_weight(9_000));
    let weights = [1, 3, 20];
    let (mut queued, mut got) = ([0; 3], [0_usize; 3]);
    for _ in 0..3_000 {
        for (key, weight) in (0..).zip(weights) {
            while queued[key as usize] < 50 {
                queued[key as usize] += 1;
                assert_eq!(buffer.offer(key, Tag { weight, ..keyed(key) }), Offer::Accepted);
            }
        }
        let key = buffer.pop().unwrap() as usize;
        queued[key] -= 1;
        got[key] += weights[key];
        let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
        assert!(most - least <= 60, "{got:?}");
    }
}

#[test]
fn o7_the_oldest_is_known_whoever_has_the_turn() {
    let mut buffer = fair(config(9, Strategy::block()));
    for (item, key) in [(0, 1), (1, 1), (2, 1), (3, 2)] {
        assert_eq!(buffer.offer(item, keyed(key)), Offer::Accepted);
    }
    let left: Vec<_> = std::iter::from_fn(|| Some((buffer.oldest(), buffer.pop()?))).collect();
    assert_eq!(left, [(0, 0), (1, 3), (1, 1), (2, 2)]);
    assert_eq!(buffer.oldest(), 4, "the next to arrive");
}

/// What of ten tenants' items is delivered, where tenant 0 sends twenty for one of each other.
fn shares(strategy: Strategy, is_fair: bool) -> [f64; 10] {
    let buffer = BoundedBuffer::new(&config(100, strategy).build().unwrap());
    let mut buffer = if is_fair { buffer.fair() } else { buffer };
    let (mut sent, mut delivered) = ([0.0; 10], [0.0; 10]);
    for _ in 0..2_000 {
        for tenant in (0..10).chain([0; 19]) {
            sent[tenant as usize] += 1.0;
            let _: Offer<u32> = buffer.offer(tenant, keyed(tenant));
        }
        for tenant in (0..15).map_while(|_| buffer.pop()) {
            delivered[tenant as usize] += 1.0;
        }
    }
    while let Some(tenant) = buffer.pop() {
        delivered[tenant as usize] += 1.0;
    }
    std::array::from_fn(|tenant| delivered[tenant] / sent[tenant])
}

#[test]
fn o8_one_noisy_tenant_of_ten_leaves_the_others_what_they_send() {
    let [noisy, others @ ..] = shares(Strategy::DropOldest, true);
    assert!(others.iter().all(|&share| share >= 0.99), "{others:?}");
    assert!((0.29..0.32).contains(&noisy), "it gets what is left: {noisy}");
    let plain = shares(Strategy::DropOldest, false);
    assert!(plain.iter().any(|&share| share < 0.1), "first in, first out is not fair: {plain:?}");
}

#[test]
fn o9_keys_beyond_the_most_share_a_queue_until_it_is_empty_and_stay_in_order() {
    let most = BoundedBuffer::<u32>::FAIR_KEYS as u32;
    let mut buffer = fair(config(10_000, Strategy::block()));
    for round in 0..2 {
        for key in 0..most + 10 {
            assert_eq!(buffer.offer((key, round), keyed(key)), Offer::Accepted);
        }
    }
    let (first, rest): (Vec<_>, Vec<_>) =
        (0..2 * (most + 10)).map(|n| (n, buffer.pop().unwrap())).partition(|&(n, _)| n <= most);
    assert!(first.iter().all(|&(n, item)| item == (n, 0)), "the shared queue has one turn in a round");
    let shared: Vec<_> = rest.iter().map(|&(_, item)| item).filter(|&(key, _)| key >= most).collect();
    let expected: Vec<_> = (1..10).map(|n| (most + n, 0)).chain((0..10).map(|n| (most + n, 1))).collect();
    assert_eq!(shared, expected, "first in, first out");
    for key in 5_000..5_003 {
        assert_eq!([0, 1].map(|round| buffer.offer((key, round), keyed(key))), [Offer::Accepted, Offer::Accepted]);
    }
    let served: Vec<_> = std::iter::from_fn(|| buffer.pop()).map(|(key, _)| key).collect();
    assert_eq!(served, [5_000, 5_001, 5_002, 5_000, 5_001, 5_002], "there is room for keys again");
}

#[test]
fn o9_what_was_queued_before_is_of_one_key() {
    let config = config(9, Strategy::block()).max_weight(99).build().unwrap();
    let mut buffer = BoundedBuffer::new(&config);
    for item in [0, 1] {
        assert_eq!(buffer.offer(item, Tag { weight: 5, ..keyed(item) }), Offer::Accepted);
    }
    let mut buffer = buffer.fair();
    assert_eq!(buffer.offer(2, Tag { weight: 5, ..keyed(2) }), Offer::Accepted);
    assert_eq!((buffer.len(), buffer.weight(), buffer.oldest()), (3, 15, 0));
    let mut buffer = buffer.prioritized().fair();
    assert_eq!(std::iter::from_fn(|| buffer.pop()).collect::<Vec<_>>(), [0, 2, 1]);
}
