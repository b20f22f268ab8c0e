mod priorities;
mod reconfigure;
mod reservations;
mod strategies;
mod weights;

use super::*;
use crate::config::BackpressureConfigBuilder;
use crate::strategy::Priority;

const LOSSLESS: [Strategy; 2] = [Strategy::block(), Strategy::Reject];
const LOSSY: [Strategy; 4] =
    [Strategy::DropOldest, Strategy::DropNewest, Strategy::Sample { one_in: 10 }, Strategy::DropLowest];

fn all() -> impl Iterator<Item = Strategy> {
    LOSSLESS.into_iter().chain(LOSSY)
}

fn bounded(capacity: usize, strategy: Strategy) -> BackpressureConfigBuilder {
    BackpressureConfig::builder().capacity(capacity).strategy(strategy)
}

fn built(builder: BackpressureConfigBuilder) -> BoundedBuffer<u32> {
    BoundedBuffer::new(&builder.build().unwrap())
}

/// A buffer of `capacity` items that holds 0, 1, 2, … and is full.
fn filled(capacity: u32, strategy: Strategy) -> BoundedBuffer<u32> {
    let mut buffer = built(bounded(capacity as usize, strategy));
    for item in 0..capacity {
        // `Sample` thins out from the low watermark on: reservations enter whatever the pressure.
        assert!(buffer.try_reserve(1));
        assert_eq!(buffer.fill(item, Tag::default(), 1), Offer::Accepted);
    }
    buffer
}

fn weighing(weight: usize) -> Tag {
    Tag { weight, ..Tag::default() }
}

fn ranked(priority: u8) -> Tag {
    Tag { priority: Priority::new(priority), ..Tag::default() }
}

fn contents(buffer: &mut BoundedBuffer<u32>) -> Vec<u32> {
    std::iter::from_fn(|| buffer.pop()).collect()
}

fn evicted(offer: Offer<u32>) -> Vec<u32> {
    match offer {
        Offer::AcceptedEvicting(evicted) => evicted.into_iter().collect(),
        other => panic!("{other:?} evicts nothing"),
    }
}

#[test]
fn d2_d3_a_run_asks_for_nothing_that_would_not_fit() {
    let config = bounded(4, Strategy::block()).max_weight(4).build().unwrap();
    let plain = built(bounded(4, Strategy::block()));
    for mut buffer in [plain, BoundedBuffer::new(&config), BoundedBuffer::new(&config).prioritized()] {
        assert!(buffer.try_reserve(1));
        let mut asked = 0..;
        assert_eq!(buffer.extend(2, || asked.next()), 2);
        assert_eq!(buffer.extend(9, || asked.next()), 1, "a slot is reserved");
        assert_eq!((asked.next(), buffer.len(), buffer.accepted()), (Some(3), 3, 3));
        assert_eq!(contents(&mut buffer), [0, 1, 2]);
        assert_eq!(buffer.extend(9, || None), 0);
        buffer.close();
        assert_eq!(buffer.extend(9, || asked.next()), 0);
        assert_eq!(asked.next(), Some(4));
    }
}

#[test]
fn what_is_queued_before_there_are_lanes_stays_with_its_weight_and_ranks_normal() {
    let config = bounded(4, Strategy::block()).max_weight(9).build().unwrap();
    let mut buffer = BoundedBuffer::new(&config);
    for item in [3, 5] {
        assert_eq!(buffer.offer(item, weighing(item as usize)), Offer::Accepted);
    }
    assert_eq!(buffer.pop(), Some(3));
    let mut buffer = buffer.prioritized();
    assert_eq!((buffer.len(), buffer.weight(), buffer.oldest(), buffer.accepted()), (1, 5, 1, 2));
    assert_eq!(buffer.offer(1, ranked(0)), Offer::Accepted);
    assert_eq!(buffer.offer(2, ranked(7)), Offer::Accepted);
    assert_eq!(contents(&mut buffer.prioritized()), [2, 5, 1], "and a second time changes nothing");
}

#[test]
fn c1_a_run_that_panics_has_counted_what_came_before() {
    for weight in [None, Some(9)] {
        let mut builder = bounded(9, Strategy::DropOldest);
        if let Some(weight) = weight {
            builder = builder.max_weight(weight);
        }
        let mut buffer = built(builder);
        let mut items = [1, 2].into_iter();
        let run = std::panic::AssertUnwindSafe(|| buffer.extend(9, || Some(items.next().expect("a third one"))));
        assert!(std::panic::catch_unwind(run).is_err());
        assert_eq!((buffer.len(), buffer.accepted()), (2, 2));
        assert_eq!(contents(&mut buffer), [1, 2]);
    }
}
