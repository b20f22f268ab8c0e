//! Retries, by hand and over time.

use std::future::ready;
use std::time::Duration;

use backpressure_tower::{RetryBudget, RetryLayer, Verdict};
use futures_util::{FutureExt, poll};
use proptest::prelude::*;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt};

use crate::kit::{MS, Scripted};

fn unlimited() -> RetryLayer {
    RetryLayer::new(RetryBudget::new(1000 * MS, u32::MAX, 1.0).unwrap())
}

/// "busy" asks for 700 ms, "never" for no retry at all.
fn judge(outcome: &Result<u32, &'static str>) -> Verdict {
    match outcome {
        Ok(_) | Err("wrong") => Verdict::Served,
        Err("busy") => Verdict::Refused { retry_after: Some(700 * MS) },
        Err("never") => Verdict::RefusedForGood,
        Err(_) => Verdict::Refused { retry_after: None },
    }
}

#[tokio::test(start_paused = true)]
async fn s1_each_try_is_made_by_a_service_that_was_ready() {
    // The service panics if it is called otherwise.
    let (service, seen) = Scripted::new(|_| ready(Err("down")));
    let client = unlimited().retries(4).layer(service);
    assert_eq!(client.oneshot(1).await, Err("down"), "the last outcome, as it was");
    assert_eq!(seen.calls.get(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_until_the_service_is_ready() {
    let mut first = true;
    let (service, seen) = Scripted::new(move |n| ready(if std::mem::take(&mut first) { Err("down") } else { Ok(n) }));
    let mut client = unlimited().layer(service);
    let mut call = std::pin::pin!(client.ready().await.unwrap().call(7));
    seen.is_open.set(false);
    assert!(poll!(&mut call).is_pending());
    tokio::time::advance(1000 * MS).await;
    assert!(poll!(&mut call).is_pending(), "the wait is over");
    assert_eq!(seen.calls.get(), 1);
    seen.open();
    assert_eq!(call.await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_retry_never_comes_sooner_than_the_service_asks_for() {
    let mut refusals = 3;
    let (service, _) = Scripted::new(move |n| {
        refusals -= 1;
        ready(if refusals >= 0 { Err("busy") } else { Ok(n) })
    });
    let client = unlimited().retries(3).judge(judge).layer(service);
    let start = Instant::now();
    assert_eq!(client.oneshot(7).await, Ok(7));
    let jitter = start.elapsed() - 3 * 700 * MS;
    assert!(jitter > Duration::ZERO && jitter <= (50 + 100 + 200 + 3) * MS, "{jitter:?}");
}

#[tokio::test(start_paused = true)]
async fn what_asks_not_to_be_tried_again_is_not_and_neither_is_what_takes_too_long() {
    for error in ["never", "wrong", "busy"] {
        let (service, seen) = Scripted::new(move |_| ready(Err(error)));
        let layer = unlimited().judge(judge).longest_wait(699 * MS);
        assert_eq!(layer.layer(service).oneshot(1).now_or_never(), Some(Err(error)), "at once");
        assert_eq!(seen.calls.get(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_down_gets_a_fifth_more_calls_and_no_more() {
    let (service, seen) = Scripted::new(|_| ready(Err("down")));
    let layer = RetryLayer::new(RetryBudget::new(10_000 * MS, 0, 0.2).unwrap()).retries(10);
    let client = layer.layer(service);
    for n in 0..1000 {
        assert_eq!(client.clone().oneshot(n).await, Err("down"));
    }
    assert!((1100..=1200).contains(&seen.calls.get()), "{}", seen.calls.get());
}

#[tokio::test(start_paused = true)]
async fn s7_layers_with_one_budget_share_it() {
    let budget = RetryBudget::new(10_000 * MS, 1, 0.0).unwrap();
    let (service, seen) = Scripted::new(|_| ready(Err("down")));
    for n in 0..10 {
        let client = RetryLayer::new(budget.clone()).layer(service.clone());
        let _ = client.oneshot(n).await;
    }
    assert_eq!((seen.calls.get(), budget.balance()), (20, 0));
}

#[tokio::test(start_paused = true)]
async fn x1_a_call_that_is_given_up_while_it_waits_is_not_made_again() {
    let (service, seen) = Scripted::new(|_| ready(Err("busy")));
    let budget = RetryBudget::default();
    let mut client = RetryLayer::new(budget.clone()).judge(judge).layer(service);
    let mut call = Box::pin(client.ready().await.unwrap().call(1));
    assert!(poll!(&mut call).is_pending());
    drop(call);
    tokio::time::advance(60_000 * MS).await;
    assert_eq!(seen.calls.get(), 1);
    assert_eq!(budget.balance(), 100);
}

#[tokio::test(start_paused = true)]
async fn d6_the_longest_wait_neither_panics_nor_spins() {
    let (service, seen) = Scripted::new(|_| ready(Err("down")));
    let layer = unlimited()
        .judge(|_: &Result<u32, &str>| Verdict::Refused { retry_after: Some(Duration::MAX) })
        .longest_wait(Duration::MAX)
        .backoff(Duration::MAX, Duration::MAX)
        .unwrap();
    let mut call = Box::pin(layer.layer(service).oneshot(1));
    assert!(poll!(&mut call).is_pending());
    tokio::time::advance(Duration::from_secs(1 << 28)).await;
    assert!(poll!(&mut call).is_pending());
    assert_eq!(seen.calls.get(), 1);
}

proptest! {
    /// Against a model of the number of tries and of the bounds of the wait.
    #[test]
    fn tries_and_waits_are_those_of_the_model(
        retries in 0u32..6,
        budget in 0u32..6,
        script in prop::collection::vec(prop_oneof![Just("busy"), Just("down"), Just("never"), Just("")], 10),
    ) {
        let answers = script.clone();
        let mut next = 0;
        let (service, seen) = Scripted::new(move |n| {
            next += 1;
            ready(match answers[next - 1] { "" => Ok(n), error => Err(error) })
        });
        let layer = RetryLayer::new(RetryBudget::new(1_000_000 * MS, 0, f64::from(budget)).unwrap())
            .retries(retries)
            .judge(judge);

        let most = retries.min(budget) as usize;
        let refused = script.iter().take_while(|answer| ["busy", "down"].contains(answer)).count();
        let tries = refused.min(most) + 1;
        let asked = script[..tries - 1].iter().filter(|answer| **answer == "busy").count() as u32 * 700 * MS;
        let jitter: Duration = (0..tries as u32 - 1).map(|n| 2u32.pow(n) * 50 * MS + MS).sum();

        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (outcome, elapsed) = runtime.block_on(async {
            let start = Instant::now();
            (layer.layer(service).oneshot(1).await, start.elapsed())
        });
        prop_assert_eq!(seen.calls.get() as usize, tries);
        prop_assert_eq!(outcome.err().unwrap_or(""), script[tries - 1]);
        prop_assert!(asked <= elapsed && elapsed <= asked + jitter, "{:?} in {:?} + {:?}", elapsed, asked, jitter);
    }
}

#[test]
fn where_there_is_no_timer_nothing_is_retried_and_the_outcome_is_the_first() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (service, seen) = Scripted::new(|_| ready(Err::<u32, _>("down")));
    let client = unlimited().layer(service);
    assert_eq!(runtime.block_on(client.oneshot(1)), Err("down"));
    assert_eq!(seen.calls.get(), 1);
}
