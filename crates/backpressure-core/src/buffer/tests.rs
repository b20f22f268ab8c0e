mod priorities;
mod reservations;
mod strategies;
mod weights;

use super::*;
use crate::config::BackpressureConfigBuilder;

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

fn ranked(level: u8) -> Tag {
    Tag { priority: Priority::new(level), ..Tag::default() }
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
