//! How the work ends when nobody drains: the last handle goes, or the runtime does.

use std::sync::Arc;

use backpressure_channel::SendError;
use backpressure_controller::BackpressureController;
use backpressure_core::{DropReason, FlushReason, State, Strategy};
use futures_util::{SinkExt, StreamExt, stream};
use tokio::runtime::Handle;

use crate::support::{Act, INTERVAL, Log, MS, Target, advance, config, runtime, settle};

#[tokio::test(start_paused = true)]
async fn t9_t1_when_the_last_handle_is_dropped_the_rest_is_flushed() {
    let target = Target::always(Act::Deliver);
    let controller =
        BackpressureController::builder(config(100, 10).build().unwrap()).flush(target.service()).spawn().unwrap();
    let gauge = controller.gauge();
    (0..13).for_each(|item| assert!(controller.try_push(item).is_ok()));
    let other = controller.clone();
    drop(controller);
    settle().await;
    assert_eq!(target.delivered().len(), 10, "there is another handle");
    other.try_push(13).unwrap();
    drop(other);
    settle().await;
    assert_eq!(target.batches()[1..], [[10, 11, 12, 13]], "at once");
    let snapshot = gauge.snapshot();
    assert_eq!((snapshot.state, snapshot.counts.delivered), (State::Draining, 14), "a gauge outlives the controller");
    assert_eq!(snapshot.flush.by_reason[FlushReason::End as usize], 1);
}

#[tokio::test(start_paused = true)]
async fn t1_retries_go_on_after_the_last_handle_is_gone() {
    let target = Target::first([Act::Fail("no"), Act::PanicInFuture, Act::Partial(vec![(3, "no")])]);
    let controller = BackpressureController::builder(config(100, 10).build().unwrap())
        .flush(target.service())
        .retry([INTERVAL; 3])
        .spawn()
        .unwrap();
    (0..13).for_each(|item| assert!(controller.try_push(item).is_ok()));
    drop(controller);
    for _ in 0..4 {
        advance(INTERVAL).await;
    }
    let mut delivered = target.delivered();
    delivered.sort();
    assert_eq!(delivered, Vec::from_iter(0..13));
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_be_forwarded_into_it() {
    let target = Target::always(Act::After(MS, Box::new(Act::Deliver)));
    let config = config(20, 10).strategy(Strategy::block_forever()).build().unwrap();
    let mut controller = BackpressureController::builder(config).flush(target.service()).spawn().unwrap();
    stream::iter(0..95).map(Ok).forward(controller.clone()).await.unwrap();
    assert!(!controller.is_closed(), "one producer is done, not the controller");
    controller.send(95).await.unwrap();
    controller.close().await.unwrap();
    assert!(controller.is_closed(), "the last one is");
    BackpressureController::flush(&controller).await.unwrap();
    assert_eq!(target.delivered(), Vec::from_iter(0..96));
    assert_eq!(controller.try_push(96), Err(SendError::Closed(96)));
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn t6_nothing_is_kept_alive_after_the_end() {
    for act in [Act::<()>::Deliver, Act::Never, Act::Fail("no"), Act::PanicInFuture, Act::PanicInCall] {
        for drains in [true, false] {
            let alive = Arc::new(());
            let [in_drop, in_flush, in_failed] = [(); 3].map(|()| alive.clone());
            let controller = BackpressureController::builder(config(100, 10).build().unwrap())
                .on_drop(move |_, _| assert!(Arc::strong_count(&in_drop) > 0))
                .flush_fn({
                    let act = act.clone();
                    move |batch: Vec<Arc<()>>| {
                        assert!(act != Act::PanicInCall, "as told");
                        let (act, in_flush) = (act.clone(), in_flush.clone());
                        async move {
                            let _held = (batch, in_flush);
                            match act {
                                Act::Never => std::future::pending().await,
                                Act::PanicInFuture => panic!("as told"),
                                Act::Fail(error) => Err(error),
                                _ => Ok(()),
                            }
                        }
                    }
                })
                .concurrency(2)
                .retry([INTERVAL])
                .on_failed(move |_, _| assert!(Arc::strong_count(&in_failed) > 0))
                .spawn()
                .unwrap();
            (0..35).for_each(|_| assert!(controller.try_push(alive.clone()).is_ok()));
            settle().await;
            if drains || act == Act::Never {
                let _ = controller.drain(INTERVAL / 2).await;
            }
            drop(controller);
            for _ in 0..3 {
                advance(INTERVAL).await;
            }
            assert_eq!(Arc::strong_count(&alive), 1, "{act:?}, drains: {drains}");
            assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "{act:?}, drains: {drains}");
        }
    }
}

#[test]
fn c1_c3_what_is_lost_with_the_runtime_is_counted_and_given_to_the_hook() {
    for copies in [true, false] {
        for hook_panics in [true, false] {
            let (runtime, lost) = (runtime(), Log::new());
            let controller = runtime.block_on(async {
                // A batch that waits for its retry, one in flight, and a partial one in the buffer.
                let target = Target::first([Act::Partial(vec![(1, "no"), (2, "no")]), Act::Never]);
                let builder = BackpressureController::builder(config(100, 10).build().unwrap())
                    .on_drop({
                        let lost = lost.clone();
                        move |item, reason| {
                            lost.push((item, reason));
                            assert!(!hook_panics, "a careless hook");
                        }
                    })
                    .flush(target.service())
                    .concurrency(2);
                let builder = if copies { builder.retry([INTERVAL]) } else { builder };
                let controller = builder.spawn().unwrap();
                (0..23).for_each(|item| assert!(controller.try_push(item).is_ok()));
                settle().await;
                controller
            });
            drop(runtime);
            let lost = lost.take();
            assert!(lost.iter().all(|&(_, reason)| reason == DropReason::Closed));
            let lost: Vec<u32> = lost.into_iter().map(|(item, _)| item).collect();
            let counts = controller.snapshot().counts;
            assert_eq!((counts.balances(), counts.queued, counts.in_flight), (true, 0, 0));
            if copies {
                assert_eq!(lost, [1, 2].into_iter().chain(10..23).collect::<Vec<_>>());
                assert_eq!((counts.delivered, counts.lost(DropReason::Closed)), (8, 15));
            } else {
                assert_eq!(lost, [20, 21, 22]);
                assert_eq!((counts.delivered, counts.failed(), counts.lost(DropReason::Closed)), (8, 2, 13));
            }
            assert!(controller.try_push(0).is_err_and(|error| error.is_closed()));
            assert_eq!(controller.gauge().state(), State::Draining);
        }
    }
}

#[test]
fn w4_those_who_wait_are_woken_when_the_runtime_goes() {
    let (here, there) = (runtime(), runtime());
    let controller = there.block_on(async {
        let config = config(10, 10).strategy(Strategy::block_forever()).build().unwrap();
        let target = Target::always(Act::Never);
        let controller = BackpressureController::builder(config).flush(target.service()).spawn().unwrap();
        (0..10).for_each(|item| assert!(controller.try_push(item).is_ok()));
        settle().await;
        (10..20).for_each(|item| assert!(controller.try_push(item).is_ok()));
        controller
    });
    here.block_on(async {
        let (pusher, flusher, drainer) = (controller.clone(), controller.clone(), controller.clone());
        let pushing = tokio::spawn(async move { pusher.push(20).await });
        let flushing = tokio::spawn(async move { flusher.flush().await });
        let draining = tokio::spawn(async move { drainer.drain(INTERVAL).await });
        settle().await;
        drop_elsewhere(there);
        assert_eq!(pushing.await.unwrap().unwrap_err().into_inner(), 20);
        let error = flushing.await.unwrap().unwrap_err();
        assert_eq!(error.items, 20);
        let report = draining.await.unwrap();
        assert_eq!((report.delivered, report.unanswered, report.lost), (0, 0, 20), "t7: the report is right");
        assert!(!report.is_complete());
    });
    let counts = controller.snapshot().counts;
    assert_eq!((counts.lost(DropReason::Closed), counts.balances()), (20, true), "as the ledger says");
}

#[test]
fn t7_c2_a_drain_and_a_flush_after_the_end_of_the_runtime_tell_what_was_lost() {
    let (there, lost) = (runtime(), Log::new());
    let controller = there.block_on(async {
        BackpressureController::builder(config(100, 50).build().unwrap())
            .on_drop({
                let lost = lost.clone();
                move |item, reason| lost.push((item, reason))
            })
            .flush(Target::always(Act::Deliver).service())
            .spawn()
            .unwrap()
    });
    (0..20).for_each(|item| assert!(controller.try_push(item).unwrap().is_accepted()));
    drop(there);
    assert_eq!(lost.take(), Vec::from_iter((0..20).map(|item| (item, DropReason::Closed))));
    runtime().block_on(async {
        let error = controller.flush().await.unwrap_err();
        assert_eq!(error.to_string(), "the controller ended with 20 accepted items undelivered");
        for _ in 0..2 {
            let report = controller.drain(INTERVAL).await;
            assert_eq!((report.lost, report.delivered, report.is_complete()), (20, 0, false));
        }
    });
    let counts = controller.snapshot().counts;
    assert_eq!((counts.lost(DropReason::Closed), counts.balances()), (20, true));
}

/// A runtime may not be dropped inside another one.
fn drop_elsewhere(runtime: tokio::runtime::Runtime) {
    std::thread::spawn(|| drop(runtime)).join().unwrap();
}
