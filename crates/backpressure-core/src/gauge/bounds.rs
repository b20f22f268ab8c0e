//! The bounds and the strategy of a part, which may change at run time: read as one.

use std::time::Duration;

use backpressure_rt::sync::{AtomicU64, AtomicUsize, Ordering};

use crate::config::BackpressureConfig;
use crate::ledger::Sequence;
use crate::strategy::Strategy;

/// What bounds a part, and what it does when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) capacity: usize,
    pub(crate) max_weight: Option<usize>,
    pub(crate) strategy: Strategy,
    pub(crate) max_age: Option<Duration>,
}

/// The same in cells. Whether the weight and the age are bounded never changes.
#[derive(Debug)]
pub(crate) struct BoundCells {
    sequence: Sequence,
    weighs: bool,
    ages: bool,
    capacity: AtomicUsize,
    max_weight: AtomicUsize,
    /// The kind of the strategy beside its small number, and the seconds of its longest wait.
    strategy: [AtomicU64; 2],
    /// Its seconds and nanoseconds.
    max_age: [AtomicU64; 2],
}

impl BoundCells {
    pub(super) fn new(config: &BackpressureConfig) -> Self {
        Self {
            sequence: Sequence::new(),
            weighs: config.max_weight().is_some(),
            ages: config.max_age().is_some(),
            capacity: AtomicUsize::new(config.capacity()),
            max_weight: AtomicUsize::new(config.max_weight().unwrap_or(usize::MAX)),
            strategy: encode(config.strategy()).map(AtomicU64::new),
            max_age: split(config.max_age()).map(AtomicU64::new),
        }
    }

    /// Changes them, and whatever `with` stores, in one step. Called by the recorder alone.
    pub(super) fn replace<R>(&self, config: &BackpressureConfig, with: impl FnOnce() -> R) -> R {
        self.sequence.write(|| {
            self.capacity.store(config.capacity(), Ordering::Relaxed);
            self.max_weight.store(config.max_weight().unwrap_or(usize::MAX), Ordering::Relaxed);
            for (cell, word) in self.strategy.iter().zip(encode(config.strategy())) {
                cell.store(word, Ordering::Relaxed);
            }
            for (cell, word) in self.max_age.iter().zip(split(config.max_age())) {
                cell.store(word, Ordering::Relaxed);
            }
            with()
        })
    }

    /// Reads them, and whatever `with` reads, as of one instant.
    pub(super) fn read<R>(&self, with: impl Fn(Bounds) -> R) -> R {
        self.sequence.read(|| {
            let [kind, seconds] = [0, 1].map(|i| self.strategy[i].load(Ordering::Relaxed));
            let [age, nanos] = [0, 1].map(|i| self.max_age[i].load(Ordering::Relaxed));
            let max_weight = self.max_weight.load(Ordering::Relaxed);
            with(Bounds {
                capacity: self.capacity(),
                max_weight: self.weighs.then_some(max_weight),
                strategy: decode(kind, seconds),
                max_age: self.ages.then(|| longest(age, nanos as u32)),
            })
        })
    }

    #[inline]
    pub(super) const fn weighs(&self) -> bool {
        self.weighs
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed)
    }
}

fn split(age: Option<Duration>) -> [u64; 2] {
    age.map_or([0; 2], |age| [age.as_secs(), age.subsec_nanos().into()])
}

const fn encode(strategy: Strategy) -> [u64; 2] {
    let (kind, number, seconds) = match strategy {
        Strategy::Block { max_wait } => (0, max_wait.subsec_nanos(), max_wait.as_secs()),
        Strategy::DropOldest => (1, 0, 0),
        Strategy::DropNewest => (2, 0, 0),
        Strategy::Sample { one_in } => (3, one_in, 0),
        Strategy::Reject => (4, 0, 0),
        Strategy::DropLowest => (5, 0, 0),
    };
    [kind << 32 | number as u64, seconds]
}

const fn decode(kind: u64, seconds: u64) -> Strategy {
    let number = kind as u32;
    match kind >> 32 {
        1 => Strategy::DropOldest,
        2 => Strategy::DropNewest,
        3 => Strategy::Sample { one_in: number },
        4 => Strategy::Reject,
        5 => Strategy::DropLowest,
        _ => Strategy::Block { max_wait: longest(seconds, number) },
    }
}

/// Two stores of a replacement that a reader discards may not fit together.
const fn longest(seconds: u64, nanos: u32) -> Duration {
    if nanos < 1_000_000_000 { Duration::new(seconds, nanos) } else { Duration::MAX }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_is_read_as_it_was_stored() {
        let waits = [Duration::ZERO, Duration::new(3, 7), Duration::MAX].map(|max_wait| Strategy::Block { max_wait });
        let others = [Strategy::DropOldest, Strategy::DropNewest, Strategy::Reject, Strategy::DropLowest];
        let samples = [1, 10, u32::MAX].map(|one_in| Strategy::Sample { one_in });
        for strategy in waits.into_iter().chain(others).chain(samples) {
            let [kind, seconds] = encode(strategy);
            assert_eq!(decode(kind, seconds), strategy);
        }
    }
}
