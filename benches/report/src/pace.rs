//! How much time a run takes, and what it spends it on.

use std::time::Duration;

/// What a round costs, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    pub rounds: usize,
    pub warm_up: Duration,
    pub measurement: Duration,
    /// No round is begun that would end after this.
    pub limit: Option<Duration>,
}

/// What starting and ending a bench program takes, and what iterations that do not fit run over.
const OVERHEAD: Duration = Duration::from_millis(250);

impl Pace {
    pub const THOROUGH: Self =
        Self { rounds: 5, warm_up: Duration::from_millis(200), measurement: Duration::from_millis(800), limit: None };

    /// At most five minutes for so many functions.
    pub fn quick(functions: usize) -> Self {
        const LIMIT: Duration = Duration::from_secs(280);
        const ROUNDS: u32 = 3;
        let runs = ROUNDS.saturating_mul(u32::try_from(functions).unwrap_or(u32::MAX)).max(1);
        let share = (LIMIT * 9 / 10 / runs).saturating_sub(OVERHEAD);
        let measurement = (share * 3 / 4).clamp(Duration::from_millis(100), Duration::from_millis(500));
        Self { rounds: ROUNDS as usize, warm_up: measurement / 3, measurement, limit: Some(LIMIT) }
    }

    /// Whether another round may begin after so many that took so long.
    pub fn goes_on(&self, rounds: usize, elapsed: Duration) -> bool {
        let whole = u32::try_from(rounds).unwrap_or(u32::MAX);
        let next = elapsed.checked_div(whole).unwrap_or_default();
        rounds < self.rounds && self.limit.is_none_or(|limit| elapsed + next <= limit)
    }

    /// How long so many functions will take, about.
    pub fn estimate(&self, functions: usize) -> Duration {
        let runs = u32::try_from(functions.saturating_mul(self.rounds)).unwrap_or(u32::MAX);
        let estimate = (self.warm_up + self.measurement + OVERHEAD).saturating_mul(runs);
        self.limit.map_or(estimate, |limit| estimate.min(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn quick_is_five_minutes_at_most() {
        for functions in [0, 1, 5, 150, 400] {
            let pace = Pace::quick(functions);
            assert!(pace.estimate(functions) <= 300 * SECOND, "{functions}: {pace:?}");
            assert!(pace.measurement >= Duration::from_millis(100));
        }
        assert!(Pace::quick(5).estimate(5) < 20 * SECOND, "a few take no longer than they need");
    }

    #[test]
    fn a_round_that_would_end_too_late_is_not_begun() {
        let pace = Pace { rounds: 3, limit: Some(100 * SECOND), ..Pace::THOROUGH };
        assert!(pace.goes_on(0, Duration::ZERO), "the first one always is");
        assert!(pace.goes_on(1, 50 * SECOND));
        assert!(!pace.goes_on(1, 51 * SECOND));
        assert!(!pace.goes_on(3, SECOND));
        assert!(Pace::THOROUGH.goes_on(1, 10_000 * SECOND), "without a limit it takes what it takes");
    }
}
