//! Calls that are cut by a timeout, and calls that are cancelled.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::time::Duration;

use backpressure_core::limit::{Aimd, Bounds, Fast, Fixed, Limit, Outcome, Vegas};
use backpressure_core::{Counts, DropReason};
use backpressure_tower::{Limiter, ShedHandle, ShedLayer, ShedLayerBuilder};
use futures_util::future::join_all;
use tokio::time::{Instant, advance, sleep, timeout};
use tower::timeout::TimeoutLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::kit::{Desk, call, is_ready, poll};

const MS: Duration = Duration::from_millis(1);

/// A service that never answers.
fn stuck() -> impl Service<u32, Response = u32, Error = io::Error> + Clone {
    service_fn(|_: u32| pending::<Result<u32, io::Error>>())
}

/// Forty callers for six seconds, one call after the other, whatever becomes of them. A caller that was shed at once comes back
/// after ten milliseconds.
async fn besiege<S: Service<u32> + Clone>(service: S) {
    let end = Instant::now() + 6000 * MS;
    let caller = async |service: S| {
        while Instant::now() < end {
            let start = Instant::now();
            let _ = service.clone().oneshot(7).await;
            if start.elapsed() < MS {
                sleep(10 * MS).await; // tidy: paused clock
            }
        }
    };
    join_all((0..40).map(|_| caller(service.clone()))).await;
}

fn counts(handle: &ShedHandle) -> Counts {
    handle.gauge().snapshot().counts
}

/// The limit has fallen far below its start, and every call that was admitted has timed out.
fn assert_overload(handle: &ShedHandle, what: &str) {
    let counts = counts(handle);
    assert!(handle.limit() < 8, "{what}: the limit is {}", handle.limit());
    let (timed_out, cancelled) = (counts.lost(DropReason::TimedOut), counts.lost(DropReason::Cancelled));
    assert!(timed_out > 0 && (cancelled, counts.delivered, counts.failed()) == (0, 0, 0), "{what}: {counts:?}");
    assert!(counts.balances() && timed_out + counts.rejected == counts.received, "{what}: {counts:?}");
}

/// For limits that fall slowly.
fn low() -> Bounds {
    Bounds::default().start(8).unwrap()
}

fn adaptive() -> [(&'static str, ShedLayerBuilder); 4] {
    let layer = |limit: Box<dyn Limit>| ShedLayer::builder().limiter(Limiter::builder().limit(limit).build());
    [
        ("default", ShedLayer::builder()),
        ("fast", layer(Box::<Fast>::default())),
        ("vegas", layer(Box::new(Vegas::new(low())))),
        ("aimd", layer(Box::new(Aimd::new(low(), Duration::from_secs(60)).unwrap()))),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_call_cut_by_a_timeout_around_the_layer_is_an_overload() {
    for (name, builder) in adaptive() {
        let layer = builder.timeout(100 * MS).build();
        let handle = layer.handle();
        besiege(ServiceBuilder::new().layer(TimeoutLayer::new(100 * MS)).layer(layer).service(stuck())).await;
        assert_overload(&handle, name);
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_cut_by_a_timeout_inside_the_layer_is_an_overload() {
    for (name, builder) in adaptive() {
        let layer = builder.build();
        let handle = layer.handle();
        besiege(ServiceBuilder::new().layer(layer).layer(TimeoutLayer::new(100 * MS)).service(stuck())).await;
        assert_overload(&handle, name);
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_cut_by_the_deadline_of_its_caller_is_an_overload() {
    for (name, builder) in adaptive() {
        let layer = builder.build();
        let handle = layer.handle();
        let layer = layer.wait_timeout(|_: &u32| Some(100 * MS));
        besiege(ServiceBuilder::new().layer(TimeoutLayer::new(100 * MS)).layer(layer).service(stuck())).await;
        assert_overload(&handle, name);
    }
}

#[tokio::test(start_paused = true)]
async fn the_outcome_closure_has_the_last_word_about_timeouts() {
    let layer = ShedLayer::adaptive();
    let handle = layer.handle();
    let layer = layer.outcome(|_: &Result<u32, BoxError>| Outcome::Ignored);
    besiege(ServiceBuilder::new().layer(layer).layer(TimeoutLayer::new(100 * MS)).service(stuck())).await;
    assert_eq!(counts(&handle).lost(DropReason::TimedOut), 0);
}

#[tokio::test(start_paused = true)]
async fn cancelled_calls_never_raise_the_limit() {
    for (name, builder) in adaptive() {
        let layer = builder.build();
        let handle = layer.handle();
        besiege(ServiceBuilder::new().layer(TimeoutLayer::new(100 * MS)).layer(layer).service(stuck())).await;
        assert!(handle.limit() <= Bounds::default().initial(), "{name}: the limit is {}", handle.limit());
        let counts = counts(&handle);
        assert!(counts.lost(DropReason::Cancelled) > 0 && counts.lost(DropReason::TimedOut) == 0, "{name}: {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_answered_raise_the_limit_as_before_though_others_are_cancelled() {
    let layer = ShedLayer::builder().timeout(1000 * MS).build();
    let handle = layer.handle();
    let quick = service_fn(async |n: u32| {
        sleep(if n == 7 { 20 * MS } else { 1000 * MS }).await; // tidy: paused clock
        Ok::<_, BoxError>(n)
    });
    let service = layer.layer(quick);
    let racers = async {
        for _ in 0..100 {
            let _ = timeout(20 * MS, service.clone().oneshot(8)).await;
        }
    };
    tokio::join!(besiege(service.clone()), racers);
    assert!(handle.limit() > 16, "the limit is {}", handle.limit());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_cancelled_before_its_time_is_over_and_cut_after_it() {
    for (after, reason) in [(0, DropReason::Cancelled), (89, DropReason::Cancelled), (90, DropReason::TimedOut)] {
        let layer = ShedLayer::builder().limit(Fixed::new(1).unwrap()).timeout(100 * MS).build();
        let (handle, mut service) = (layer.handle(), layer.layer(Desk::new()));
        let call = call(&mut service);
        advance(after * MS).await;
        drop(call);
        assert_eq!((counts(&handle).lost(reason), counts(&handle).dropped()), (1, 1), "after {after} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_shorter_of_two_times_counts() {
    for (own, callers) in [(100, 500), (500, 100)] {
        let layer = ShedLayer::builder().limit(Fixed::new(1).unwrap()).timeout(own * MS).build();
        let handle = layer.handle();
        let mut service = layer.wait_timeout(move |_: &u32| Some(callers * MS)).layer(Desk::new());
        let call = call(&mut service);
        advance(100 * MS).await;
        drop(call);
        assert_eq!(counts(&handle).lost(DropReason::TimedOut), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_a_call_less_time_than_others_are_answered_in_do_not_shrink_the_limit() {
    let layer = ShedLayer::adaptive();
    let handle = layer.handle();
    let layer = layer.wait_timeout(|request: &u32| (*request == 8).then_some(5 * MS));
    let service = layer.layer(service_fn(async |n: u32| {
        sleep(50 * MS).await; // tidy: paused clock
        Ok::<_, BoxError>(n)
    }));
    besiege(service.clone()).await;
    let before = handle.limit();
    let hurried = async || {
        loop {
            let _ = timeout(5 * MS, service.clone().oneshot(8)).await;
            sleep(MS).await; // tidy: paused clock
        }
    };
    let lowest = Cell::new(before);
    let watch = async {
        loop {
            lowest.set(lowest.get().min(handle.limit()));
            sleep(50 * MS).await; // tidy: paused clock
        }
    };
    tokio::select! {
        () = besiege(service.clone()) => {}
        _ = join_all((0..5).map(|_| hurried())) => {}
        () = watch => {}
    }
    assert!(lowest.get() >= before / 2, "{before}, then {}", lowest.get());
    assert!(counts(&handle).lost(DropReason::TimedOut) > 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cut_while_it_waits_timed_out_and_says_nothing_of_the_service() {
    let layer = ShedLayer::builder().limit(Fixed::new(1).unwrap()).timeout(20 * MS).build();
    let (handle, mut service) = (layer.handle(), layer.layer(Desk::new()));
    let first = call(&mut service);
    let mut second = call(&mut service);
    assert!(poll(second.as_mut()).is_pending());
    advance(19 * MS).await;
    drop(second);
    let counts = counts(&handle);
    assert_eq!((counts.lost(DropReason::TimedOut), counts.in_flight, counts.queued), (1, 1, 0));
    drop(first);
}

#[test]
fn m3_without_a_deadline_no_clock_is_needed_and_d6_any_deadline_is_one() {
    for time in [Duration::ZERO, Duration::MAX] {
        let layer = ShedLayer::builder().limit(Fixed::new(1).unwrap()).timeout(time).build();
        let mut service = layer.clone().wait_timeout(move |_: &u32| Some(time)).layer(Desk::new());
        assert!(is_ready(&mut service));
        drop(service.call(7));
        let timed_out = u64::from(time.is_zero());
        assert_eq!(counts(&layer.handle()).lost(DropReason::TimedOut), timed_out, "{time:?}");
    }
}
