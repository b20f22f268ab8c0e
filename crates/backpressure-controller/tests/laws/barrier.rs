//! `flush`: everything accepted before the call has a fate when it resolves.

use std::pin::pin;

use backpressure_controller::BackpressureController;
use backpressure_core::{FlushReason, Priority, Strategy};
use futures_util::FutureExt;

use crate::support::{Act, INTERVAL, MS, Target, advance, config, settle};

fn push_all(controller: &BackpressureController<u32>, items: impl IntoIterator<Item = u32>) {
    items.into_iter().for_each(|item| assert!(controller.try_push(item).unwrap().is_accepted()));
}

fn controller(target: &Target<u32>, concurrency: usize) -> BackpressureController<u32> {
    BackpressureController::builder(config(1_000, 10).build().unwrap())
        .flush(target.service())
        .concurrency(concurrency)
        .retry([INTERVAL])
        .spawn()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn i3_with_nothing_to_flush_it_resolves_at_once_and_flushes_nothing() {
    let target = Target::always(Act::Deliver);
    let controller = controller(&target, 1);
    let mut flush = pin!(controller.flush());
    assert!(flush.as_mut().now_or_never().is_none(), "the worker is asked");
    settle().await;
    assert!(flush.as_mut().now_or_never().is_some());
    assert_eq!(target.readiness(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn it_does_not_wait_for_the_interval_and_resolves_with_the_last_answer() {
    let target = Target::always(Act::Hold);
    let controller = controller(&target, 1);
    push_all(&controller, 0..13);
    settle().await;
    let mut flush = pin!(controller.flush());
    assert!(flush.as_mut().now_or_never().is_none());
    settle().await;
    target.answer(0, Act::Deliver);
    settle().await;
    assert_eq!(target.batches()[1..], [[10, 11, 12]], "at once, although it is partial");
    assert!(flush.as_mut().now_or_never().is_none(), "and it is not answered");
    target.answer(1, Act::Fail("no"));
    settle().await;
    assert!(flush.as_mut().now_or_never().is_none(), "it waits for its retry");
    advance(INTERVAL).await;
    target.answer(2, Act::Fail("no"));
    settle().await;
    assert!(flush.as_mut().now_or_never().is_some(), "a failure is a fate");
    assert_eq!(controller.snapshot().flush.by_reason[FlushReason::Flush as usize], 2);
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_nothing_that_came_later() {
    let target = Target::always(Act::Hold);
    let controller = controller(&target, 3);
    push_all(&controller, 0..3);
    let mut flush = pin!(controller.flush());
    assert!(flush.as_mut().now_or_never().is_none());
    settle().await;
    push_all(&controller, 3..33);
    settle().await;
    assert_eq!(target.batches().len(), 3);
    target.answer(0, Act::Deliver);
    settle().await;
    assert!(flush.as_mut().now_or_never().is_some());
    assert_eq!(target.in_flight(), 3, "the next full batch took the place");
    assert_eq!(controller.snapshot().counts.queued, 0);
}

#[tokio::test(start_paused = true)]
async fn a_barrier_does_not_hurry_what_came_later() {
    let target = Target::always(Act::Deliver);
    let controller = controller(&target, 1);
    push_all(&controller, 0..3);
    controller.flush().await.unwrap();
    push_all(&controller, 3..6);
    advance(INTERVAL - MS).await;
    assert_eq!(target.batches(), [[0, 1, 2]]);
    advance(MS).await;
    assert_eq!(target.batches()[1..], [[3, 4, 5]]);
}

#[tokio::test(start_paused = true)]
async fn answers_out_of_order_do_not_resolve_it_early() {
    for late in 0..3 {
        let target = Target::always(Act::Hold);
        let controller = controller(&target, 3);
        push_all(&controller, 0..25);
        let mut flush = pin!(controller.flush());
        assert!(flush.as_mut().now_or_never().is_none());
        settle().await;
        for call in (0..3).rev().filter(|&call| call != late) {
            target.answer(call, Act::Deliver);
            settle().await;
            assert!(flush.as_mut().now_or_never().is_none(), "batch {late} is in flight");
        }
        target.answer(late, Act::PanicInFuture);
        settle().await;
        assert!(flush.as_mut().now_or_never().is_none(), "batch {late} is to be retried");
        advance(INTERVAL).await;
        target.answer(3, Act::Deliver);
        settle().await;
        assert!(flush.as_mut().now_or_never().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_bisected_has_a_fate_when_its_last_half_has() {
    let target = Target::new(|_, batch: &[u32]| match batch.contains(&7) {
        true => Act::After(MS, Box::new(Act::Fail("poison"))),
        false => Act::After(3 * MS, Box::new(Act::Deliver)),
    });
    for concurrency in [1, 3] {
        let controller = BackpressureController::builder(config(1_000, 10).build().unwrap())
            .flush(target.service())
            .concurrency(concurrency)
            .bisect()
            .spawn()
            .unwrap();
        push_all(&controller, 0..20);
        controller.flush().await.unwrap();
        let counts = controller.snapshot().counts;
        assert_eq!((counts.delivered, counts.failed(), counts.in_flight), (19, 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn evicted_items_and_items_overtaken_by_priority_have_a_fate_too() {
    let target = Target::always(Act::Hold);
    let config = config(4, 2).strategy(Strategy::DropOldest).build().unwrap();
    let controller = BackpressureController::builder(config)
        .rank_by(|&item| if item >= 100 { Priority::HIGHEST } else { Priority::LOWEST })
        .flush(target.service())
        .spawn()
        .unwrap();
    push_all(&controller, [0, 1]);
    settle().await;
    push_all(&controller, [2, 3, 4]);
    let mut flush = pin!(controller.flush());
    assert!(flush.as_mut().now_or_never().is_none());
    settle().await;
    push_all(&controller, [100, 101]);
    target.answer(0, Act::Deliver);
    settle().await;
    assert_eq!(target.batches()[1..], [[100, 101]], "2 was evicted for the second, 3 and 4 are overtaken");
    target.answer(1, Act::Deliver);
    settle().await;
    assert!(flush.as_mut().now_or_never().is_none());
    target.answer(2, Act::Deliver);
    settle().await;
    assert!(flush.as_mut().now_or_never().is_some());
    assert_eq!(target.delivered(), [0, 1, 100, 101, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn every_barrier_among_concurrent_pushes_covers_what_was_accepted_before_it() {
    let target = Target::new(|call, _| match call % 3 {
        0 => Act::After(7 * MS, Box::new(Act::Deliver)),
        1 => Act::Deliver,
        _ => Act::Fail("again"),
    });
    let config = config(30, 10).strategy(Strategy::block_forever()).build().unwrap();
    let controller = BackpressureController::builder(config)
        .flush(target.service())
        .concurrency(3)
        .retry(std::iter::repeat(MS))
        .spawn()
        .unwrap();
    let producers: Vec<_> = (0..5)
        .map(|producer| {
            let (controller, target) = (controller.clone(), target.clone());
            tokio::spawn(async move {
                for item in 0..60 {
                    let item = producer * 1_000 + item;
                    controller.push(item).await.unwrap();
                    if item % 13 == 0 {
                        controller.flush().await.unwrap();
                        assert!(target.delivered().contains(&item));
                    }
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.unwrap();
    }
    controller.flush().await.unwrap();
    assert_eq!(target.delivered().len(), 300);
}

#[tokio::test(start_paused = true)]
async fn x2_a_barrier_dropped_at_any_point_loses_nothing_and_the_flush_goes_on() {
    for polls in 0..5 {
        let target = Target::always(Act::After(MS, Box::new(Act::Deliver)));
        let controller = controller(&target, 1);
        push_all(&controller, 0..13);
        {
            let mut flush = pin!(controller.flush());
            for _ in 0..polls {
                assert!(flush.as_mut().now_or_never().is_none());
                tokio::task::yield_now().await;
            }
        }
        advance(MS).await;
        advance(MS).await;
        let expected = if polls == 0 { 10 } else { 13 };
        assert_eq!(target.delivered(), Vec::from_iter(0..expected), "dropped after {polls} polls");
        controller.flush().await.unwrap();
        assert_eq!(target.delivered(), Vec::from_iter(0..13));
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_end_it_resolves_at_once() {
    let target = Target::always(Act::Deliver);
    let controller = controller(&target, 1);
    push_all(&controller, 0..3);
    assert!(controller.drain(MS).await.is_complete());
    settle().await;
    assert!(controller.flush().now_or_never().is_some());
}
