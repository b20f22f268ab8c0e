//! The adaptive throttle, by hand and over time.

use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};

use backpressure_tower::{ThrottleError, ThrottleLayer, Verdict};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tower::{Layer, Service, ServiceExt};

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

#[test]
fn s2_a_call_that_is_given_up_counts_once_and_as_not_accepted() {
    let layer = ThrottleLayer::new();
    let (stuck, _) = Scripted::new(|_| pending());
    let mut client = layer.layer(stuck);
    assert!(client.poll_ready(&mut cx()).is_ready());
    let call = client.call(1);
    assert_eq!(layer.rejection(), 0.0, "nobody knows yet");
    drop(call);
    assert_eq!(layer.rejection(), 0.5);
    drop(client);
    assert_eq!(layer.rejection(), 0.5);
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
