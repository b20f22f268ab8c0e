//! Watermarks in whole items.

use std::ops::Range;

use crate::thresholds::Band;
use crate::{State, Watermarks};

/// [`Watermarks`] and a hysteresis, worked out for one bound: the state of an amount in a few integer comparisons.
///
/// A part enters a state at the smallest amount whose share of the bound reaches the watermark, and is
/// [`Blocked`](State::Blocked) at the bound itself and above. It leaves a state once the amount's share is below the
/// watermark less the hysteresis.
///
/// For bounds up to 2⁵³, [`classify`](BoundMarks::classify) agrees with
/// `Watermarks::classify(amount as f64 / bound as f64)` at every amount. Above that an `f64` cannot tell the last few
/// amounts from the bound; `BoundMarks` can, and calls them [`Critical`](State::Critical).
///
/// ```
/// use backpressure_core::{BoundMarks, State, Watermarks};
///
/// let marks = BoundMarks::new(Watermarks::default(), 0.1, 1000);
/// assert_eq!(marks.next(State::Normal, 500), State::Elevated);
/// assert_eq!(marks.next(State::Elevated, 400), State::Elevated);
/// assert_eq!(marks.next(State::Elevated, 399), State::Normal);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundMarks {
    band: Band<usize>,
}

impl BoundMarks {
    /// The marks of a part that holds `bound` items, or `bound` units of weight.
    ///
    /// `hysteresis` is a share of the bound. Zero, negative or NaN means none; one that reaches the low watermark still
    /// lets an empty part be [`Normal`](State::Normal). A bound of zero is always full.
    pub fn new(watermarks: Watermarks, hysteresis: f64, bound: usize) -> Self {
        let first = |share: f64| first_at_or_above(share.max(f64::MIN_POSITIVE), bound);
        Self { band: watermarks.band(hysteresis.max(0.0)).map(first) }
    }

    /// The state of `amount` on its own, as if it had just been reached from below.
    #[inline]
    pub fn classify(&self, amount: usize) -> State {
        self.band.rising.classify(amount)
    }

    /// The state that follows `current` when the amount is now `amount`.
    ///
    /// It rises at once and falls only past the hysteresis; [`Draining`](State::Draining) stays. The larger of two
    /// answers to the same `current` is the answer of the more pressed of two bounds.
    #[inline]
    pub fn next(&self, current: State, amount: usize) -> State {
        self.band.next(current, amount)
    }

    /// The amounts at which [`next`](Self::next) leaves `current` as it is.
    pub(crate) fn calm(&self, current: State) -> Range<usize> {
        let Band { rising, falling } = self.band;
        match current {
            State::Normal => 0..rising.low,
            State::Elevated => falling.low..rising.high,
            State::Critical => falling.high..rising.full,
            State::Blocked => falling.full..usize::MAX,
            State::Draining => 0..usize::MAX,
        }
    }
}

/// The smallest amount whose share of `bound` is at least `share`, and never more than `bound`.
fn first_at_or_above(share: f64, bound: usize) -> usize {
    if share >= 1.0 {
        return bound;
    }
    let (mut below, mut reached) = (0, bound);
    while below < reached {
        let middle = below + (reached - below) / 2;
        if middle as f64 / bound as f64 >= share {
            reached = middle;
        } else {
            below = middle + 1;
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(amount: usize, bound: usize) -> f64 {
        amount as f64 / bound as f64
    }

    /// The specification of `next`, in shares.
    fn model(watermarks: Watermarks, hysteresis: f64, current: State, utilization: f64) -> State {
        let entered = watermarks.classify(utilization);
        let enter = [(State::Blocked, 1.0), (State::Critical, watermarks.high()), (State::Elevated, watermarks.low())];
        let kept = enter
            .into_iter()
            .find(|&(state, threshold)| state <= current && utilization >= threshold - hysteresis)
            .map_or(State::Normal, |(state, _)| state);
        entered.max(kept)
    }

    fn watermarks() -> impl Strategy<Value = Watermarks> {
        (1u32..1000, 1u32..1000)
            .prop_filter("two watermarks", |(a, b)| a != b)
            .prop_map(|(a, b)| Watermarks::new(f64::from(a.min(b)) / 1000.0, f64::from(a.max(b)) / 1000.0).unwrap())
    }

    proptest! {
        #[test]
        fn h1_integers_agree_with_shares_at_every_amount(
            watermarks in watermarks(),
            of_low in 0.0..1.0,
            bound in prop_oneof![1usize..4, 1usize..200],
        ) {
            let hysteresis = of_low * watermarks.low();
            let marks = BoundMarks::new(watermarks, hysteresis, bound);
            for amount in 0..=bound + 2 {
                let utilization = share(amount, bound);
                prop_assert_eq!(marks.classify(amount), watermarks.classify(utilization));
                for current in &State::ALL {
                    let calm = marks.calm(*current).contains(&amount);
                    prop_assert_eq!(calm, marks.next(*current, amount) == *current, "{} at {}", current, amount);
                }
                for current in &State::ALL[..4] {
                    let expected = model(watermarks, hysteresis, *current, utilization);
                    prop_assert_eq!(marks.next(*current, amount), expected, "{} from {}", amount, current);
                }
            }
        }

        #[test]
        fn integers_agree_with_shares_up_to_2_to_the_53(
            watermarks in watermarks(),
            bound in 1usize..=1 << 53,
            of_bound in 0.0..1.1,
        ) {
            let marks = BoundMarks::new(watermarks, 0.0, bound);
            let near = [marks.band.rising.low, marks.band.rising.high, bound, (of_bound * bound as f64) as usize];
            for amount in near.into_iter().flat_map(|amount| [amount.saturating_sub(1), amount, amount + 1]) {
                prop_assert_eq!(marks.classify(amount), watermarks.classify(share(amount, bound)), "{}", amount);
            }
        }
    }

    #[test]
    fn d6_the_largest_bound_is_full_only_at_the_bound() {
        let marks = BoundMarks::new(Watermarks::default(), 0.0, usize::MAX);
        assert_eq!(marks.classify(usize::MAX / 4), State::Normal);
        assert_eq!(marks.classify(usize::MAX / 2 + 1), State::Elevated);
        assert_eq!(marks.classify(usize::MAX - 1), State::Critical);
        assert_eq!(marks.classify(usize::MAX), State::Blocked);
        assert_eq!(marks.next(State::Blocked, usize::MAX - 1), State::Critical);
    }

    #[test]
    fn d6_a_bound_of_zero_is_always_full() {
        let marks = BoundMarks::new(Watermarks::default(), 0.1, 0);
        assert!([0, 1, usize::MAX].into_iter().all(|amount| marks.classify(amount) == State::Blocked));
        assert_eq!(marks.next(State::Normal, 0), State::Blocked);
    }

    #[test]
    fn an_empty_part_is_normal_whatever_the_hysteresis() {
        for hysteresis in [0.0, 0.5, 1.0, f64::INFINITY] {
            let marks = BoundMarks::new(Watermarks::default(), hysteresis, 10);
            assert_eq!(marks.next(State::Blocked, 0), State::Normal, "hysteresis {hysteresis}");
        }
    }

    #[test]
    fn a_broken_hysteresis_is_none() {
        for hysteresis in [f64::NAN, -0.3, f64::NEG_INFINITY] {
            let marks = BoundMarks::new(Watermarks::default(), hysteresis, 10);
            assert_eq!(marks, BoundMarks::new(Watermarks::default(), 0.0, 10));
        }
    }

    #[test]
    fn draining_stays() {
        let marks = BoundMarks::new(Watermarks::default(), 0.0, 10);
        assert!((0..=11).all(|amount| marks.next(State::Draining, amount) == State::Draining));
    }
}
