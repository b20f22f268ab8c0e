//! `drain`: the intake closes, what was accepted is delivered or handed back, and the report comes by the deadline.

use std::pin::pin;
use std::time::Duration;

use backpressure_channel::SendError;
use backpressure_controller::BackpressureController;
use backpressure_core::{DropReason, State, Strategy};
use futures_util::FutureExt;
use tokio::time::Instant;

use crate::support::{Act, LATENCY, Log, MS, Target, advance, config, settle};

const SECOND: Duration = Duration::from_secs(1);

fn push_all(controller: &BackpressureController<u32>, items: impl IntoIterator<Item = u32>) {
    items.into_iter().for_each(|item| assert!(controller.try_push(item).unwrap().is_accepted()));
}

fn controller(target: &Target<u32>, concurrency: usize) -> BackpressureController<u32> {
    let config = config(1_000, 10).build().unwrap();
    BackpressureController::builder(config).flush(target.service()).concurrency(concurrency).spawn().unwrap()
}

#[tokio::test(start_paused = true)]
async fn t1_t8_a_healthy_target_gets_everything_and_nothing_is_abandoned() {
    let target = Target::always(Act::After(LATENCY, Box::new(Act::Deliver)));
    let controller = controller(&target, 2);
    push_all(&controller, 0..95);
    advance(LATENCY).await;
    assert_eq!(target.delivered().len(), 20);
    let report = controller.drain(SECOND).await;
    assert!(report.is_complete());
    assert_eq!((report.delivered, report.failed), (75, 0), "since it began");
    assert_eq!(report.elapsed, 4 * LATENCY, "it returns when all is done");
    assert_eq!(target.delivered(), Vec::from_iter(0..95));
    let snapshot = controller.snapshot();
    assert_eq!((snapshot.state, snapshot.counts.delivered), (State::Draining, 95), "m2: visible at once");
}

#[tokio::test(start_paused = true)]
async fn t5_items_pushed_during_a_drain_are_handed_back_and_those_who_wait_are_woken() {
    let target = Target::always(Act::Never);
    let config = config(10, 10).strategy(Strategy::block_forever()).build().unwrap();
    let controller = BackpressureController::builder(config).flush(target.service()).spawn().unwrap();
    push_all(&controller, 0..10);
    settle().await;
    push_all(&controller, 10..20);
    let mut waiting = pin!(controller.push(20));
    assert!(waiting.as_mut().now_or_never().is_none());
    let mut drain = pin!(controller.drain(SECOND));
    assert!(drain.as_mut().now_or_never().is_none());
    settle().await;
    assert_eq!(waiting.now_or_never(), Some(Err(SendError::Closed(20))));
    assert_eq!(controller.try_push(21), Err(SendError::Closed(21)));
    assert_eq!(controller.push(22).await, Err(SendError::Closed(22)));
    assert!(controller.is_closed());
    assert_eq!(controller.gauge().state(), State::Draining);
    assert_eq!(controller.snapshot().counts.rejected, 3);
}

#[tokio::test(start_paused = true)]
async fn t7_it_returns_by_the_deadline_although_the_target_never_answers() {
    let target = Target::always(Act::Never);
    let controller = controller(&target, 2);
    push_all(&controller, 0..35);
    settle().await;
    let began = Instant::now();
    let report = controller.drain(SECOND).await;
    assert_eq!(began.elapsed(), SECOND);
    assert_eq!(report.elapsed, SECOND);
    assert_eq!(report.abandoned, Vec::from_iter(20..35), "what was queued comes back");
    assert_eq!((report.unanswered, report.delivered, report.failed), (20, 0, 0), "what was in flight is gone");
    assert!(!report.is_complete());
    let counts = controller.snapshot().counts;
    assert_eq!((counts.lost(DropReason::DrainDeadline), counts.balances()), (35, true));
    assert_eq!((counts.queued, counts.in_flight), (0, 0));
    settle().await;
    assert_eq!(target.in_flight(), 0, "its flushes are given up");
}

#[tokio::test(start_paused = true)]
async fn t7_it_returns_by_the_deadline_although_the_target_is_never_ready() {
    let target = Target::always(Act::Deliver);
    target.ready_for(1);
    let controller = controller(&target, 1);
    push_all(&controller, 0..25);
    settle().await;
    let report = controller.drain(SECOND).await;
    assert_eq!((report.abandoned, report.elapsed), (Vec::from_iter(10..25), SECOND));
}

#[tokio::test(start_paused = true)]
async fn t7_abandoned_items_come_oldest_first_wherever_they_were() {
    // Four batches: delivered, waiting for a retry, in flight, waiting for a retry; and the buffer.
    let target = Target::first([Act::Deliver, Act::Fail("no"), Act::Never, Act::Partial(vec![(31, "no"), (38, "no")])]);
    let controller = BackpressureController::builder(config(1_000, 10).build().unwrap())
        .flush(target.service())
        .concurrency(4)
        .retry([10 * SECOND])
        .spawn()
        .unwrap();
    push_all(&controller, 0..40);
    settle().await;
    push_all(&controller, 40..45);
    let report = controller.drain(SECOND).await;
    let expected: Vec<u32> = (10..30).chain([31, 38]).chain(40..45).collect();
    assert_eq!(target.batches().len(), 5, "the rest went at once, to the place of the first");
    assert_eq!(target.delivered().len(), 10 + 8 + 5);
    assert_eq!(report.abandoned, expected[..22]);
    assert_eq!((report.delivered, report.unanswered), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn t7_the_halves_of_a_bisected_batch_are_abandoned_in_their_order() {
    // 0..10 fails, then 0..5 fails while 5..10 never answers; its quarters wait for the places.
    let target = Target::new(|_, batch: &[u32]| match batch {
        [0, .., 9] | [0, .., 4] => Act::Fail("no"),
        _ => Act::Never,
    });
    let controller = BackpressureController::builder(config(1_000, 10).build().unwrap())
        .flush(target.service())
        .concurrency(2)
        .bisect()
        .spawn()
        .unwrap();
    push_all(&controller, 0..10);
    settle().await;
    assert_eq!(target.in_flight(), 2);
    let report = controller.drain(SECOND).await;
    assert_eq!(report.abandoned, Vec::from_iter(0..10));
}

#[tokio::test(start_paused = true)]
async fn t8_an_answer_before_the_deadline_counts_however_many_come_at_once() {
    let target = Target::always(Act::Hold);
    let config = config(1_000, 1).build().unwrap();
    let controller =
        BackpressureController::builder(config).flush(target.service()).concurrency(1_000).spawn().unwrap();
    push_all(&controller, 0..1_000);
    while target.in_flight() < 1_000 {
        settle().await;
    }
    let mut drain = pin!(controller.drain(SECOND));
    assert!(drain.as_mut().now_or_never().is_none());
    settle().await;
    (0..1_000).for_each(|call| target.answer(call, Act::Deliver));
    // The clock jumps over the deadline before anybody has heard the answers.
    tokio::time::advance(2 * SECOND).await;
    let report = drain.await;
    assert_eq!((report.delivered, report.unanswered), (1_000, 0));
}

#[tokio::test(start_paused = true)]
async fn t8_retries_go_on_until_the_deadline() {
    let target = Target::first([Act::Fail("no"), Act::Fail("no")]);
    let controller = BackpressureController::builder(config(1_000, 10).build().unwrap())
        .flush(target.service())
        .retry([100 * MS, 100 * MS])
        .spawn()
        .unwrap();
    push_all(&controller, 0..13);
    let report = controller.drain(SECOND).await;
    assert_eq!((report.delivered, report.failed, report.elapsed), (13, 0, 200 * MS));
}

#[tokio::test(start_paused = true)]
async fn d6_a_deadline_of_zero_hands_back_what_has_not_left() {
    let target = Target::always(Act::Deliver);
    let controller = controller(&target, 1);
    push_all(&controller, 0..15);
    settle().await;
    let report = controller.drain(Duration::ZERO).await;
    assert_eq!((report.abandoned, report.elapsed), (Vec::from_iter(10..15), Duration::ZERO));
    assert_eq!(target.delivered(), Vec::from_iter(0..10));
}

#[tokio::test(start_paused = true)]
async fn d6_k1_the_longest_deadlines_wait_as_long_as_it_takes() {
    for deadline in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)] {
        let target = Target::first([Act::After(1_000_000 * SECOND, Box::new(Act::Deliver))]);
        let controller = controller(&target, 1);
        push_all(&controller, 0..15);
        let report = controller.drain(deadline).await;
        assert_eq!((report.delivered, report.is_complete()), (15, true));
        assert_eq!(report.elapsed, 1_000_000 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn t5_a_second_drain_reports_that_nothing_is_left() {
    let target = Target::always(Act::Deliver);
    let controller = controller(&target, 1);
    push_all(&controller, 0..5);
    assert_eq!(controller.drain(SECOND).await.delivered, 5);
    let report = controller.clone().drain(SECOND).await;
    assert!(report.is_complete());
    assert_eq!((report.delivered, report.failed, report.elapsed), (0, 0, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn of_several_drains_the_earliest_deadline_counts_and_the_first_gets_the_items() {
    let target = Target::always(Act::Never);
    let controller = controller(&target, 1);
    push_all(&controller, 0..15);
    settle().await;
    let mut patient = pin!(controller.drain(Duration::MAX));
    assert!(patient.as_mut().now_or_never().is_none());
    advance(SECOND).await;
    let hasty = controller.drain(SECOND).await;
    let patient = patient.now_or_never().expect("it is over for all");
    assert_eq!((patient.abandoned, hasty.abandoned), (Vec::from_iter(10..15), vec![]));
    assert_eq!((patient.unanswered, hasty.unanswered), (10, 10));
    assert_eq!((patient.elapsed, hasty.elapsed), (2 * SECOND, SECOND));
}

#[tokio::test(start_paused = true)]
async fn t7_c2_every_report_is_incomplete_once_items_were_abandoned_and_one_hands_them_out() {
    let target = Target::always(Act::Never);
    target.ready_for(0);
    let controller = controller(&target, 1);
    push_all(&controller, 0..20);
    settle().await;
    let (first, second) = futures_util::future::join(controller.drain(SECOND), controller.drain(2 * SECOND)).await;
    assert_eq!((first.abandoned, first.lost), (Vec::from_iter(0..20), 0));
    let third = controller.drain(SECOND).await;
    for other in [&second, &third] {
        assert_eq!((other.abandoned.len(), other.lost, other.is_complete()), (0, 20, false));
    }
    assert_eq!(controller.flush().await.unwrap_err().items, 20);
    assert_eq!(controller.snapshot().counts.lost(DropReason::DrainDeadline), 20);
}

#[tokio::test(start_paused = true)]
async fn t7_a_drain_after_one_that_was_dropped_tells_what_that_one_cost() {
    let target = Target::always(Act::Never);
    target.ready_for(0);
    let controller = controller(&target, 1);
    push_all(&controller, 0..20);
    assert!(controller.drain(SECOND).now_or_never().is_none());
    advance(2 * SECOND).await;
    let report = controller.drain(SECOND).await;
    assert_eq!((report.abandoned.len(), report.lost, report.is_complete()), (0, 20, false));
}

#[tokio::test(start_paused = true)]
async fn t6_drains_that_are_given_up_leave_nothing_but_their_deadline() {
    let target = Target::always(Act::Never);
    let controller = controller(&target, 1);
    push_all(&controller, 0..15);
    settle().await;
    for call in 1..=1_000 {
        assert!(controller.drain(SECOND / call).now_or_never().is_none());
        settle().await;
    }
    let report = controller.drain(SECOND).await;
    assert_eq!((report.abandoned, report.elapsed), (Vec::from_iter(10..15), MS));
}

/// A drain that somebody begins and drops, and where the five items that are queued go then.
async fn after_dropping_a_drain(polled_until: Duration, heir: Option<Duration>) -> (Vec<u32>, Vec<(u32, DropReason)>) {
    let (target, lost) = (Target::always(Act::Never), Log::new());
    let controller = BackpressureController::builder(config(1_000, 10).build().unwrap())
        .on_drop({
            let lost = lost.clone();
            move |item, reason| {
                lost.push((item, reason));
                panic!("a careless hook");
            }
        })
        .flush(target.service())
        .spawn()
        .unwrap();
    push_all(&controller, 0..15);
    settle().await;
    let mut dropped = Box::pin(controller.drain(SECOND));
    assert!(dropped.as_mut().now_or_never().is_none());
    let heir = async {
        match heir {
            Some(deadline) => controller.drain(deadline).await.abandoned,
            None => Vec::new(),
        }
    };
    let mut heir = pin!(heir);
    let early = heir.as_mut().now_or_never();
    advance(polled_until).await;
    drop(dropped);
    advance(2 * SECOND).await;
    let abandoned = match early {
        Some(abandoned) => abandoned,
        None => heir.await,
    };
    assert_eq!(controller.snapshot().counts.lost(DropReason::DrainDeadline), 15);
    (abandoned, lost.take())
}

#[tokio::test(start_paused = true)]
async fn x2_c3_a_dropped_drain_goes_on_and_what_it_abandons_goes_to_the_hook_or_the_next_report() {
    let items = Vec::from_iter(10..15);
    let losses: Vec<_> = items.iter().map(|&item| (item, DropReason::DrainDeadline)).collect();
    for polled_until in [Duration::ZERO, SECOND - MS] {
        assert_eq!(after_dropping_a_drain(polled_until, None).await, (vec![], losses.clone()));
        assert_eq!(after_dropping_a_drain(polled_until, Some(2 * SECOND)).await, (items.clone(), vec![]));
    }
    // Its report was on the way to it already.
    assert_eq!(after_dropping_a_drain(SECOND, None).await, (vec![], losses));
}
