//! `--rate`: an even pace for all producers together.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How far the pace may fall behind and still catch up. A timer is this coarse, and more: without it every late wake
/// would cost events.
const SLACK: Duration = Duration::from_millis(20);

/// The slowest pace: a turn a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Hands out turns, one every `period`.
#[derive(Debug)]
pub(crate) struct Pace {
    period: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    /// A pace of so many turns a second; above 0.
    pub(crate) fn new(per_second: f64) -> Self {
        let period = Duration::try_from_secs_f64(per_second.recip()).unwrap_or(LONGEST).min(LONGEST);
        Self { period, next: Mutex::new(Instant::now()) }
    }

    /// Waits for the next turn. Cancelled, it has used the turn up.
    pub(crate) async fn turn(&self) {
        let now = Instant::now();
        let due = {
            let mut next = self.next.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let due = (*next).max(now.checked_sub(SLACK).unwrap_or(now));
            *next = due + self.period;
            due
        };
        if due > now {
            sleep_until(due).await;
        }
    }
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
    async fn the_slowest_pace_waits_without_overflow() {
        let pace = Pace::new(f64::MIN_POSITIVE);
        pace.turn().await;
        tokio::select! { biased; () = pace.turn() => panic!("far too early"), () = tokio::task::yield_now() => {} }
        tokio::select! { biased; () = pace.turn() => panic!("far too early"), () = tokio::task::yield_now() => {} }
    }
}
