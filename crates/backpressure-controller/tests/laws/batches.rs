//! When batches leave, and what is in them.

use std::time::Duration;

use backpressure_controller::BackpressureController;
use backpressure_core::{FlushReason, Strategy};

use crate::support::{Act, INTERVAL, LATENCY, MS, Target, advance, config, settle};

/// Held batches stay in flight, so that the target is busy.
const BUSY: Act<u32> = Act::Hold;

fn controller(batch_items: usize, target: &Target<u32>) -> BackpressureController<u32> {
    let config = config(1_000, batch_items).build().unwrap();
    BackpressureController::builder(config).flush(target.service()).spawn().unwrap()
}

fn push_all(controller: &BackpressureController<u32>, items: impl IntoIterator<Item = u32>) {
    for item in items {
        assert!(controller.try_push(item).unwrap().is_accepted());
    }
}

#[tokio::test(start_paused = true)]
async fn b1_full_batches_leave_at_once_and_are_never_larger() {
    let target = Target::always(Act::Deliver);
    let controller = controller(10, &target);
    push_all(&controller, 0..25);
    settle().await;
    assert_eq!(target.batches(), [Vec::from_iter(0..10), Vec::from_iter(10..20)]);
    assert_eq!(target.times(), [Duration::ZERO; 2]);

    advance(INTERVAL).await;
    assert_eq!(target.batches()[2..], [Vec::from_iter(20..25)]);
    let flush = controller.snapshot().flush;
    assert_eq!(flush.by_reason[FlushReason::Full as usize], 2);
    assert_eq!(flush.by_reason[FlushReason::Linger as usize], 1);
    assert_eq!((flush.batches(), flush.items), (3, 25));
}

#[tokio::test(start_paused = true)]
async fn b2_a_partial_batch_leaves_after_the_interval_since_its_first_item_and_not_before() {
    let target = Target::always(Act::Deliver);
    let controller = controller(10, &target);
    advance(30 * MS).await;
    push_all(&controller, [1, 2]);
    advance(60 * MS).await;
    push_all(&controller, [3]);
    advance(INTERVAL - 61 * MS).await;
    assert!(target.calls().is_empty(), "a millisecond too early");
    advance(MS).await;
    assert_eq!(target.batches(), [[1, 2, 3]]);
    assert_eq!(target.times(), [30 * MS + INTERVAL]);
}

#[tokio::test(start_paused = true)]
async fn b2_the_interval_holds_even_if_the_source_never_pauses() {
    let target = Target::always(Act::Deliver);
    let controller = controller(1_000, &target);
    let producer = tokio::spawn(async move {
        for item in 0.. {
            controller.push(item).await.unwrap();
            tokio::time::advance(MS).await;
        }
    });
    while target.calls().len() < 3 {
        tokio::task::yield_now().await;
    }
    producer.abort();
    for (nth, time) in (1..).zip(target.times()) {
        assert!(time.abs_diff(nth * INTERVAL) <= nth * 2 * MS, "batch {nth} left at {time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b3_a_batch_whose_time_came_while_the_target_was_busy_goes_as_soon_as_it_is_free() {
    let target = Target::first([BUSY]);
    let controller = controller(10, &target);
    push_all(&controller, 0..10);
    settle().await;
    push_all(&controller, [10]);
    advance(2 * INTERVAL).await;
    push_all(&controller, [11]);
    target.answer(0, Act::Deliver);
    settle().await;
    assert_eq!(target.batches()[1..], [[10, 11]]);
}

#[tokio::test(start_paused = true)]
async fn b3_a_batch_whose_time_has_not_come_when_the_target_is_free_again_waits_for_the_rest_of_it() {
    let target = Target::first([BUSY]);
    let controller = controller(10, &target);
    push_all(&controller, 0..10);
    settle().await;
    push_all(&controller, [10]);
    advance(LATENCY).await;
    target.answer(0, Act::Deliver);
    advance(INTERVAL - LATENCY - MS).await;
    assert_eq!(target.batches().len(), 1);
    advance(MS).await;
    assert_eq!(target.times()[1], INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn b3_a_batch_whose_time_came_while_the_target_was_not_ready_goes_when_it_is() {
    let target = Target::always(Act::Deliver);
    target.ready_for(0);
    let controller = controller(10, &target);
    push_all(&controller, [1]);
    advance(5 * INTERVAL).await;
    push_all(&controller, [2]);
    target.ready();
    settle().await;
    assert_eq!(target.batches(), [[1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn b4_a_target_that_is_ready_does_not_close_a_partial_batch() {
    let target = Target::first([BUSY]);
    let controller = controller(10, &target);
    push_all(&controller, 0..12);
    settle().await;
    target.answer(0, Act::Deliver);
    target.ready();
    advance(INTERVAL - MS).await;
    assert_eq!(target.batches().len(), 1);
    drop(controller);
}

#[tokio::test(start_paused = true)]
async fn b5_the_time_of_a_batch_that_left_full_never_closes_the_next() {
    let target = Target::always(Act::Deliver);
    let controller = controller(10, &target);
    push_all(&controller, [0]);
    advance(INTERVAL - 10 * MS).await;
    push_all(&controller, 1..10);
    settle().await;
    assert_eq!(target.batches().len(), 1, "it was full");
    advance(5 * MS).await;
    push_all(&controller, [10]);
    advance(INTERVAL - MS).await;
    assert_eq!(target.batches().len(), 1, "the first item's time has passed, the eleventh's has not");
    advance(MS).await;
    assert_eq!(target.times()[1], INTERVAL - 5 * MS + INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn b5_what_a_full_batch_left_behind_waits_from_then_on() {
    let target = Target::always(Act::Deliver);
    let controller = controller(10, &target);
    push_all(&controller, 0..5);
    advance(INTERVAL - 10 * MS).await;
    push_all(&controller, 5..13);
    settle().await;
    assert_eq!(target.batches().len(), 1, "three came after it was full");
    advance(INTERVAL - MS).await;
    assert_eq!(target.batches().len(), 1);
    advance(MS).await;
    assert_eq!(target.batches()[1..], [[10, 11, 12]]);
}

#[tokio::test(start_paused = true)]
async fn b6_the_batches_concatenated_are_the_input() {
    let target = Target::new(|call, _| Act::After((call % 7) as u32 * MS, Box::new(Act::Deliver)));
    let config = config(50, 10).strategy(Strategy::block_forever()).build().unwrap();
    let controller = BackpressureController::builder(config).flush(target.service()).concurrency(4).spawn().unwrap();
    for item in 0..2_000 {
        controller.push(item).await.unwrap();
        if item % 97 == 0 {
            advance(item % 5 * 30 * MS).await;
        }
    }
    controller.flush().await.unwrap();
    assert_eq!(target.batches().concat(), Vec::from_iter(0..2_000));
    assert!(target.batches().iter().all(|batch| (1..=10).contains(&batch.len())));
}

#[tokio::test(start_paused = true)]
async fn b1_a_batch_is_bounded_by_weight_and_an_oversize_item_goes_alone_and_at_once() {
    let target = Target::always(Act::Deliver);
    let config = config(100, 100).max_weight(200).batch_weight(50).build().unwrap();
    let controller = BackpressureController::builder(config)
        .weigh_by(|&weight| weight as usize)
        .flush(target.service())
        .spawn()
        .unwrap();
    push_all(&controller, [20, 20]);
    settle().await;
    assert!(target.calls().is_empty());
    push_all(&controller, [20]);
    settle().await;
    assert_eq!(target.batches(), [[20, 20]], "the third did not fit");
    push_all(&controller, [30]);
    settle().await;
    assert_eq!(target.batches()[1..], [[20, 30]]);
    push_all(&controller, [5, 80, 5]);
    settle().await;
    assert_eq!(target.batches()[2..], [vec![5], vec![80]]);
    assert_eq!(controller.snapshot().flush.by_reason[FlushReason::Weight as usize], 4);
    advance(INTERVAL).await;
    assert_eq!(target.batches()[4..], [[5]]);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_that_is_full_by_weight_is_flushed_at_once_although_a_batch_could_have_more_items() {
    let target = Target::always(Act::Deliver);
    let config = config(100, 100).max_weight(100).strategy(Strategy::block_forever()).build().unwrap();
    let controller = BackpressureController::builder(config)
        .weigh_by(|&weight| weight as usize)
        .flush(target.service())
        .spawn()
        .unwrap();
    for _ in 0..7 {
        controller.push(25).await.unwrap();
    }
    settle().await;
    assert_eq!(target.batches(), [[25; 4]]);
    assert_eq!(target.times(), [Duration::ZERO], "the producer of the fifth does not wait for the interval");
}
