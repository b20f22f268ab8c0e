//! What a limit is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backpressure_core::State;
use backpressure_core::limit::{Criticality, Level, Limit, Outcome, Window};
use backpressure_tower::{Limiter, Permit, ShedReason};
use tokio::time::advance;

const MS: Duration = Duration::from_millis(1);

/// A limit that keeps what it is told.
#[derive(Debug, Clone)]
struct Pupil {
    limit: usize,
    lessons: Arc<Mutex<Vec<Window>>>,
}

impl Pupil {
    fn new(limit: usize) -> Self {
        Self { limit, lessons: Arc::default() }
    }

    fn last(&self) -> Window {
        *self.lessons.lock().unwrap().last().expect("a window")
    }
}

impl Limit for Pupil {
    fn limit(&self) -> usize {
        self.limit
    }

    fn update(&mut self, window: &Window) -> usize {
        self.lessons.lock().unwrap().push(*window);
        self.limit
    }
}

fn taught(limit: usize) -> (Limiter, Pupil) {
    let pupil = Pupil::new(limit);
    (Limiter::builder().limit(pupil.clone()).seed(1).build(), pupil)
}

fn admit(limiter: &Limiter) -> Permit {
    limiter.try_admit(Level::default()).expect("there is room")
}

#[tokio::test(start_paused = true)]
async fn a_window_tells_latency_delay_departures_and_what_was_in_flight() {
    let (limiter, pupil) = taught(10);
    for _ in 0..40 {
        let (mut permit, cancelled) = (admit(&limiter), admit(&limiter));
        advance(MS).await;
        permit.began();
        advance(4 * MS).await;
        permit.finish(Outcome::Success);
        drop(cancelled);
        advance(5 * MS).await;
    }
    let window = pupil.last();
    assert_eq!((window.latency, window.min_latency, window.delay), (Some(5 * MS), Some(5 * MS), MS));
    assert!((window.in_flight - 1.0).abs() < 0.1, "two, half of the time: {}", window.in_flight);
    assert!((window.throughput() - 200.0).abs() < 20.0, "cancelled ones included: {}", window.throughput());
    assert_eq!((window.overloads, window.saturated), (0, false));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_still_sent_holds_a_slot_and_is_no_latency() {
    let (limiter, pupil) = taught(2);
    let mut stream = admit(&limiter);
    advance(MS).await;
    stream.answered(Outcome::Success);
    for _ in 0..300 {
        let permit = admit(&limiter);
        assert!(limiter.try_admit(Level::default()).is_err(), "the other slot is taken");
        advance(MS).await;
        permit.finish(Outcome::Success);
    }
    let window = pupil.last();
    assert_eq!((window.latency, window.peak, window.saturated), (Some(MS), 1, true));
    assert!((window.in_flight - 1.0).abs() < 0.01, "{}", window.in_flight);
    assert_eq!(limiter.gauge().snapshot().counts.in_flight, 1);
    drop(stream);
    let counts = limiter.gauge().snapshot().counts;
    assert_eq!((counts.delivered, counts.in_flight), (301, 0));
}

#[tokio::test(start_paused = true)]
async fn overloads_are_told_and_counted_as_failures_and_what_is_ignored_is_not_timed() {
    let (limiter, pupil) = taught(10);
    for n in 0..200 {
        let permit = admit(&limiter);
        advance(if n % 2 == 0 { MS } else { 9 * MS }).await;
        permit.finish(if n % 2 == 0 { Outcome::Overload } else { Outcome::Ignored });
    }
    let window = pupil.last();
    assert_eq!(window.latency, Some(MS));
    assert!(window.overloads.abs_diff(window.departures / 2) <= 1, "{window:?}");
    let counts = limiter.gauge().snapshot().counts;
    assert_eq!((counts.failed(), counts.delivered), (100, 100));
}

#[tokio::test(start_paused = true)]
async fn late_work_is_pressure_though_few_calls_are_in_flight() {
    let (limiter, _) = taught(100);
    let mut long = admit(&limiter);
    long.began();
    for _ in 0..60 {
        let mut permit = admit(&limiter);
        advance(9 * MS).await;
        permit.began();
        permit.finish(Outcome::Success);
    }
    assert_eq!(limiter.state(), State::Critical, "9 of 10 ms late");
    drop(long);
    assert_eq!(limiter.state(), State::Normal);
}

#[tokio::test(start_paused = true)]
async fn more_important_calls_go_first_when_more_is_offered_than_fits() {
    let (limiter, _) = taught(10);
    let mut flying = Vec::new();
    let mut shed = [0_u32; 4];
    for _ in 0..1000 {
        // Four are offered for each that leaves.
        for class in Criticality::ALL {
            match limiter.try_admit(class.into()) {
                Ok(permit) => flying.push(permit),
                Err(_) => shed[class as usize] += 1,
            }
        }
        advance(MS).await;
        if flying.len() >= 9 {
            flying.remove(0).finish(Outcome::Success);
        }
    }
    assert!(shed.is_sorted(), "{shed:?}");
    assert!(shed[0] < 200 && shed[3] > 900, "{shed:?}");
    let reason = limiter.try_admit(Criticality::Sheddable.into()).unwrap_err().reason();
    assert_eq!(reason, ShedReason::Priority);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_when_what_is_in_flight_will_have_drained() {
    let (limiter, _) = taught(10);
    for _ in 0..300 {
        let permit = admit(&limiter);
        advance(10 * MS).await;
        permit.finish(Outcome::Success);
    }
    let _flying: Vec<_> = (0..10).map(|_| admit(&limiter)).collect();
    let times: Vec<_> = (0..100).map(|_| limiter.try_admit(Level::default()).unwrap_err().retry_after()).collect();
    // 100 leave in a second; 2 have to.
    assert!(times.iter().all(|time| (10 * MS..=30 * MS).contains(time)), "{times:?}");
    let mean = times.iter().sum::<Duration>() / 100;
    assert!((18 * MS..=22 * MS).contains(&mean), "{mean:?}");
}
