//! Q1 and Q2, capacity by time: it follows what the flush target takes.

use std::time::Duration;

use backpressure_controller::BackpressureController;
use backpressure_core::{BackpressureConfig, Capacity, Strategy};

use crate::support::{Act, MS, Target, advance, settle};

const BATCH: usize = 10;

/// As much as is taken in 100 ms, between 20 and 2000 items; batches of 10, one at a time.
fn timed() -> BackpressureConfig {
    let capacity = Capacity::within(100 * MS).floor(20).ceiling(2_000);
    BackpressureConfig::builder()
        .capacity_within(capacity)
        .batch_items(BATCH)
        .strategy(Strategy::Reject)
        .build()
        .unwrap()
}

fn controller(target: &Target<u32>, config: BackpressureConfig) -> BackpressureController<u32> {
    BackpressureController::builder(config).flush(target.service()).spawn().unwrap()
}

/// Answers so many flushes, one every `pace`, while the buffer is kept full. `next` is the first that is not answered.
async fn flush(
    controller: &BackpressureController<u32>,
    target: &Target<u32>,
    next: &mut usize,
    flushes: usize,
    pace: Duration,
) {
    for _ in 0..flushes {
        while controller.try_push(0).is_ok() {}
        advance(pace).await;
        target.answer(*next, Act::Deliver);
        *next += 1;
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn q1_the_capacity_follows_the_rate_of_the_target() {
    let target = Target::always(Act::Hold);
    let controller = controller(&target, timed());
    let capacity = || controller.snapshot().capacity;
    assert_eq!(capacity(), 20, "the floor");
    let mut next = 0;
    for (pace, items) in [(2 * MS, 500), (MS, 1_000), (10 * MS, 100)] {
        // What was let in under the old capacity goes first; then eight windows, and half as many again.
        let flushes = capacity() / BATCH + 3 * items / BATCH;
        flush(&controller, &target, &mut next, flushes, pace).await;
        assert!(capacity().abs_diff(items) <= items / 10, "{} at a flush every {pace:?}", capacity());
    }
    assert!(controller.snapshot().counts.balances());
}

#[tokio::test(start_paused = true)]
async fn q1_an_item_that_comes_after_it_has_settled_is_queued_for_twice_the_duration_at_most() {
    let target = Target::always(Act::Hold);
    let controller = controller(&target, timed());
    let mut next = 0;
    flush(&controller, &target, &mut next, 300, 2 * MS).await;
    while controller.try_push(0).is_ok() {}
    let queued = controller.snapshot().counts.queued as usize;
    // They leave in order, so the last to come has left once as many have.
    let wait = 2 * MS * queued.div_ceil(BATCH) as u32;
    assert!((50 * MS..=200 * MS).contains(&wait), "{queued} are queued, for {wait:?}");
}

#[tokio::test(start_paused = true)]
async fn q2_a_target_that_stands_still_brings_it_to_the_floor_and_a_lack_of_items_does_not() {
    let target = Target::always(Act::Hold);
    let controller = controller(&target, timed());
    let mut next = 0;
    flush(&controller, &target, &mut next, 300, 2 * MS).await;
    let before = controller.snapshot().capacity;
    assert!(before >= 450, "{before}");

    // The target takes what there is, and then has nothing to take.
    while controller.snapshot().counts.queued > 0 {
        advance(2 * MS).await;
        target.answer(next, Act::Deliver);
        next += 1;
        settle().await;
    }
    target.answer(next, Act::Deliver);
    next += 1;
    for item in 0..20 {
        advance(100 * MS).await;
        controller.try_push(item).unwrap();
    }
    let idle = controller.snapshot().capacity;
    assert!(idle >= 450, "{idle} where nothing came");

    flush(&controller, &target, &mut next, 100, 2 * MS).await;
    while controller.try_push(0).is_ok() {}
    advance(2_000 * MS).await;
    for _ in 0..3 {
        let _ = controller.try_push(0);
        target.answer(next, Act::Deliver);
        next += 1;
        settle().await;
    }
    let stalled = controller.snapshot();
    assert_eq!(stalled.capacity, 20, "{:?}", stalled.counts);
    assert!(stalled.counts.queued >= 400, "nothing is lost by it");
}
