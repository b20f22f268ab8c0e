//! How many of the calls are timed, and what is learned from those.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use backpressure_core::limit::{Fixed, Level, Limit, Outcome, Window};
use backpressure_tower::{Limiter, Permit};
use tokio::time::advance;

const US: Duration = Duration::from_micros(1);

/// A clock that counts how often it is read.
macro_rules! counting_clock {
    ($reads:ident, $clock:ident) => {
        static $reads: AtomicUsize = AtomicUsize::new(0);
        fn $clock() -> Instant {
            $reads.fetch_add(1, Ordering::Relaxed);
            tokio::time::Instant::now().into_std()
        }
    };
}

fn admit(limiter: &Limiter) -> Permit {
    limiter.try_admit(Level::default()).expect("there is room")
}

async fn call(limiter: &Limiter, for_: Duration) {
    let mut permit = admit(limiter);
    permit.began();
    advance(for_).await;
    permit.finish(Outcome::Success);
}

#[tokio::test(start_paused = true)]
async fn m3_most_of_the_first_calls_of_a_fresh_limiter_take_no_look_at_the_clock() {
    counting_clock!(READS, clock);
    let limiter = Limiter::builder().clock(clock).build();
    let before = READS.load(Ordering::Relaxed);
    for _ in 0..1000 {
        call(&limiter, US).await;
    }
    let reads = READS.load(Ordering::Relaxed) - before;
    assert!((3 * 8..100).contains(&reads), "{reads} for a thousand calls");
}

#[tokio::test(start_paused = true)]
async fn m3_a_limit_that_is_far_away_is_learned_from_a_few_calls_a_second() {
    counting_clock!(READS, clock);
    let limiter = Limiter::builder().limit(Fixed::new(100).unwrap()).clock(clock).build();
    for rate in [400, 2000, 10_000] {
        for _ in 0..3 * rate {
            call(&limiter, 1_000_000 / rate * US).await;
        }
        let before = READS.load(Ordering::Relaxed);
        for _ in 0..rate {
            call(&limiter, 1_000_000 / rate * US).await;
        }
        // Three or four looks a call: when it comes, begins and goes.
        let reads = READS.load(Ordering::Relaxed) - before;
        assert!((3 * 250..4 * 600).contains(&reads), "{reads} in a second with {rate} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_felt_is_looked_at_closely_at_once() {
    counting_clock!(READS, clock);
    let limiter = Limiter::builder().limit(Fixed::new(2).unwrap()).clock(clock).build();
    for _ in 0..3000 {
        call(&limiter, 500 * US).await;
    }
    let before = READS.load(Ordering::Relaxed);
    for _ in 0..100 {
        let others = [admit(&limiter), admit(&limiter)];
        assert!(limiter.try_admit(Level::default()).is_err());
        advance(1000 * US).await;
        others.into_iter().for_each(|permit| permit.finish(Outcome::Success));
    }
    let reads = READS.load(Ordering::Relaxed) - before;
    assert!(reads > 2 * 2 * 90, "{reads} for two hundred calls");
}

/// Keeps what it is told.
#[derive(Debug)]
struct Pupil(std::sync::Arc<Mutex<Vec<Window>>>);

impl Limit for Pupil {
    fn limit(&self) -> usize {
        100
    }

    fn update(&mut self, window: &Window) -> usize {
        self.0.lock().unwrap().push(*window);
        100
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stuck_counts_though_few_calls_are_timed() {
    let windows = std::sync::Arc::default();
    let limiter = Limiter::builder().limit(Pupil(std::sync::Arc::clone(&windows))).build();
    let stuck: Vec<_> = (0..40).map(|_| admit(&limiter)).collect();
    for _ in 0..20_000 {
        call(&limiter, 200 * US).await;
    }
    drop(stuck);
    let windows = windows.lock().unwrap();
    let settled = &windows[windows.len() / 2..];
    assert!(settled.len() > 3);
    for window in settled {
        assert!((39.0..42.0).contains(&window.in_flight), "40 or 41: {}", window.in_flight);
        assert!(window.latency.is_some_and(|latency| latency.abs_diff(200 * US) < US), "{window:?}");
        assert!(window.throughput() > 4500.0 && window.throughput() < 5500.0, "{}", window.throughput());
    }
}
