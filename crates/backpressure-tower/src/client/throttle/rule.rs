//! The rule of the throttle: when a call is not sent.

use std::time::{Duration, Instant};

use backpressure_core::ConfigError;

use crate::client::window::{Counts, Window};

/// Two minutes.
const WINDOW: Duration = Duration::from_secs(120);

/// How many times as many calls as are accepted are made.
const K: f64 = 2.0;

/// How many calls were made and how many accepted, lately; and what follows from it.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    window: Window,
    k: f64,
    cap: f64,
}

impl Rule {
    pub(super) fn new(window: Duration, k: f64, cap: f64) -> Result<Self, ConfigError> {
        if window.is_zero() {
            return Err(ConfigError::new("window", "0", "above 0"));
        }
        if !(k >= 1.0 && k.is_finite()) {
            return Err(ConfigError::new("k", k, "at least 1 and finite"));
        }
        if !(0.0..=1.0).contains(&cap) {
            return Err(ConfigError::new("max_rejection", cap, "from 0 to 1"));
        }
        Ok(Self { window: Window::new(window), k, cap })
    }

    /// The probability with which a call is rejected now.
    pub(super) fn rejection(&mut self, now: Instant) -> f64 {
        let Counts { calls, marks } = self.window.counts(now);
        let (calls, accepts) = (calls as f64, marks as f64);
        ((calls - self.k * accepts) / (calls + 1.0)).max(0.0).min(self.cap)
    }

    /// A call has had its fate.
    pub(super) fn record(&mut self, now: Instant, accepted: bool) {
        self.window.add(now, Counts { calls: 1, marks: u64::from(accepted) });
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self { window: Window::new(WINDOW), k: K, cap: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Random;

    const SECOND: Duration = Duration::from_secs(1);

    proptest! {
        #[test]
        fn the_probability_is_the_published_one(accepted in 0u32..300, refused in 0u32..300, k in 1.0..4.0) {
            let now = Instant::now();
            let mut rule = Rule::new(120 * SECOND, k, 1.0).unwrap();
            (0..accepted).for_each(|_| rule.record(now, true));
            (0..refused).for_each(|_| rule.record(now, false));
            let (requests, accepts) = (f64::from(accepted + refused), f64::from(accepted));
            let published = f64::max(0.0, (requests - k * accepts) / (requests + 1.0));
            prop_assert!((rule.rejection(now) - published).abs() < 1e-12);
        }

        #[test]
        fn h3_it_is_never_certain(calls in 0u32..5000) {
            let now = Instant::now();
            let mut rule = Rule::default();
            (0..calls).for_each(|_| rule.record(now, false));
            prop_assert!((0.0..1.0).contains(&rule.rejection(now)));
        }
    }

    /// A client that wants to make 20 calls a second, and how many of them get through to the service.
    struct Client {
        rule: Rule,
        random: Random,
        now: Instant,
    }

    impl Client {
        fn new(rule: Rule, seed: u64) -> Self {
            Self { rule, random: Random::seeded(seed), now: Instant::now() }
        }

        fn call_for(&mut self, seconds: u32, mut service: impl FnMut(Instant) -> bool) -> u32 {
            let mut tried = 0;
            for _ in 0..20 * seconds {
                let passes = self.random.next_f64() >= self.rule.rejection(self.now);
                tried += u32::from(passes);
                self.rule.record(self.now, passes && service(self.now));
                self.now += SECOND / 20;
            }
            tried
        }
    }

    #[test]
    fn h3_a_service_that_was_down_for_ten_minutes_is_noticed_when_it_is_back() {
        for seed in 0..20 {
            let mut client = Client::new(Rule::new(120 * SECOND, 2.0, 0.95).unwrap(), seed);
            let while_down = client.call_for(600, |_| false);
            assert!((450..800).contains(&while_down), "a twentieth of 12 000, and a few at the start: {while_down}");
            client.call_for(600, |_| true);
            assert_eq!(client.call_for(60, |_| true), 1200, "seed {seed}");
        }
    }

    #[test]
    fn a_service_that_can_do_a_tenth_is_asked_for_about_twice_that() {
        for seed in 0..20 {
            let mut client = Client::new(Rule::default(), seed);
            // Two a second, however many ask.
            let mut free_at = client.now;
            let mut service = |now| {
                let accepts = now >= free_at;
                if accepts {
                    free_at = now + SECOND / 2;
                }
                accepts
            };
            client.call_for(600, &mut service);
            let tried = client.call_for(600, &mut service);
            assert!((1200..3000).contains(&tried), "of 12 000 calls, 1200 of which it can do, seed {seed}: {tried}");
        }
    }

    #[test]
    fn a_service_that_accepts_half_of_what_it_gets_is_not_throttled_with_k_2() {
        let now = Instant::now();
        let mut rule = Rule::default();
        (0..1000).for_each(|n| rule.record(now, n % 2 == 0));
        assert_eq!(rule.rejection(now), 0.0);
        (0..1000).for_each(|_| rule.record(now, false));
        assert_eq!(rule.rejection(now), 1000.0 / 2001.0);
    }

    #[test]
    fn what_happened_is_forgotten_after_the_window() {
        let start = Instant::now();
        let mut rule = Rule::default();
        (0..100).for_each(|_| rule.record(start, false));
        assert_eq!(rule.rejection(start + 119 * SECOND), 100.0 / 101.0);
        assert_eq!(rule.rejection(start + 120 * SECOND), 0.0);
    }

    #[test]
    fn the_cap_lets_a_share_through_whatever_happened() {
        let now = Instant::now();
        let mut rule = Rule::new(120 * SECOND, 2.0, 0.95).unwrap();
        (0..10_000).for_each(|_| rule.record(now, false));
        assert_eq!(rule.rejection(now), 0.95);
    }

    #[test]
    fn refusals_name_field_value_and_bound() {
        let refusal = |window, k, cap| Rule::new(window, k, cap).unwrap_err().to_string();
        assert_eq!(refusal(Duration::ZERO, 2.0, 1.0), "window is 0, but must be above 0");
        for k in [0.9, f64::NAN, f64::INFINITY] {
            assert_eq!(refusal(SECOND, k, 1.0), format!("k is {k}, but must be at least 1 and finite"));
        }
        for cap in [-0.1, 1.1, f64::NAN] {
            assert_eq!(refusal(SECOND, 2.0, cap), format!("max_rejection is {cap}, but must be from 0 to 1"));
        }
    }
}
