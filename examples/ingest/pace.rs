//! `--rate`: an even pace for all producers together.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How far the pace may fall behind and still catch up. A timer is this coarse, and more: without it every late wake
/// would cost events.
const SLACK: Duration = Duration::from_millis(20);

/// The slowest pace: a turn a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How much a wish for more or less changes the pace.
const STEP: f64 = 1.5;

/// Hands out turns at an even pace, which may change, or as fast as they are asked for.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Nanoseconds between two turns; 0 for no time at all.
    period: AtomicU64,
    next: Mutex<Instant>,
}

impl Pace {
    /// A pace of so many turns a second; above 0.
    pub(crate) fn new(per_second: f64) -> Self {
        Self { period: AtomicU64::new(period(per_second)), next: Mutex::new(Instant::now()) }
    }

    pub(crate) fn flat_out() -> Self {
        Self { period: AtomicU64::new(0), next: Mutex::new(Instant::now()) }
    }

    /// Turns a second. `None` if it is flat out.
    pub(crate) fn per_second(&self) -> Option<f64> {
        let period = self.period.load(Ordering::Relaxed);
        (period > 0).then(|| 1e9 / period as f64)
    }

    /// Changes nothing if it is flat out.
    pub(crate) fn speed_up(&self) {
        self.scale(STEP);
    }

    /// Changes nothing if it is flat out.
    pub(crate) fn slow_down(&self) {
        self.scale(STEP.recip());
    }

    fn scale(&self, by: f64) {
        if let Some(per_second) = self.per_second() {
            self.period.store(period(per_second * by), Ordering::Relaxed);
        }
    }

    /// Waits for the next turn. Cancelled, it has used the turn up.
    pub(crate) async fn turn(&self) {
        let period = Duration::from_nanos(self.period.load(Ordering::Relaxed));
        if period.is_zero() {
            return;
        }
        let now = Instant::now();
        let due = {
            let mut next = self.next.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let due = (*next).max(now.checked_sub(SLACK).unwrap_or(now));
            *next = due + period;
            due
        };
        if due > now {
            sleep_until(due).await;
        }
    }
}

/// Nanoseconds between two turns, at least one.
fn period(per_second: f64) -> u64 {
    let period = Duration::try_from_secs_f64(per_second.recip()).unwrap_or(LONGEST).min(LONGEST);
    (period.as_nanos() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_keep_the_pace() {
        let pace = Pace::new(10_000.0);
        let start = Instant::now();
        for _ in 0..10_000 {
            pace.turn().await;
        }
        let took = start.elapsed();
        assert!((Duration::from_millis(970)..=Duration::from_millis(1010)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_is_not_saved_up() {
        let pace = Pace::new(1000.0);
        tokio::time::advance(Duration::from_secs(60)).await;
        let start = Instant::now();
        for _ in 0..1000 {
            pace.turn().await;
        }
        assert!(start.elapsed() >= Duration::from_millis(970), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_changes_by_halves_and_flat_out_stays_that() {
        let pace = Pace::new(1000.0);
        pace.speed_up();
        assert_eq!(pace.per_second().map(f64::round), Some(1500.0));
        let start = Instant::now();
        for _ in 0..1500 {
            pace.turn().await;
        }
        assert!((950..=1010).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        (0..200).for_each(|_| pace.slow_down());
        assert!(pace.per_second() > Some(0.0), "d6");
        (0..400).for_each(|_| pace.speed_up());
        assert_eq!(pace.per_second(), Some(1e9), "d6");
        let flat_out = Pace::flat_out();
        flat_out.slow_down();
        assert_eq!(flat_out.per_second(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_pace_waits_without_overflow() {
        let pace = Pace::new(f64::MIN_POSITIVE);
        pace.turn().await;
        tokio::select! { biased; () = pace.turn() => panic!("far too early"), () = tokio::task::yield_now() => {} }
        tokio::select! { biased; () = pace.turn() => panic!("far too early"), () = tokio::task::yield_now() => {} }
    }
}
