//! The adaptive throttle, by hand and over time.

use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};

use backpressure_tower::{ThrottleError, ThrottleLayer, Verdict};
use futures_util::future::{join_all, select_all};
use futures_util::{FutureExt, poll};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::kit::{MS, Scripted};

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// A throttle before a service that has just refused so many calls.
fn after(
    refusals: u32,
) -> (ThrottleLayer, impl Service<u32, Response = u32, Error = ThrottleError<&'static str>> + Clone) {
    let layer = ThrottleLayer::new();
    let (down, _) = Scripted::new(|_| ready(Err("overloaded")));
    let client = layer.layer(down);
    let enough = f64::from(refusals) / f64::from(refusals + 1);
    for n in 0..100_000 {
        if layer.rejection() >= enough {
            return (layer, client);
        }
        let _ = client.clone().oneshot(n).now_or_never();
    }
    panic!("{} and not {enough}", layer.rejection());
}

#[test]
fn s3_a_rejected_call_reaches_nothing_and_waits_for_nothing() {
    let (layer, _) = after(999);
    let (service, seen) = Scripted::new(|n| ready(Ok(n)));
    seen.is_open.set(false);
    let mut client = layer.layer(service);
    let mut rejected = 0;
    for n in 0..100 {
        if client.poll_ready(&mut cx()).is_ready() {
            let polls = seen.polls.get();
            let outcome = client.call(n).now_or_never();
            assert!(matches!(outcome, Some(Err(ThrottleError::Throttled { rejection })) if rejection > 0.99));
            assert_eq!((seen.calls.get(), seen.polls.get()), (0, polls));
            rejected += 1;
        } else {
            // This one is to be made, and waits for the service.
            client = client.clone();
        }
    }
    assert!(rejected > 90, "{rejected}");
}

#[test]
fn s7_clones_and_layers_of_one_layer_value_count_together() {
    let (layer, _) = after(99);
    let (other, seen) = Scripted::new(|n| ready(Ok(n)));
    let client = layer.clone().layer(other);
    let passed = (0..100).filter(|n| client.clone().oneshot(*n).now_or_never().unwrap().is_ok()).count();
    assert!(passed < 50, "{passed}");
    assert_eq!(seen.calls.get() as usize, passed);
    let (fresh, _) = Scripted::new(|n| ready(Ok(n)));
    assert!(ThrottleLayer::new().layer(fresh).oneshot(1).now_or_never().unwrap().is_ok(), "another layer is another");
}

#[test]
fn d4_a_decision_is_made_once_for_each_readiness() {
    let (layer, _) = after(1);
    let (service, seen) = Scripted::new(|n| ready(Ok(n)));
    seen.is_open.set(false);
    let before = layer.rejection();
    for _ in 0..20 {
        let mut client = layer.layer(service.clone());
        // Ready to be rejected, or waiting for the service.
        let first = client.poll_ready(&mut cx());
        (0..50).for_each(|_| assert_eq!(client.poll_ready(&mut cx()), first));
    }
    assert_eq!(layer.rejection(), before, "asking is not calling");
}

#[tokio::test(start_paused = true)]
async fn a_burst_at_the_start_is_not_held_against_itself() {
    let (service, seen) = Scripted::new(|n| tokio::time::sleep(100 * MS).map(move |()| Ok(n))); // tidy: paused clock
    let client = ThrottleLayer::new().layer(service);
    let outcomes = join_all((0..200).map(|n| client.clone().oneshot(n))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(seen.calls.get(), 200);
}

/// Calls made in threes by a caller who takes the first answer and drops the others: `races` of them, and how many calls were
/// throttled.
async fn throttled_in_races(layer: ThrottleLayer, races: u32) -> u32 {
    let (service, _) = Scripted::new(|n| tokio::time::sleep((1 + n % 3) * MS).map(move |()| Ok(n))); // tidy: paused clock
    let client = layer.layer(service);
    let mut throttled = 0;
    for race in 0..races {
        let calls = (0..3).map(|runner| {
            client
                .clone()
                .oneshot(3 * race + runner)
                .inspect(|outcome| assert!(!matches!(outcome, Err(ThrottleError::Inner(_)))))
        });
        let mut running: Vec<_> = calls.map(Box::pin).collect();
        while !running.is_empty() {
            let (outcome, _, rest) = select_all(running).await;
            running = rest;
            match outcome {
                Ok(_) => break,
                Err(_) => throttled += 1,
            }
        }
    }
    throttled
}

#[tokio::test(start_paused = true)]
async fn s2_calls_that_are_dropped_while_the_service_is_healthy_throttle_nothing() {
    assert_eq!(throttled_in_races(ThrottleLayer::new(), 2000).await, 0, "two of three calls are dropped");

    let layer = ThrottleLayer::new();
    let (service, _) = Scripted::new(|n| tokio::time::sleep(100 * MS).map(move |()| Ok(n))); // tidy: paused clock
    let mut client = layer.layer(service);
    let mut superseded: Option<std::pin::Pin<Box<dyn Future<Output = _>>>> = None;
    for n in 0..2000 {
        let mut call = Box::pin(client.ready().await.unwrap().call(n));
        assert!(poll!(&mut call).is_pending(), "not throttled");
        drop(superseded.replace(call));
    }
    assert_eq!(superseded.unwrap().await, Ok(1999));
    assert_eq!(layer.rejection(), 0.0);
}

#[tokio::test(start_paused = true)]
async fn s2_dropped_calls_count_as_refused_if_that_is_asked_for() {
    assert!(throttled_in_races(ThrottleLayer::new().count_cancelled(), 2000).await > 1000);
}

#[test]
fn s2_a_call_that_is_given_up_counts_at_most_once() {
    for (layer, rejection) in [(ThrottleLayer::new(), 0.0), (ThrottleLayer::new().count_cancelled(), 0.5)] {
        let (stuck, _) = Scripted::new(|_| pending());
        let mut client = layer.layer(stuck);
        assert!(client.poll_ready(&mut cx()).is_ready());
        let mut call = client.call(1);
        assert!(call.poll_unpin(&mut cx()).is_pending());
        assert_eq!(layer.rejection(), 0.0, "nobody knows yet");
        drop(call);
        assert_eq!(layer.rejection(), rejection);
        drop(client);
        assert_eq!(layer.rejection(), rejection);
    }
}

#[tokio::test(start_paused = true)]
async fn s2_a_timeout_under_the_throttle_counts_as_a_refusal() {
    let layer = ThrottleLayer::new();
    let (stuck, seen) = Scripted::new(|_| pending());
    let stuck = ServiceBuilder::new().timeout(10 * MS).service(stuck.map_err(std::io::Error::other));
    let client = layer.layer(stuck);
    for n in 0..1000 {
        assert!(client.clone().oneshot(n).await.is_err());
    }
    assert!(seen.calls.get() < 50, "{} calls reached a service that never answers", seen.calls.get());
    assert!(layer.rejection() > 0.99);
}

#[test]
fn s8_a_call_that_panics_counts_as_not_accepted_and_breaks_nothing() {
    let layer = ThrottleLayer::with(120_000 * MS, 2.0, 0.5).unwrap();
    let (service, _) = Scripted::new(|n| async move { if n == 0 { panic!("poison") } else { Ok(n) } });
    let client = layer.layer(service);
    let panicked = catch_unwind(AssertUnwindSafe(|| client.clone().oneshot(0).now_or_never()));
    assert!(panicked.is_err());
    assert_eq!(layer.rejection(), 0.5);
    for n in 1..200 {
        let _ = client.clone().oneshot(n).now_or_never();
    }
    assert_eq!(layer.rejection(), 0.0);
}

#[test]
fn errors_of_the_application_are_served_if_the_judge_says_so() {
    let layer = ThrottleLayer::new().judge(|outcome: &Result<u32, &str>| match outcome {
        Err("overloaded") => Verdict::RefusedForGood,
        _ => Verdict::Served,
    });
    let (service, _) = Scripted::new(|n| ready(Err(if n < 1000 { "not found" } else { "overloaded" })));
    let client = layer.layer(service);
    (0..1000).for_each(|n| assert!(client.clone().oneshot(n).now_or_never().unwrap().is_err()));
    assert_eq!(layer.rejection(), 0.0);
    (1000..4000).for_each(|n| assert!(client.clone().oneshot(n).now_or_never().unwrap().is_err()));
    assert!(layer.rejection() > 0.4);
}
