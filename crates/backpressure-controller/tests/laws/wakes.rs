//! The worker sleeps until there is something to do, and nothing ticks meanwhile.
//!
//! These tests look at the runtime from outside: a task that was woken while nothing runs stands in its queue. They leave
//! the state as it is where they look, because those who watch the state are woken by its changes.

use std::time::Duration;

use backpressure_controller::BackpressureController;
use backpressure_core::Strategy;
use tokio::runtime::{Handle, Runtime};

use crate::support::{Act, INTERVAL, MS, Target, advance, config, runtime, settle};

const HOUR: Duration = Duration::from_secs(3_600);

fn spawn(runtime: &Runtime, target: &Target<u32>) -> BackpressureController<u32> {
    let _guard = runtime.enter();
    let config = config(100, 10).strategy(Strategy::DropOldest).build().unwrap();
    let controller = BackpressureController::builder(config).flush(target.service()).spawn().unwrap();
    runtime.block_on(settle());
    controller
}

fn target(runtime: &Runtime, act: Act<u32>) -> Target<u32> {
    let _guard = runtime.enter();
    Target::always(act)
}

/// How many tasks were woken by pushing these items.
fn woken_by(runtime: &Runtime, controller: &BackpressureController<u32>, items: u32) -> usize {
    assert_eq!(runtime.metrics().global_queue_depth(), 0, "nothing is left to do");
    (0..items).for_each(|item| assert!(controller.try_push(item).unwrap().is_accepted()));
    let woken = runtime.metrics().global_queue_depth();
    runtime.block_on(settle());
    woken
}

/// How often the runtime went to sleep within an hour in which nothing happens from outside.
async fn naps_in_an_hour() -> u64 {
    settle().await;
    let metrics = Handle::current().metrics();
    let before = metrics.worker_park_count(0);
    tokio::time::sleep(HOUR).await; // tidy: paused clock
    metrics.worker_park_count(0) - before
}

#[test]
fn w2_the_worker_is_woken_by_the_first_item_and_by_a_full_batch_and_by_none_in_between() {
    let runtime = runtime();
    let target = target(&runtime, Act::Deliver);
    let controller = spawn(&runtime, &target);
    for batch in 1..=3 {
        assert_eq!(woken_by(&runtime, &controller, 1), 1, "the wait of the batch begins");
        assert_eq!(woken_by(&runtime, &controller, 8), 0, "nothing to do yet");
        assert_eq!(woken_by(&runtime, &controller, 1), 1, "the batch is full");
        assert_eq!(target.calls().len(), batch);
    }
}

#[test]
fn w2_a_busy_worker_is_woken_by_the_first_item_and_by_no_other() {
    let runtime = runtime();
    let target = target(&runtime, Act::Hold);
    let controller = spawn(&runtime, &target);
    woken_by(&runtime, &controller, 10);
    assert_eq!(target.in_flight(), 1);
    assert_eq!(woken_by(&runtime, &controller, 1), 1, "the wait of the batch begins");
    woken_by(&runtime, &controller, 100);
    assert_eq!(woken_by(&runtime, &controller, 500), 0, "full and evicting, and the target is busy");
    assert_eq!(target.readiness(), (1, 1));
}

#[test]
fn w2_a_worker_whose_target_is_not_ready_is_woken_by_no_item() {
    let runtime = runtime();
    let target = target(&runtime, Act::Deliver);
    target.ready_for(0);
    let controller = spawn(&runtime, &target);
    woken_by(&runtime, &controller, 100);
    assert_eq!(woken_by(&runtime, &controller, 500), 0);
    assert_eq!(target.readiness(), (1, 0));
}

#[test]
fn w3_nothing_ticks_at_rest_whatever_went_before() {
    // The same hours with and without a controller: how often the clock's wheel turns depends on the time of day.
    let day = |with_controller: bool| {
        runtime().block_on(async {
            let target = Target::always(Act::Deliver);
            let config = config(100, 10).build().unwrap();
            let controller = BackpressureController::builder(config).flush(target.service()).spawn().unwrap();
            let controller = with_controller.then_some(controller);
            let push = |items: u32| {
                controller.iter().for_each(|controller| {
                    (0..items).for_each(|item| assert!(controller.try_push(item).unwrap().is_accepted()));
                });
            };
            let idle = naps_in_an_hour().await;

            push(1);
            advance(INTERVAL).await;
            let after_a_partial_batch = naps_in_an_hour().await;

            push(1);
            advance(INTERVAL - MS).await;
            push(9);
            let after_a_full_batch_a_moment_before_its_time = naps_in_an_hour().await;

            push(1);
            settle().await;
            if let Some(controller) = &controller {
                controller.flush().await.unwrap();
            }
            let after_a_barrier = naps_in_an_hour().await;

            assert_eq!(target.calls().len(), if with_controller { 3 } else { 0 });
            [idle, after_a_partial_batch, after_a_full_batch_a_moment_before_its_time, after_a_barrier]
        })
    };
    assert_eq!(day(true), day(false));
}

#[tokio::test(start_paused = true)]
async fn w3_nothing_ticks_while_the_target_keeps_everybody_waiting() {
    let (busy, unready) = (Target::always(Act::Never), Target::always(Act::Deliver));
    unready.ready_for(0);
    let spawn = |target: &Target<u32>| {
        let config = config(20, 10).strategy(Strategy::block_forever()).build().unwrap();
        BackpressureController::builder(config).flush(target.service()).spawn().unwrap()
    };
    for controller in [spawn(&busy), spawn(&unready)] {
        tokio::spawn(async move {
            for item in 0.. {
                let _ = controller.push(item).await;
            }
        });
    }
    assert!(naps_in_an_hour().await < 10, "nobody looks whether anything has changed");
    assert_eq!((busy.calls().len(), unready.readiness()), (1, (1, 0)));
}

#[tokio::test(start_paused = true)]
async fn d6_the_longest_interval_and_the_longest_latency_neither_tick_nor_end() {
    let target = Target::always(Act::Deliver);
    let config = config(100, 10).flush_interval(Duration::MAX, Duration::MAX).target_latency(Duration::MAX);
    let controller = BackpressureController::builder(config.build().unwrap()).flush(target.service()).spawn().unwrap();
    controller.try_push(0).unwrap();
    assert!(naps_in_an_hour().await < 10);
    assert!(target.calls().is_empty());
    controller.flush().await.unwrap();
    assert_eq!(target.batches(), [[0]]);
}

#[tokio::test(start_paused = true)]
async fn w3_nothing_ticks_while_all_that_is_left_waits_for_its_key() {
    let target = Target::always(Act::Hold);
    let builder = BackpressureController::builder(config(100, 2).build().unwrap()).flush(target.service());
    let controller = builder.concurrency(2).keyed_by(|_| ()).set_aside_at_most(1).spawn().unwrap();
    (0..5).for_each(|item| assert!(controller.try_push(item).unwrap().is_accepted()));
    assert!(naps_in_an_hour().await < 10);
    assert_eq!(target.batches(), [[0, 1]]);
}
