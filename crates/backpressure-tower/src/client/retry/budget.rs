//! The retry budget.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backpressure_core::{ConfigError, Instrument, Reading};
use backpressure_rt::sync::{Mutex, MutexGuard};
use backpressure_rt::{lock, now};

use super::tally::Tally;
use crate::client::window::{Counts, Window};

/// How many retries are affordable: a share of the calls of the last seconds, and a few more for those who call seldom.
///
/// Retries cost nothing while failures are rare, and are what keeps a service down when they are not: three tries for
/// everything is three times the load, just when it is too much. With a budget of a fifth it is never more than 1.2 times.
///
/// Each call deposits, each retry withdraws; both are forgotten after the `ttl`. Among the last `ttl`'s calls, which are
/// forgotten in steps of a 24th, there are at most `ratio` × calls + `min_per_second` × `ttl` retries.
///
/// A handle: clones share one budget. Give all layers that call the same service the same one.
///
/// ```
/// use std::time::Duration;
/// use backpressure_tower::RetryBudget;
///
/// let budget = RetryBudget::new(Duration::from_secs(10), 0, 0.2)?;
/// (0..10).for_each(|_| budget.deposit());
/// assert_eq!(budget.balance(), 2);
/// assert!(budget.withdraw() && budget.withdraw());
/// assert!(!budget.withdraw());
/// # Ok::<(), backpressure_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct RetryBudget {
    shared: Arc<Shared>,
}

struct Shared {
    purse: Mutex<Purse>,
    tally: Tally,
}

impl RetryBudget {
    /// A budget.
    ///
    /// * `ttl`: how long calls and retries count. Default 10 s.
    /// * `min_per_second`: retries that are affordable without any calls, counted over the whole `ttl`: 10 a second over
    ///   10 s are 100, which may be spent at once. Default 10.
    /// * `ratio`: retries for each call. Default 0.2, one for five. More than 1 invites a storm.
    ///
    /// # Errors
    ///
    /// Refuses a `ttl` of zero, and a `ratio` that is negative or not finite.
    pub fn new(ttl: Duration, min_per_second: u32, ratio: f64) -> Result<Self, ConfigError> {
        let purse = Purse::new(ttl, min_per_second, ratio)?;
        let tally = Tally::new(purse.reserve);
        Ok(Self { shared: Arc::new(Shared { purse: Mutex::new(purse), tally }) })
    }

    /// A call is made.
    pub fn deposit(&self) {
        let mut purse = self.purse();
        let balance = purse.deposit(now());
        self.shared.tally.call(balance);
    }

    /// Pays for a retry. False if it is not affordable.
    #[must_use = "a retry that is not affordable should not be made"]
    pub fn withdraw(&self) -> bool {
        let now = now();
        let mut purse = self.purse();
        let is_affordable = purse.withdraw(now);
        self.shared.tally.retry(is_affordable, purse.balance(now));
        is_affordable
    }

    /// How many retries are affordable now.
    pub fn balance(&self) -> u64 {
        self.purse().balance(now())
    }

    /// Nothing under this lock runs the user's code.
    fn purse(&self) -> MutexGuard<'_, Purse> {
        lock(&self.shared.purse)
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        let purse = Purse::default();
        let tally = Tally::new(purse.reserve);
        Self { shared: Arc::new(Shared { purse: Mutex::new(purse), tally }) }
    }
}

/// What was deposited, paid for and denied, and what was left after the last of it. It takes no lock that calls need. Ended once
/// no other handle is left.
impl Instrument for RetryBudget {
    fn read(&self) -> Reading {
        let mut reading = self.shared.tally.read();
        reading.ended = Arc::strong_count(&self.shared) == 1;
        reading
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget").field("balance", &self.balance()).finish_non_exhaustive()
    }
}

/// The rule: calls, marked by retries, of the last while.
#[derive(Debug)]
struct Purse {
    window: Window,
    reserve: u64,
    ratio: f64,
}

impl Purse {
    fn new(ttl: Duration, min_per_second: u32, ratio: f64) -> Result<Self, ConfigError> {
        if ttl.is_zero() {
            return Err(ConfigError::new("ttl", "0", "above 0"));
        }
        if !(ratio >= 0.0 && ratio.is_finite()) {
            return Err(ConfigError::new("ratio", ratio, "at least 0 and finite"));
        }
        let reserve = (ttl.as_secs_f64() * f64::from(min_per_second)) as u64;
        Ok(Self { window: Window::new(ttl), reserve, ratio })
    }

    /// Answers the balance then.
    fn deposit(&mut self, now: Instant) -> u64 {
        let counts = self.window.add(now, Counts { calls: 1, marks: 0 });
        self.left(counts)
    }

    fn withdraw(&mut self, now: Instant) -> bool {
        let is_affordable = self.balance(now) > 0;
        if is_affordable {
            self.window.add(now, Counts { calls: 0, marks: 1 });
        }
        is_affordable
    }

    fn balance(&mut self, now: Instant) -> u64 {
        let counts = self.window.counts(now);
        self.left(counts)
    }

    fn left(&self, Counts { calls, marks: retries }: Counts) -> u64 {
        let deposited = (self.ratio * calls as f64) as u64;
        self.reserve.saturating_add(deposited).saturating_sub(retries)
    }
}

impl Default for Purse {
    fn default() -> Self {
        let ttl = Duration::from_secs(10);
        Self { window: Window::new(ttl), reserve: 100, ratio: 0.2 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    proptest! {
        /// Against a model that keeps every call and retry and when it came.
        #[test]
        fn no_stretch_of_the_ttl_has_more_retries_than_it_can_afford(
            min_per_second in 0u32..20,
            ratio in prop_oneof![Just(0.0), 0.0..2.0],
            steps in prop::collection::vec((0u32..50, any::<bool>()), 1..200),
        ) {
            let ttl = 240 * MS;
            let mut purse = Purse::new(ttl, min_per_second, ratio).unwrap();
            let reserve = (f64::from(min_per_second) * 0.24) as usize;
            let start = Instant::now();
            purse.balance(start);
            let mut elapsed = 0;
            let mut history: Vec<(u32, bool)> = Vec::new();
            for (wait, is_retry) in steps {
                elapsed += wait;
                let now = start + elapsed * MS;
                let recent = || history.iter().filter(|(at, _)| at / 10 + 24 > elapsed / 10);
                let retries = recent().filter(|(_, is_retry)| *is_retry).count();
                let calls = recent().count() - retries;
                let affordable = reserve + (ratio * calls as f64) as usize;
                prop_assert_eq!(purse.balance(now), affordable.saturating_sub(retries) as u64);
                if !is_retry {
                    purse.deposit(now);
                    history.push((elapsed, false));
                } else if purse.withdraw(now) {
                    prop_assert!(retries < affordable);
                    history.push((elapsed, true));
                } else {
                    prop_assert!(retries >= affordable);
                }
            }
        }
    }

    #[test]
    fn the_default_affords_a_hundred_at_once_and_a_fifth_of_the_calls() {
        let now = Instant::now();
        let mut purse = Purse::default();
        assert_eq!(purse.balance(now), 100);
        for _ in 0..10 {
            purse.deposit(now);
        }
        assert_eq!(purse.balance(now), 102);
        assert_eq!(purse.balance(now + Duration::from_secs(10)), 100, "calls count for ten seconds");
        let Purse { reserve, ratio, .. } = Purse::new(Duration::from_secs(10), 10, 0.2).unwrap();
        assert_eq!((reserve, ratio), (purse.reserve, purse.ratio));
    }

    #[test]
    fn d6_the_largest_budget_neither_panics_nor_overflows() {
        let mut purse = Purse::new(Duration::MAX, u32::MAX, f64::MAX).unwrap();
        purse.deposit(Instant::now());
        assert_eq!(purse.balance(Instant::now()), u64::MAX);
        assert!(purse.withdraw(Instant::now()));
    }

    #[test]
    fn refusals_name_field_value_and_bound() {
        let refusal = |ttl, ratio| Purse::new(ttl, 1, ratio).unwrap_err().to_string();
        assert_eq!(refusal(Duration::ZERO, 0.1), "ttl is 0, but must be above 0");
        assert_eq!(refusal(MS, -0.1), "ratio is -0.1, but must be at least 0 and finite");
        assert_eq!(refusal(MS, f64::NAN), "ratio is NaN, but must be at least 0 and finite");
    }
}
