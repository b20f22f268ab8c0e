//! The state shared by all services of a throttle layer.

use backpressure_rt::sync::{Mutex, MutexGuard};
use backpressure_rt::{lock, now};

use super::rule::Rule;
use super::tally::{Outcome, Tally};
use crate::random::Random;

#[derive(Debug)]
pub(super) struct Shared {
    rule: Mutex<Rule>,
    random: Random,
    tally: Tally,
}

impl Shared {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule: Mutex::new(rule), random: Random::new(), tally: Tally::default() }
    }

    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn rejection(&self) -> f64 {
        self.rule().rejection(now())
    }

    /// The probability with which this call was rejected, if it is.
    pub(super) fn reject(&self) -> Option<f64> {
        let rejection = self.rejection();
        self.tally.decided(rejection);
        (rejection > 0.0 && self.random.next_f64() < rejection).then_some(rejection)
    }

    pub(super) fn record(&self, outcome: Outcome) {
        let mut rule = self.rule();
        rule.record(now(), outcome == Outcome::Accepted);
        self.tally.count(outcome);
    }

    /// Nothing under this lock runs the user's code.
    fn rule(&self) -> MutexGuard<'_, Rule> {
        lock(&self.rule)
    }
}
