//! The answers to refused calls, and their number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backpressure_core::AdmissionState;
use backpressure_core::limit::retry_after;

use crate::overloaded::ShedReason;

/// Counts refusals by reason and says when to come back. Neither locks nor allocates: it is what a limiter does most when it
/// is needed most.
#[derive(Debug)]
pub(super) struct Refusals {
    seed: u64,
    /// Answers per second, as the bits of an `f64`.
    throughput: AtomicU64,
    /// The nanoseconds after which somebody who finds the limit just reached should come back, before they are spread.
    drained_in: AtomicU64,
    /// All but those for want of a slot, which are the rest; in that one's place, the most that they were ever seen to be.
    counts: [AtomicU64; ShedReason::ALL.len()],
    /// Calls that had a slot already, and were not made.
    unmade: AtomicU64,
}

impl Refusals {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            throughput: AtomicU64::new(0),
            drained_in: AtomicU64::new(drain_nanos(1, 0.0)),
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            unmade: AtomicU64::new(0),
        }
    }

    /// From now on this is the limit, and so many calls are answered per second.
    pub(super) fn tune(&self, limit: usize, throughput: f64) {
        self.throughput.store(throughput.to_bits(), Ordering::Relaxed);
        self.drained_in.store(drain_nanos(limit, throughput), Ordering::Relaxed);
    }

    /// Calls answered per second, in the last window; 0 before the first.
    pub(super) fn throughput(&self) -> f64 {
        f64::from_bits(self.throughput.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn count(&self, reason: ShedReason) {
        if reason != ShedReason::Limit {
            self.counts[reason as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a call that has a slot and is not made.
    pub(super) fn count_unmade(&self, reason: ShedReason) {
        self.count(reason);
        self.unmade.fetch_add(1, Ordering::Relaxed);
    }

    /// How many calls had a slot and were not made.
    pub(super) fn unmade(&self) -> u64 {
        self.unmade.load(Ordering::Relaxed)
    }

    /// How many calls were refused because of the streams.
    pub(super) fn of_streams(&self) -> u64 {
        self.counts[ShedReason::Streams as usize].load(Ordering::Relaxed)
    }

    /// How many of `total` there were for each reason.
    pub(super) fn by_reason(&self, total: u64) -> [u64; ShedReason::ALL.len()] {
        let mut counts: [u64; ShedReason::ALL.len()] =
            std::array::from_fn(|reason| self.counts[reason].load(Ordering::Relaxed));
        let limit = ShedReason::Limit as usize;
        counts[limit] = 0;
        let rest = total.saturating_sub(counts.iter().sum());
        counts[limit] = self.counts[limit].fetch_max(rest, Ordering::Relaxed).max(rest);
        counts
    }

    /// When to come back where so many calls are `ahead`. The `number` of the call makes the difference to its neighbours.
    #[inline]
    pub(super) fn retry_after(&self, number: u64, ahead: usize, slots: AdmissionState) -> Duration {
        let nanos = if ahead == slots.limit() {
            self.drained_in.load(Ordering::Relaxed)
        } else {
            nanos(retry_after(ahead, slots.limit(), self.throughput(), 0.5))
        };
        self.spread(number, nanos)
    }

    /// When to come back where nobody knows how fast what is behind drains.
    #[inline]
    pub(super) fn retry_some_time(&self, number: u64) -> Duration {
        self.spread(number, drain_nanos(1, 0.0))
    }

    /// From half of that to half as much again: multiples of the golden ratio fill the range evenly.
    #[inline]
    fn spread(&self, number: u64, nanos: u64) -> Duration {
        let share = number.wrapping_add(self.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Duration::from_nanos(nanos / 2 + ((u128::from(nanos) * u128::from(share)) >> u64::BITS) as u64)
    }
}

/// How long a part that is just full takes to drain to where it is worth coming back.
fn drain_nanos(limit: usize, throughput: f64) -> u64 {
    nanos(retry_after(limit, limit, throughput, 0.5))
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use std::time::Instant;

    use backpressure_core::AdmissionMeter;

    use super::*;

    #[test]
    fn the_short_way_and_the_long_way_agree() {
        let (refusals, slots) = (Refusals::new(7), AdmissionMeter::new(100, Instant::now).slots());
        refusals.tune(100, 50.0);
        for number in 0..100 {
            let (at, above) = (refusals.retry_after(number, 100, slots), refusals.retry_after(number, 101, slots));
            assert!((200..600).contains(&at.as_millis()), "{at:?}");
            assert!(above > at && above < at * 11 / 10, "{at:?}, {above:?}");
        }
    }

    #[test]
    fn every_refusal_is_counted_for_one_reason() {
        let refusals = Refusals::new(0);
        (0..3).for_each(|_| refusals.count(ShedReason::Priority));
        refusals.count(ShedReason::Limit);
        let mut expected = [0; ShedReason::ALL.len()];
        (expected[ShedReason::Limit as usize], expected[ShedReason::Priority as usize]) = (2, 3);
        assert_eq!(refusals.by_reason(5), expected);
        assert_eq!(refusals.by_reason(4), expected, "a look that comes too early takes nothing back");
    }
}
