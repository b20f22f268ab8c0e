//! A flush target that is gone for good, and user code that panics where it should not.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake};
use std::time::Duration;

use backpressure_channel::SendError;
use backpressure_controller::{BackpressureController, FlushError, FlushOutcome};
use backpressure_core::{DropReason, State, Strategy};
use futures_util::FutureExt;

use crate::support::{Act, Error, Log, MS, Target, config, settle};

type Failed = Log<(Vec<u32>, FlushError<Error>)>;

/// Two batches of two in flight, which wait for their answers, and a full buffer behind them.
async fn busy(target: &Target<u32>, failed: &Failed, retry: &'static [Duration]) -> BackpressureController<u32> {
    let failed = failed.clone();
    let config = config(4, 2).strategy(Strategy::block_forever()).build().unwrap();
    let controller = BackpressureController::builder(config)
        .flush(target.service())
        .concurrency(2)
        .retry(retry.iter().copied())
        .on_failed(move |items, error| failed.push((items, error)))
        .spawn()
        .unwrap();
    for item in 0..8 {
        controller.push(item).await.unwrap();
    }
    settle().await;
    assert_eq!((target.in_flight(), controller.gauge().state()), (2, State::Blocked));
    controller
}

#[tokio::test(start_paused = true)]
async fn t3_w4_a_target_that_fails_to_become_ready_closes_the_intake_and_every_item_still_has_a_fate() {
    let (target, failed) = (Target::always(Act::Hold), Failed::new());
    let controller = busy(&target, &failed, &[]).await;
    let mut waiting = pin!(controller.push(8));
    assert!(waiting.as_mut().now_or_never().is_none());
    let mut flush = pin!(controller.flush());
    assert!(flush.as_mut().now_or_never().is_none());

    target.fail_readiness("gone");
    target.answer(0, Act::Deliver);
    settle().await;
    assert_eq!(waiting.await, Err(SendError::Closed(8)), "its producer is woken, and has it back");
    assert_eq!(controller.try_push(9), Err(SendError::Closed(9)));
    assert!(controller.is_closed());
    assert_eq!(controller.gauge().state(), State::Draining);
    assert_eq!(failed.take(), [(vec![4, 5, 6, 7], FlushError::Unavailable(Some("gone")))], "once, with all of them");
    assert!(flush.as_mut().now_or_never().is_none(), "a flush is still in flight");

    let mut drain = pin!(controller.drain(Duration::MAX));
    assert!(drain.as_mut().now_or_never().is_none());
    target.answer(1, Act::Deliver);
    flush.await.unwrap();
    let report = drain.await;
    assert_eq!((report.delivered, report.failed, report.is_complete()), (2, 0, true), "since it began");
    let counts = controller.snapshot().counts;
    assert_eq!((counts.delivered, counts.failed(), counts.rejected, counts.balances()), (4, 4, 2, true));
    assert_eq!(target.readiness().0, 3, "it is not asked again");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_panics_while_it_becomes_ready_is_gone_too() {
    let (target, failed) = (Target::always(Act::Hold), Failed::new());
    let controller = busy(&target, &failed, &[]).await;
    target.panic_in_readiness();
    target.answer(0, Act::Deliver);
    target.answer(1, Act::Deliver);
    controller.flush().await.unwrap();
    assert_eq!(failed.take(), [(vec![4, 5, 6, 7], FlushError::Unavailable(None))]);
    assert_eq!(controller.try_push(9), Err(SendError::Closed(9)));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_retry_fails_when_the_target_is_gone() {
    let (target, failed) = (Target::always(Act::Hold), Failed::new());
    let controller = busy(&target, &failed, &[MS]).await;
    target.answer(0, Act::Fail("busy"));
    settle().await;
    target.fail_readiness("gone");
    controller.flush().now_or_never();
    tokio::time::advance(MS).await;
    settle().await;
    assert_eq!(failed.take(), [(vec![0, 1, 4, 5, 6, 7], FlushError::Unavailable(Some("gone")))]);

    target.answer(1, Act::Fail("busy"));
    controller.flush().await.unwrap();
    assert_eq!(failed.take(), [(vec![2, 3], FlushError::Unavailable(None))], "the error was told the first time");
    let counts = controller.snapshot().counts;
    assert_eq!((counts.delivered, counts.failed(), counts.balances()), (0, 8, true));
}

#[tokio::test(start_paused = true)]
async fn c4_a_panic_in_the_hook_for_failures_costs_nothing_but_the_call() {
    let target = Target::new(|call, _| if call % 2 == 0 { Act::Fail("no") } else { Act::Deliver });
    let told = Log::new();
    let controller = BackpressureController::builder(config(100, 10).build().unwrap())
        .flush(target.service())
        .on_failed({
            let told = told.clone();
            move |_, error| {
                told.push(error);
                panic!("a careless hook");
            }
        })
        .spawn()
        .unwrap();
    (0..40).for_each(|item| assert!(controller.try_push(item).is_ok()));
    controller.flush().await.unwrap();
    assert_eq!(told.take(), [FlushError::Batch("no"), FlushError::Batch("no")]);
    let counts = controller.snapshot().counts;
    assert_eq!((counts.delivered, counts.failed(), counts.balances()), (20, 20, true));
}

#[tokio::test(start_paused = true)]
async fn c3_c4_a_panic_in_the_hook_for_losses_goes_to_the_producer_that_caused_the_loss() {
    let target = Target::always(Act::Deliver);
    target.ready_for(0);
    let lost = Log::new();
    let config = config(4, 4).strategy(Strategy::DropOldest).build().unwrap();
    let controller = BackpressureController::builder(config)
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
    for item in 0..4 {
        controller.try_push(item).unwrap();
    }
    settle().await;
    assert!(catch_unwind(AssertUnwindSafe(|| controller.try_push(4))).is_err());
    assert_eq!(lost.take(), [(0, DropReason::Evicted)]);
    target.ready();
    controller.flush().await.unwrap();
    assert_eq!(target.batches(), [[1, 2, 3, 4]], "the item that came in stayed in");
    assert_eq!(controller.drain(MS).await.failed, 0);
}

#[tokio::test(start_paused = true)]
async fn c4_w5_hooks_may_push_and_look() {
    let target = Target::first([Act::Fail("once")]);
    let (give, handle) = std::sync::mpsc::channel::<BackpressureController<u32>>();
    let mut kept = None;
    let controller = BackpressureController::builder(config(100, 10).build().unwrap())
        .flush(target.service())
        .keep_copies()
        .on_failed(move |items, _| {
            let controller = kept.get_or_insert_with(|| handle.recv().unwrap());
            assert!(controller.snapshot().counts.balances());
            items.into_iter().for_each(|item| assert!(controller.try_push(item).is_ok()));
        })
        .spawn()
        .unwrap();
    give.send(controller.clone()).unwrap();
    (0..10).for_each(|item| assert!(controller.try_push(item).is_ok()));
    controller.flush().await.unwrap();
    controller.flush().await.unwrap();
    assert_eq!(target.delivered(), Vec::from_iter(0..10));
}

/// An answer whose conversion panics.
struct Garbled;

impl From<Garbled> for FlushOutcome<u32, Error> {
    fn from(_: Garbled) -> Self {
        panic!("a careless conversion")
    }
}

#[tokio::test(start_paused = true)]
async fn s8_a_panic_in_the_conversion_of_an_answer_costs_its_own_batch() {
    let failed = Failed::new();
    let controller = BackpressureController::builder(config(100, 10).build().unwrap())
        .flush_fn(async |_: Vec<u32>| Ok::<_, Error>(Garbled))
        .keep_copies()
        .on_failed({
            let failed = failed.clone();
            move |items, error| failed.push((items, error))
        })
        .spawn()
        .unwrap();
    for batch in 0..3 {
        (0..10).for_each(|item| assert!(controller.try_push(batch * 10 + item).is_ok()));
        controller.flush().await.unwrap();
        assert_eq!(failed.take(), [(Vec::from_iter(batch * 10..batch * 10 + 10), FlushError::Panicked)]);
    }
    let counts = controller.snapshot().counts;
    assert_eq!((counts.failed(), counts.in_flight, counts.balances()), (30, 0, true));
}

/// An item that cannot be copied, although it says so.
#[derive(Debug, PartialEq)]
struct Precious(u32);

impl Clone for Precious {
    fn clone(&self) -> Self {
        panic!("a careless clone")
    }
}

#[tokio::test(start_paused = true)]
async fn s8_a_panic_in_the_copying_of_a_batch_costs_its_copy() {
    let delivered = Log::new();
    let controller = BackpressureController::builder(config(100, 10).build().unwrap())
        .flush_fn({
            let delivered = delivered.clone();
            move |batch: Vec<Precious>| {
                batch.into_iter().for_each(|item| delivered.push(item.0));
                std::future::ready(Ok::<_, Error>(()))
            }
        })
        .keep_copies()
        .spawn()
        .unwrap();
    (0..10).for_each(|item| assert!(controller.try_push(Precious(item)).is_ok()));
    controller.flush().await.unwrap();
    assert_eq!(delivered.take(), Vec::from_iter(0..10));
    assert_eq!(controller.snapshot().counts.delivered, 10);
}

#[tokio::test(start_paused = true)]
async fn s8_a_panic_in_a_sequence_of_delays_is_its_end() {
    let (target, failed) = (Target::always(Act::Fail("no")), Failed::new());
    let controller = BackpressureController::builder(config(100, 10).build().unwrap())
        .flush(target.service())
        .retry((0..).map(|retry: u32| if retry < 2 { retry * MS } else { panic!("a careless back-off") }))
        .on_failed({
            let failed = failed.clone();
            move |items, error| failed.push((items, error))
        })
        .spawn()
        .unwrap();
    (0..20).for_each(|item| assert!(controller.try_push(item).is_ok()));
    controller.flush().await.unwrap();
    assert_eq!(target.calls().len(), 6);
    let batch = |items| (Vec::from_iter(items), FlushError::Batch("no"));
    assert_eq!(failed.take(), [batch(0..10), batch(10..20)]);
}

struct Alarm;

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        panic!("a careless waker");
    }
}

#[tokio::test(start_paused = true)]
async fn s8_w5_a_waker_that_panics_costs_the_worker_nothing() {
    let target = Target::always(Act::Deliver);
    target.ready_for(0);
    let config = config(4, 2).strategy(Strategy::block_forever()).build().unwrap();
    let controller = BackpressureController::builder(config).flush(target.service()).spawn().unwrap();
    (0..4).for_each(|item| assert!(controller.try_push(item).is_ok()));
    let (alarm, gauge) = (Arc::new(Alarm).into(), controller.gauge());
    let cx = &mut Context::from_waker(&alarm);
    let (mut push, mut flush) = (pin!(controller.push(4)), pin!(controller.flush()));
    let mut changed = pin!(gauge.changed_from(State::Blocked));
    assert!(push.as_mut().poll(cx).is_pending() && flush.as_mut().poll(cx).is_pending());
    assert!(changed.as_mut().poll(cx).is_pending());

    target.ready();
    settle().await;
    assert!(push.as_mut().now_or_never().is_some_and(|sent| sent.is_ok()));
    assert_eq!(flush.await, Ok(()));
    let (mut first, second) = (pin!(controller.drain(Duration::MAX)), controller.drain(Duration::MAX));
    assert!(first.as_mut().poll(cx).is_pending());
    for report in [second.await, first.await] {
        assert_eq!((report.delivered, report.is_complete()), (1, true));
    }
    assert_eq!(target.delivered(), Vec::from_iter(0..5));
    let counts = controller.snapshot().counts;
    assert_eq!((counts.delivered, counts.balances()), (5, true));
}
