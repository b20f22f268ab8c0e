//! Flushes that fail: what is retried, what is given up, and who hears of it.

use std::time::Duration;

use backpressure_controller::{BackpressureController, FlushError};

use crate::support::{Act, Error, Log, MS, Target, config, settle};

type Failed = Log<(Vec<u32>, FlushError<Error>)>;

/// A controller with batches of ten, configured by a chain of calls on its flush builder.
macro_rules! spawn {
    ($target:expr, $failed:expr $(, .$method:ident($($argument:expr)*))* $(,)?) => {{
        let failed: Failed = $failed.clone();
        BackpressureController::builder(config(1_000, 10).build().unwrap())
            .flush($target.service())
            .on_failed(move |items, error| failed.push((items, error)))
            $(.$method($($argument)*))*
            .spawn()
            .unwrap()
    }};
}

async fn flush_all(controller: &BackpressureController<u32>, items: u32) {
    (0..items).for_each(|item| assert!(controller.try_push(item).unwrap().is_accepted()));
    controller.flush().await.unwrap();
}

fn counts(controller: &BackpressureController<u32>) -> (u64, u64) {
    let counts = controller.snapshot().counts;
    assert!(counts.balances() && counts.queued == 0 && counts.in_flight == 0, "{counts:?}");
    (counts.delivered, counts.failed())
}

#[tokio::test(start_paused = true)]
async fn only_the_items_that_failed_are_retried_after_each_delay() {
    let target =
        Target::first([Act::Partial(vec![(7, "a"), (2, "b"), (4, "c")]), Act::Partial(vec![(2, "d")]), Act::Deliver]);
    let failed = Failed::new();
    let controller = spawn!(target, failed, .retry([30 * MS, 500 * MS]));
    flush_all(&controller, 10).await;
    assert_eq!(target.batches(), [Vec::from_iter(0..10), vec![7, 2, 4], vec![2]]);
    assert_eq!(target.times(), [Duration::ZERO, 30 * MS, 530 * MS]);
    assert_eq!(counts(&controller), (10, 0));
    assert!(failed.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn items_whose_retries_are_used_up_have_failed_each_with_its_last_error() {
    let target = Target::first([
        Act::Partial(vec![(1, "first"), (2, "first")]),
        Act::Partial(vec![(2, "second"), (1, "second")]),
    ]);
    let failed = Failed::new();
    let controller = spawn!(target, failed, .retry([MS]));
    flush_all(&controller, 10).await;
    assert_eq!(failed.take(), [(vec![2], FlushError::Item("second")), (vec![1], FlushError::Item("second"))]);
    assert_eq!(counts(&controller), (8, 2));
}

#[tokio::test(start_paused = true)]
async fn every_batch_has_its_own_retries() {
    let target = Target::new(|call, _| if call % 3 == 2 { Act::Deliver } else { Act::Fail("again") });
    let controller = spawn!(target, Failed::new(), .retry([MS; 2]));
    flush_all(&controller, 50).await;
    assert_eq!(counts(&controller), (50, 0));
    assert_eq!(target.calls().len(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_whole_batch_that_failed_or_panicked_comes_back_if_copies_are_kept() {
    let ways: [(Act<u32>, FlushError<Error>); 3] = [
        (Act::Fail("no"), FlushError::Batch("no")),
        (Act::PanicInFuture, FlushError::Panicked),
        (Act::PanicInCall, FlushError::Panicked),
    ];
    for (act, error) in ways {
        let failed = Failed::new();
        let controller = spawn!(Target::always(act.clone()), failed, .keep_copies());
        flush_all(&controller, 10).await;
        assert_eq!(failed.take(), [(Vec::from_iter(0..10), error.clone())]);
        assert_eq!(counts(&controller), (0, 10));

        let controller = spawn!(Target::always(act.clone()), failed);
        flush_all(&controller, 10).await;
        assert_eq!(failed.take(), [(vec![], error)], "the flush took them with it");
        assert_eq!(counts(&controller), (0, 10));

        let target = Target::first([act]);
        let controller = spawn!(target, failed, .retry([MS]));
        flush_all(&controller, 10).await;
        assert!(failed.take().is_empty());
        assert_eq!(target.batches(), [Vec::from_iter(0..10), Vec::from_iter(0..10)]);
        assert_eq!(counts(&controller), (10, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn t3_s8_whichever_batch_fails_in_whatever_way_it_costs_that_batch_and_no_other() {
    for act in [Act::Fail("no"), Act::PanicInFuture, Act::PanicInCall] {
        for concurrency in [1, 3] {
            for bad in 0..6 {
                let act = act.clone();
                let target = Target::new(move |call, _| if call == bad { act.clone() } else { Act::Deliver });
                let failed = Failed::new();
                let controller = spawn!(target, failed, .keep_copies(), .concurrency(concurrency));
                flush_all(&controller, 60).await;
                let lost = bad as u32 * 10..(bad as u32 + 1) * 10;
                let failed = failed.take();
                assert_eq!(failed.len(), 1, "an error surfaces once");
                assert_eq!(failed[0].0, Vec::from_iter(lost.clone()));
                assert_eq!(target.delivered(), Vec::from_iter((0..60).filter(|item| !lost.contains(item))));
                assert_eq!(counts(&controller), (50, 10));
            }
        }
    }
}

/// A target that chokes on any batch with one of these in it.
fn poisoned_by(poison: &'static [u32]) -> Target<u32> {
    Target::new(move |call, batch| match batch.iter().any(|item| poison.contains(item)) {
        false => Act::Deliver,
        true if call % 2 == 0 => Act::Fail("poison"),
        true => Act::PanicInFuture,
    })
}

#[tokio::test(start_paused = true)]
async fn bisection_finds_the_poison_and_delivers_its_neighbours() {
    let cases: [&[u32]; 5] = [&[0], &[9], &[4], &[3, 4], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]];
    for poison in cases {
        for concurrency in [1, 2] {
            let (target, failed) = (poisoned_by(poison), Failed::new());
            let controller = spawn!(target, failed, .bisect(), .concurrency(concurrency));
            flush_all(&controller, 20).await;
            let mut isolated: Vec<_> = failed.take().into_iter().map(|(items, _)| items).collect();
            isolated.sort();
            assert_eq!(isolated, poison.iter().map(|&item| vec![item]).collect::<Vec<_>>());
            let mut delivered = target.delivered();
            assert!(concurrency > 1 || delivered.is_sorted(), "halves go in order, before later batches");
            delivered.sort();
            assert_eq!(delivered, Vec::from_iter((0..20).filter(|item| !poison.contains(item))));
            assert_eq!(counts(&controller), (20 - poison.len() as u64, poison.len() as u64));
            assert!(target.peak() <= concurrency);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bisection_begins_when_the_retries_of_the_whole_batch_are_used_up() {
    let (target, failed) = (poisoned_by(&[5]), Failed::new());
    let controller = spawn!(target, failed, .retry([100 * MS]), .bisect());
    flush_all(&controller, 10).await;
    let times = target.times();
    assert_eq!(times[..2], [Duration::ZERO, 100 * MS]);
    assert!(times[2..].iter().all(|&time| time == 100 * MS), "halves are not retried, and do not wait");
    assert_eq!(target.batches()[2..4], [vec![0, 1, 2, 3, 4], vec![5, 6, 7, 8, 9]]);
    assert_eq!(counts(&controller), (9, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_more_failures_than_items_cannot_unbalance_the_ledger() {
    let answers: Vec<_> = (0..25).map(|item| (item, "invented")).collect();
    let (target, failed) = (Target::always(Act::Partial(answers)), Failed::new());
    let controller = spawn!(target, failed);
    flush_all(&controller, 10).await;
    assert_eq!(counts(&controller), (0, 10));
    assert_eq!(failed.take().len(), 25, "every item that the target gave away comes back");

    let controller = spawn!(target, failed, .retry([MS]));
    flush_all(&controller, 10).await;
    assert_eq!(counts(&controller), (0, 10));
    assert!(target.calls().iter().all(|call| call.items.len() == 10), "none of them is flushed");
    assert_eq!(failed.take().len(), 15 + 25);
}

#[tokio::test(start_paused = true)]
async fn a_partial_answer_is_final_without_a_retry_policy_and_is_not_bisected() {
    let (target, failed) = (Target::first([Act::Partial(vec![(3, "no"), (4, "no")])]), Failed::new());
    let controller = spawn!(target, failed, .bisect());
    flush_all(&controller, 10).await;
    assert_eq!(failed.take(), [(vec![3], FlushError::Item("no")), (vec![4], FlushError::Item("no"))]);
    assert_eq!((target.calls().len(), counts(&controller)), (1, (8, 2)));
}

#[tokio::test(start_paused = true)]
async fn answers_out_of_order_settle_their_own_batches() {
    let (target, failed) = (Target::always(Act::Hold), Failed::new());
    let controller = spawn!(target, failed, .keep_copies(), .concurrency(3));
    (0..30).for_each(|item| assert!(controller.try_push(item).is_ok()));
    settle().await;
    for (call, act) in [(2, Act::Deliver), (0, Act::Fail("zero")), (1, Act::Partial(vec![(15, "one")]))] {
        target.answer(call, act);
        settle().await;
    }
    assert_eq!(
        failed.take(),
        [(Vec::from_iter(0..10), FlushError::Batch("zero")), (vec![15], FlushError::Item("one"))]
    );
    assert_eq!(counts(&controller), (19, 11));
}
