//! What must not allocate does not. Counted per thread, so the tests may run side by side.

use std::time::Instant;

use allocation_counter::{AllocationInfo, measure};
use backpressure_core::{
    BackpressureConfig, BackpressureConfigBuilder, BoundedBuffer, DropReason, KeyedOrder, Keyer, Moved, Offer,
    Recorder, State, Strategy, Tag,
};

const CAPACITY: usize = 64;

const STRATEGIES: [Strategy; 6] = [
    Strategy::block(),
    Strategy::Reject,
    Strategy::DropOldest,
    Strategy::DropNewest,
    Strategy::sample(),
    Strategy::DropLowest,
];

fn bounded(strategy: Strategy) -> BackpressureConfigBuilder {
    BackpressureConfig::builder().capacity(CAPACITY).strategy(strategy)
}

/// Full buffers of every kind: plain, weighed, with priorities, with both.
fn full(strategy: Strategy) -> impl Iterator<Item = BoundedBuffer<String>> {
    let plain = bounded(strategy).build().unwrap();
    let weighed = bounded(strategy).max_weight(CAPACITY).build().unwrap();
    [plain, weighed].into_iter().flat_map(|config| [false, true].map(|ranked| (config.clone(), ranked))).map(
        |(config, ranked)| {
            let buffer = BoundedBuffer::new(&config);
            let mut buffer = if ranked { buffer.prioritized() } else { buffer };
            for item in 0..CAPACITY {
                assert!(buffer.try_reserve(1));
                assert_eq!(buffer.fill(item.to_string(), Tag::default(), 1), Offer::Accepted);
            }
            buffer
        },
    )
}

fn assert_nothing(info: AllocationInfo, what: &str) {
    assert_eq!((info.count_total, info.bytes_max), (0, 0), "{what}");
}

#[test]
fn c6_a_million_refused_offers_allocate_nothing() {
    for strategy in STRATEGIES.into_iter().filter(|&strategy| strategy != Strategy::DropOldest) {
        for mut buffer in full(strategy) {
            let offers = measure(|| {
                for _ in 0..250_000 {
                    assert!(!buffer.offer(String::new(), Tag::default()).is_accepted());
                }
            });
            assert_nothing(offers, strategy.as_str());
        }
    }
}

#[test]
fn c6_a_million_offers_after_close_allocate_nothing() {
    for mut buffer in full(Strategy::DropOldest) {
        buffer.close();
        let offers = measure(|| {
            for _ in 0..250_000 {
                assert!(matches!(buffer.offer(String::new(), Tag::default()), Offer::Closed(_)));
            }
        });
        assert_nothing(offers, "closed");
    }
}

#[test]
fn dropping_the_oldest_one_by_one_allocates_nothing() {
    for mut buffer in full(Strategy::DropOldest) {
        let offers = measure(|| {
            for _ in 0..100_000 {
                assert!(matches!(buffer.offer(String::new(), Tag::default()), Offer::AcceptedEvicting(_)));
            }
        });
        assert_nothing(offers, "one in, one out");
    }
}

#[test]
fn items_passing_through_allocate_nothing() {
    for strategy in STRATEGIES {
        for mut buffer in full(strategy) {
            let passing = measure(|| {
                for _ in 0..10_000 {
                    assert!(buffer.pop().is_some());
                    assert!(buffer.try_reserve(1));
                    assert_eq!(buffer.fill(String::new(), Tag::default(), 1), Offer::Accepted);
                }
            });
            assert_nothing(passing, strategy.as_str());
        }
    }
}

#[test]
fn taking_many_allocates_nothing_beyond_the_callers_vector() {
    for mut buffer in full(Strategy::block()) {
        let mut out = Vec::with_capacity(CAPACITY);
        let taking = measure(|| assert_eq!(buffer.pop_many(&mut out, usize::MAX, usize::MAX), CAPACITY));
        assert_nothing(taking, "into a vector with room");
    }
}

#[test]
fn m3_the_instruments_allocate_nothing_on_the_hot_path() {
    let config = bounded(Strategy::DropOldest).build().unwrap();
    let mut buffer = full(Strategy::DropOldest).next().unwrap();
    let mut recorder = Recorder::new(&config, Instant::now, true);
    let (reporter, gauge) = (recorder.reporter(), recorder.gauge());
    assert!(recorder.update(&buffer, Moved::NOTHING));
    let work = measure(|| {
        for _ in 0..1_000 {
            drop(buffer.offer(String::new(), Tag::default()));
            assert!(!recorder.update(&buffer, Moved::discarded(DropReason::Evicted, 1)));
            buffer.pop();
            assert!(recorder.update(&buffer, Moved::taken(1)), "an edge");
            reporter.notify();
            reporter.delivered(1);
            reporter.rejected();
            reporter.refused(DropReason::Overflow);
            assert!(buffer.offer(String::new(), Tag::default()).is_accepted());
            assert!(recorder.update(&buffer, Moved::NOTHING), "back");
            assert_eq!((gauge.state(), gauge.utilization()), (State::Blocked, 1.0));
        }
    });
    assert_nothing(work, "recording");
}

#[test]
fn d6_the_largest_capacity_allocates_nothing_ahead() {
    let config = BackpressureConfig::builder().capacity(usize::MAX).max_weight(usize::MAX).build().unwrap();
    let mut buffer = None;
    assert_nothing(measure(|| buffer = Some(BoundedBuffer::<[u64; 8]>::new(&config))), "an empty buffer");
    let first = measure(|| assert!(buffer.as_mut().unwrap().offer([0; 8], Tag::default()).is_accepted()));
    assert!(first.bytes_max < 1024, "{first:?}");
    let lanes = measure(|| drop(BoundedBuffer::<[u64; 8]>::new(&config).prioritized()));
    assert!(lanes.bytes_max < 1024, "{lanes:?}");
}

#[test]
fn m3_setting_items_aside_by_their_keys_allocates_nothing_per_item_on_a_steady_path() {
    let keyer = Keyer::by(|item: &u64| item % 10);
    let mut order = KeyedOrder::new(CAPACITY, usize::MAX);
    let mut round = |first: u64| {
        let mut out = order.begin(CAPACITY, usize::MAX);
        out.reserve(CAPACITY);
        let mut blocked = order.begin(0, usize::MAX);
        (first..first + 30).for_each(|item| order.offer(&mut out, keyer.key(&item), item, 1));
        (first..first + 30).for_each(|item| order.offer(&mut blocked, keyer.key(&item), item, 1));
        assert_eq!((out.items.len() + order.len(), order.keys()), (if first == 0 { 60 } else { 90 }, 10));
        out.keys.into_iter().for_each(|key| order.settle(key));
    };
    round(0);
    round(30);
    let rounds = 100;
    let allocated = measure(|| (2..2 + rounds).for_each(|first| round(30 * first))).count_total;
    assert_eq!(allocated, 4 * rounds, "the items and the keys of each batch, and once more for those that come");
}

#[test]
fn m3_o9_a_fair_buffer_forgets_keys_and_allocates_nothing_on_a_steady_path() {
    let mut buffer = BoundedBuffer::new(&bounded(Strategy::DropOldest).build().unwrap()).fair();
    let mut run = |keys: std::ops::Range<u32>| {
        for key in keys {
            // Ever new keys, one that always holds many items, and turns for all of them.
            for key in [key.wrapping_mul(0x9E37_79B9), 7, 7] {
                assert!(buffer.offer(String::new(), Tag { key, ..Tag::default() }).is_accepted());
            }
            assert!(buffer.pop().is_some());
        }
    };
    run(0..10_000);
    let steady = measure(|| run(10_000..110_000));
    assert_nothing(steady, "ten times as many keys");
}
