//! Who calls how much: the heaviest of any number of callers, in bounded memory.

/// So many callers are kept apart.
const KEPT: usize = 64;
/// After so many calls all counts are halved.
const PERIOD: u64 = 4096;
/// Of fewer calls nobody's share is known.
const FEW: u64 = 256;

/// Counts the calls of any number of callers, and knows the share of each that is heavy.
///
/// It keeps the 64 heaviest callers (the *Space-Saving* sketch of A. Metwally, D. Agrawal and A. El Abbadi, *Efficient Computation of
/// Frequent and Top-k Elements in Data Streams*, ICDT 2005). While no more than 64 call, the counts are exact. Beyond that, a
/// caller's share is never overestimated, and underestimated by at most 1 in 64. So whoever makes more than that of the calls
/// is known, and nobody is taken for heavy who is not.
///
/// Counts are halved after every 4096 calls, so what is known is about the last few thousand of them.
///
/// ```
/// use backpressure_core::limit::Usage;
///
/// let mut usage = Usage::new();
/// for call in 0..1000u64 {
///     usage.note(if call % 4 == 0 { call } else { 7 });
/// }
/// assert!((usage.share(7) - 0.75).abs() < 0.02);
/// assert!(usage.share(4) < 0.02);
/// ```
#[derive(Debug, Clone)]
pub struct Usage {
    callers: Vec<Caller>,
    total: u64,
}

#[derive(Debug, Clone, Copy)]
struct Caller {
    key: u64,
    /// Its calls, and `error` at most that were those of others.
    count: u64,
    error: u64,
}

impl Usage {
    /// A sketch that has seen nobody. It allocates once, here.
    pub fn new() -> Self {
        Self { callers: Vec::with_capacity(KEPT), total: 0 }
    }

    /// Takes note of a call by the caller with this key, such as a hash of its name.
    pub fn note(&mut self, key: u64) {
        if self.total >= PERIOD {
            self.halve();
        }
        self.total += 1;
        if let Some(caller) = self.callers.iter_mut().find(|caller| caller.key == key) {
            caller.count += 1;
        } else if self.callers.len() < KEPT {
            self.callers.push(Caller { key, count: 1, error: 0 });
        } else if let Some(least) = self.callers.iter_mut().min_by_key(|caller| caller.count) {
            *least = Caller { key, count: least.count + 1, error: least.count };
        }
    }

    /// The share of the recent calls that was this caller's, 0 to 1. Before there have been 256 calls, it is the share of that many.
    pub fn share(&self, key: u64) -> f64 {
        let known = self.callers.iter().find(|caller| caller.key == key);
        known.map_or(0.0, |caller| (caller.count - caller.error) as f64 / self.total.max(FEW) as f64)
    }

    /// The share of whoever calls most.
    pub fn heaviest(&self) -> f64 {
        let most = self.callers.iter().map(|caller| caller.count - caller.error).max();
        most.unwrap_or_default() as f64 / self.total.max(FEW) as f64
    }

    fn halve(&mut self) {
        self.total /= 2;
        for caller in &mut self.callers {
            // Half of what is sure, rounded down, and half of the rest, rounded up: it stays sure.
            let sure = (caller.count - caller.error) / 2;
            caller.error = caller.error.div_ceil(2);
            caller.count = sure + caller.error;
        }
        self.callers.retain(|caller| caller.count > 0);
    }
}

impl Default for Usage {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Counts everybody.
    #[derive(Default)]
    struct Model {
        counts: HashMap<u64, u64>,
        total: u64,
    }

    impl Model {
        fn note(&mut self, key: u64) {
            if self.total >= PERIOD {
                self.total /= 2;
                self.counts.values_mut().for_each(|count| *count /= 2);
            }
            self.total += 1;
            *self.counts.entry(key).or_default() += 1;
        }

        fn share(&self, key: u64) -> f64 {
            self.counts.get(&key).copied().unwrap_or_default() as f64 / self.total.max(FEW) as f64
        }
    }

    fn play(calls: &[u64]) -> (Usage, Model) {
        let (mut usage, mut model) = (Usage::new(), Model::default());
        for &key in calls {
            usage.note(key);
            model.note(key);
        }
        (usage, model)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn a_few_callers_are_counted_as_if_everybody_was(calls in prop::collection::vec(0..KEPT as u64, 0..12_000)) {
            let (usage, model) = play(&calls);
            for key in 0..KEPT as u64 {
                prop_assert_eq!(usage.share(key), model.share(key));
            }
            let heaviest = (0..KEPT as u64).map(|key| model.share(key)).fold(0.0, f64::max);
            prop_assert_eq!(usage.heaviest(), heaviest);
        }

        #[test]
        fn of_many_callers_nobody_is_overrated_and_no_heavy_one_is_missed(
            calls in prop::collection::vec(prop_oneof![0..5u64, 0..2000u64], 0..12_000),
        ) {
            let (usage, model) = play(&calls);
            prop_assert!(usage.callers.len() <= KEPT);
            // Rounding at a halving costs each of those kept less than one call.
            let lost = 1.0 / KEPT as f64 + 2.0 * KEPT as f64 / PERIOD as f64;
            for key in 0..2000 {
                let (known, exact) = (usage.share(key), model.share(key));
                prop_assert!(known <= exact + 2.0 / model.total.max(1) as f64, "{key}: {known} of {exact}");
                prop_assert!(known >= exact - lost, "{key}: {known} of {exact}");
            }
        }
    }

    #[test]
    fn who_has_stopped_calling_is_forgotten() {
        let mut usage = Usage::new();
        (0..4000).for_each(|_| usage.note(1));
        assert_eq!(usage.share(1), 1.0);
        (0..40_000).for_each(|n| usage.note(n % 10 + 2));
        assert!(usage.share(1) < 0.01, "{}", usage.share(1));
        assert!((usage.share(2) - 0.1).abs() < 0.02);
    }

    #[test]
    fn c6_a_million_callers_take_no_more_room_than_64() {
        let mut usage = Usage::new();
        let room = usage.callers.capacity();
        (0..1_000_000).for_each(|key| usage.note(key));
        assert_eq!((usage.callers.capacity(), usage.callers.len()), (room, KEPT));
    }
}
