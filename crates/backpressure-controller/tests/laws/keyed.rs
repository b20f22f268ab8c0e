//! Order per key while other keys go on. Items are written as key × 10 + number.

use std::time::Duration;

use backpressure_controller::{BackpressureController, FlushBuilder, Verdict};
use backpressure_core::{FlushReason, Strategy};

use crate::support::{Act, Flush, INTERVAL, Log, MS, Target, advance, config, settle};

const SECOND: Duration = Duration::from_secs(1);

type Builder = FlushBuilder<u32, Flush<u32>>;

/// Batches of two, two at once, over a target that holds them all.
fn spawn(target: &Target<u32>, more: impl FnOnce(Builder) -> Builder) -> BackpressureController<u32> {
    let config = config(100, 2).strategy(Strategy::Reject).build().unwrap();
    let builder = BackpressureController::builder(config).flush(target.service());
    more(builder.concurrency(2).keyed_by(|item| item / 10)).spawn().unwrap()
}

async fn push(controller: &BackpressureController<u32>, items: impl IntoIterator<Item = u32>) {
    items.into_iter().for_each(|item| assert!(controller.try_push(item).unwrap().is_accepted()));
    settle().await;
}

async fn answer(target: &Target<u32>, call: usize, act: Act<u32>) {
    target.answer(call, act);
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn o6_a_key_in_flight_holds_up_only_its_own_items() {
    let target = Target::always(Act::Hold);
    let controller = spawn(&target, |builder| builder.set_aside_at_most(4));
    push(&controller, [11, 12, 13, 14, 21, 22]).await;
    assert_eq!(target.batches(), [[11, 12], [21, 22]], "13 and 14 are set aside");
    assert_eq!(controller.snapshot().counts.in_flight, 6);
    answer(&target, 1, Act::Deliver).await;
    push(&controller, [31, 15, 32]).await;
    assert_eq!(target.batches()[2..], [[31, 32]], "15 is set aside, too");
    answer(&target, 0, Act::Deliver).await;
    assert_eq!(target.batches()[3..], [[13, 14]]);
    answer(&target, 3, Act::Deliver).await;
    assert_eq!(target.batches()[4..], [[15]], "at once: its turn has come before");
    assert_eq!(target.times()[4], Duration::ZERO);
    assert_eq!(controller.snapshot().flush.by_reason[FlushReason::Full as usize], 3, "of those answered");
}

#[tokio::test(start_paused = true)]
async fn o6_at_the_bound_the_buffer_fills_until_something_that_was_set_aside_can_go() {
    let target = Target::always(Act::Hold);
    let controller = spawn(&target, |builder| builder.set_aside_at_most(3));
    push(&controller, [11, 12, 13, 14, 15, 16, 21]).await;
    assert_eq!(target.batches(), [[11, 12]]);
    let counts = controller.snapshot().counts;
    assert_eq!((counts.in_flight, counts.queued), (5, 2), "three are set aside, and 21 is behind another");
    advance(10 * INTERVAL).await;
    assert_eq!(target.calls().len(), 1);
    answer(&target, 0, Act::Deliver).await;
    assert_eq!(target.batches()[1..], [vec![13, 14], vec![21]]);
    assert_eq!(controller.snapshot().counts.queued, 0);
}

#[tokio::test(start_paused = true)]
async fn o5_a_key_waits_for_the_retries_of_its_items_and_others_do_not() {
    let partly = Act::Judged(vec![(11, "later", Verdict::RetryAfter(500 * MS))]);
    let target = Target::first([partly]);
    let controller = spawn(&target, |builder| builder.retry([MS]));
    push(&controller, [11, 21, 12, 22, 13, 23]).await;
    assert_eq!(target.batches(), [[11, 21], [22, 23]], "21 has been delivered");
    assert_eq!(controller.snapshot().counts.in_flight, 3);
    advance(499 * MS).await;
    assert_eq!(target.calls().len(), 2);
    advance(MS).await;
    assert_eq!(target.batches()[2..], [vec![11], vec![12, 13]]);
}

#[tokio::test(start_paused = true)]
async fn o5_what_failed_of_one_key_is_tried_again_together_after_the_longest_of_the_waits() {
    let later = |seconds| Verdict::RetryAfter(Duration::from_secs(seconds));
    let partly = Act::Judged(vec![(11, "a", later(3)), (12, "b", later(1))]);
    let target = Target::first([partly]);
    let controller = spawn(&target, |builder| builder.retry([MS]));
    push(&controller, [11, 12]).await;
    advance(3 * SECOND - MS).await;
    assert_eq!(target.calls().len(), 1);
    advance(MS).await;
    assert_eq!(target.batches(), [[11, 12], [11, 12]]);
}

#[tokio::test(start_paused = true)]
async fn o5_bisection_keeps_the_order_of_a_key() {
    let target = Target::new(|_, batch: &[u32]| if batch.contains(&12) { Act::Fail("poison") } else { Act::Deliver });
    let failed = Log::new();
    let hook = failed.clone();
    let config = config(100, 4).build().unwrap();
    let controller = BackpressureController::builder(config)
        .flush(target.service())
        .concurrency(4)
        .keyed_by(|item| item / 10)
        .bisect()
        .on_failed(move |items, _| hook.push(items))
        .spawn()
        .unwrap();
    push(&controller, [11, 12, 13, 14, 15, 16, 17, 18]).await;
    assert!(controller.drain(Duration::MAX).await.is_complete());
    let batches = [vec![11, 12, 13, 14], vec![11, 12], vec![11], vec![12], vec![13, 14], vec![15, 16, 17, 18]];
    assert_eq!((target.batches(), target.peak()), (batches.to_vec(), 1));
    assert_eq!((target.delivered(), failed.take()), (vec![11, 13, 14, 15, 16, 17, 18], vec![vec![12]]));
}

#[tokio::test(start_paused = true)]
async fn o5_a_flush_that_panics_frees_its_keys() {
    let target = Target::first([Act::PanicInCall, Act::PanicInFuture]);
    let controller = spawn(&target, |builder| builder);
    push(&controller, [11, 12, 13, 14, 15, 16]).await;
    assert_eq!(target.batches(), [[11, 12], [13, 14], [15, 16]]);
    assert_eq!(controller.snapshot().counts.failed(), 4);
}

#[tokio::test(start_paused = true)]
async fn x2_a_barrier_waits_for_what_is_set_aside_and_for_nothing_that_comes_later() {
    let target = Target::always(Act::Hold);
    let controller = spawn(&target, |builder| builder);
    push(&controller, [11, 12, 13]).await;
    let barrier = tokio::spawn({
        let controller = controller.clone();
        async move { controller.flush().await }
    });
    push(&controller, [21, 22]).await;
    answer(&target, 0, Act::Deliver).await;
    assert!(!barrier.is_finished(), "13 has no fate");
    push(&controller, [14, 15]).await;
    answer(&target, 2, Act::Deliver).await;
    assert_eq!(target.batches(), [vec![11, 12], vec![21, 22], vec![13], vec![14, 15]]);
    answer(&target, 1, Act::Deliver).await;
    assert!(barrier.is_finished(), "14 and 15 came later");
}

#[tokio::test(start_paused = true)]
async fn t7_a_drain_hands_back_what_is_set_aside_behind_what_is_in_flight() {
    let target = Target::always(Act::Never);
    let controller = spawn(&target, |builder| builder.keep_copies().set_aside_at_most(2));
    push(&controller, [11, 12, 13, 14, 15, 16]).await;
    let report = controller.drain(SECOND).await;
    assert_eq!(report.abandoned, [11, 12, 13, 14, 15, 16]);
    let counts = controller.snapshot().counts;
    assert!(counts.balances() && counts.in_flight == 0 && counts.queued == 0, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn t9_what_is_set_aside_is_flushed_when_the_last_handle_goes() {
    let target = Target::always(Act::After(10 * MS, Box::new(Act::Deliver)));
    let controller = spawn(&target, |builder| builder);
    push(&controller, [11, 12, 13, 14, 15]).await;
    drop(controller);
    for _ in 0..3 {
        advance(10 * MS).await;
    }
    assert_eq!(target.delivered(), [11, 12, 13, 14, 15]);
}

#[tokio::test(start_paused = true)]
async fn d1_the_target_is_not_asked_whether_it_is_ready_for_items_that_cannot_go() {
    let target = Target::always(Act::Hold);
    let controller = spawn(&target, |builder| builder);
    push(&controller, [11, 12, 13, 14]).await;
    assert_eq!(target.readiness(), (1, 1), "no readiness is hoarded");
    answer(&target, 0, Act::Deliver).await;
    assert_eq!(target.readiness(), (2, 2));
}

#[test]
fn d7_nothing_to_be_set_aside_is_refused() {
    let config = config(100, 2).build().unwrap();
    let builder = BackpressureController::builder(config).flush_fn(async |_: Vec<u32>| Ok::<_, ()>(()));
    let error = builder.keyed_by(|item| item / 10).set_aside_at_most(0).spawn().unwrap_err();
    assert_eq!(error.to_string(), "set_aside_at_most is 0, but must be at least 1");
}

#[tokio::test(start_paused = true)]
async fn d6_the_largest_bound_is_none() {
    let target = Target::always(Act::Hold);
    let controller = spawn(&target, |builder| builder.set_aside_at_most(usize::MAX));
    push(&controller, (10..20).chain([21, 22])).await;
    assert_eq!(target.batches(), [[10, 11], [21, 22]]);
}
