use std::task::{Context, Waker};
use std::time::Duration;

use backpressure_core::FlushReason;
use backpressure_tower::BatchError;
use tokio::time::{Instant, advance};
use tower::Service;

use crate::support::{Act, Target, outputs, rig};

const MS: Duration = Duration::from_millis(1);

/// Lets time pass in steps of a millisecond, with the worker at work.
async fn pass(rig: &mut crate::support::Rig, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        advance(MS.min(end - Instant::now())).await;
        rig.work();
    }
}

#[tokio::test(start_paused = true)]
async fn b2_requests_every_9_ms_under_a_linger_of_10_ms_leave_at_10_ms() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.linger(10 * MS));
    rig.work();
    let mut calls = Vec::new();
    for round in 0..2 {
        calls.push(rig.call(2 * round));
        rig.work();
        pass(&mut rig, 9 * MS).await;
        calls.push(rig.call(2 * round + 1));
        rig.work();
        assert_eq!(target.batches().len(), round as usize, "after 9 ms");
        pass(&mut rig, MS).await;
        assert_eq!(target.batches().len(), round as usize + 1, "after 10 ms");
        pass(&mut rig, 5 * MS).await;
    }
    assert_eq!(target.batches(), [[0, 1], [2, 3]]);
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn b2_the_linger_counts_from_the_call_even_if_the_worker_is_busy() {
    let target = Target::default().on(0, Act::Hold);
    let mut rig = rig(&target, |builder| builder.linger(10 * MS).max_items(2));
    let _first = rig.calls([1, 2]);
    rig.work();
    let _late = rig.call(3);
    pass(&mut rig, 6 * MS).await;
    target.let_go(0, Act::Answer);
    pass(&mut rig, 3 * MS).await;
    assert_eq!(target.batches(), [[1, 2]]);
    pass(&mut rig, MS).await;
    assert_eq!(target.batches(), [vec![1, 2], vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn b5_a_full_batch_leaves_no_deadline_behind() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.linger(10 * MS).max_items(2));
    let _one = rig.call(1);
    rig.work();
    pass(&mut rig, 9 * MS).await;
    let _two = rig.call(2);
    rig.work();
    assert_eq!(target.batches(), [[1, 2]]);
    let wakes = rig.worker.as_ref().unwrap().wakes.get();
    advance(20 * MS).await;
    assert_eq!(rig.worker.as_ref().unwrap().wakes.get(), wakes, "an idle worker is left alone");
    let _three = rig.call(3);
    rig.work();
    pass(&mut rig, 9 * MS).await;
    assert_eq!(target.batches().len(), 1);
    pass(&mut rig, MS).await;
    assert_eq!(target.batches().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn quiet_ends_the_linger() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.linger(100 * MS).quiet(5 * MS));
    let mut calls = Vec::new();
    for request in 0..3 {
        calls.push(rig.call(request));
        rig.work();
        pass(&mut rig, 4 * MS).await;
    }
    assert!(target.batches().is_empty());
    pass(&mut rig, MS).await;
    assert_eq!(target.batches(), [[0, 1, 2]]);
    let flush = rig.batch.as_ref().unwrap().gauge().snapshot().flush;
    assert_eq!(flush.by_reason[FlushReason::Quiet as usize], 1);
}

#[tokio::test(start_paused = true)]
async fn an_eager_batch_lingers_only_while_another_is_in_flight() {
    let target = Target::default().on(0, Act::Hold);
    let mut rig = rig(&target, |builder| builder.linger(10 * MS).eager_when_idle(true).concurrency(2));
    let _first = rig.call(1);
    rig.work();
    assert_eq!(target.batches(), [[1]]);
    let _second = rig.call(2);
    rig.work();
    pass(&mut rig, 9 * MS).await;
    assert_eq!(target.batches().len(), 1, "the service is not idle");
    pass(&mut rig, MS).await;
    assert_eq!(target.batches().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_caller_at_a_time_takes_no_more_time_than_the_service() {
    let inner = tower::service_fn(|batch: Vec<u32>| async move {
        tokio::time::sleep(3 * MS).await; // tidy: paused clock
        Ok::<_, &str>(batch)
    });
    let layer = backpressure_tower::BatchLayer::<u32, u32>::builder().build().unwrap();
    let batch = tower::Layer::layer(&layer, inner);
    for request in 0..10 {
        let start = Instant::now();
        assert_eq!(tower::ServiceExt::oneshot(batch.clone(), request).await.unwrap(), request);
        assert_eq!(start.elapsed(), 3 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_answered_in_time_is_refused_and_not_sent() {
    let target = Target::default().on(0, Act::Hold);
    let start = Instant::now();
    let by = move |&request: &u32| (request > 0).then(|| (start + request * MS).into_std());
    let mut rig = rig(&target, |builder| builder.deadline(2 * MS, by));
    let _busy = rig.call(0);
    rig.work();
    let mut calls = rig.calls([30, 1, 7, 5, 0]);
    rig.work();
    assert!(matches!(calls[1].output(), Err(BatchError::DeadlineExceeded)), "1 ms is less than an answer takes");
    pass(&mut rig, 3 * MS).await;
    assert!(calls[3].is_woken() && !calls[2].is_woken(), "refused while it waits, 2 ms before its deadline");
    pass(&mut rig, 2 * MS).await;
    assert!(matches!(calls[2].output(), Err(BatchError::DeadlineExceeded)));
    target.let_go(0, Act::Answer);
    rig.work();
    assert_eq!(target.batches(), [vec![0], vec![30, 0]]);
    let counts = rig.batch.as_ref().unwrap().gauge().snapshot().counts;
    assert!(counts.balances() && counts.lost(backpressure_core::DropReason::Expired) == 3, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn one_key_more_than_may_linger_sends_the_oldest() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.linger(Duration::MAX).key(|&request| request % 10).max_keys(2));
    let _calls = rig.calls([1, 2, 11]);
    rig.work();
    assert!(target.batches().is_empty());
    let _third = rig.call(3);
    rig.work();
    assert_eq!(target.batches(), [[1, 11]]);
}

#[tokio::test(start_paused = true)]
async fn d6_the_longest_linger_waits_for_a_full_batch() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.linger(Duration::MAX).quiet(Duration::MAX).max_items(2));
    let _one = rig.call(1);
    rig.work();
    advance(Duration::from_secs(1 << 30)).await;
    rig.work();
    assert!(target.batches().is_empty());
    let _two = rig.call(2);
    rig.work();
    assert_eq!(target.batches(), [[1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn the_linger_follows_the_latency() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.adaptive_linger(10 * MS, 1000 * MS, 20 * MS));
    let _call = rig.call(1);
    rig.work();
    pass(&mut rig, 10 * MS).await;
    pass(&mut rig, 31 * MS).await;
    target.let_go(0, Act::Answer);
    rig.work();
    let _next = rig.call(2);
    rig.work();
    pass(&mut rig, 14 * MS).await;
    assert_eq!(target.batches().len(), 1);
    pass(&mut rig, MS).await;
    assert_eq!(target.batches().len(), 2, "31 ms are more than 1.5 × 20, so it waits half as long again");
}

#[tokio::test(start_paused = true)]
async fn m2_waits_for_a_place_are_in_the_wait_time_however_they_end() {
    for ending in ["ready", "drop", "drain"] {
        let target = Target::default();
        let mut rig = rig(&target, |builder| builder.capacity(1).max_items(1));
        let gauge = rig.handle().gauge();
        for request in 0..50 {
            let mut call = rig.call(request);
            let mut waits = rig.handle();
            let mut is_ready = || waits.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready();
            assert!(!is_ready());
            advance(500 * MS).await;
            match ending {
                "drop" => drop(waits),
                "ready" => {
                    rig.work();
                    assert!(is_ready() && call.output().is_ok());
                }
                _ => {
                    drop(rig.handle().drain(MS));
                    assert!(is_ready(), "with an error");
                    break;
                }
            }
        }
        let snapshot = gauge.snapshot();
        assert_eq!(snapshot.producers_waiting, 0);
        let p99 = snapshot.producer_wait_p99;
        assert!(p99 >= Some(400 * MS) && p99 <= Some(600 * MS), "{ending}: {p99:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn m2_calls_that_are_alone_are_all_counted_and_those_that_take_long_are_timed() {
    use std::convert::Infallible;
    use tower::{Layer, ServiceExt, service_fn};

    let inner = service_fn(|batch: Vec<u64>| async move {
        if batch[0] == 100 {
            tokio::time::sleep(7 * MS).await; // tidy: paused clock
        }
        Ok::<_, Infallible>(batch)
    });
    let layer = backpressure_tower::BatchLayer::builder().build().unwrap();
    let mut batch: backpressure_tower::Batch<u64, u64, Infallible> = layer.layer(inner);
    for n in 0..100 {
        assert_eq!(batch.ready().await.unwrap().call(n).await.unwrap(), n);
    }
    let flush = batch.gauge().snapshot().flush;
    assert_eq!((flush.batches(), flush.items, flush.last), (100, 100, Some(Duration::ZERO)));
    assert_eq!(batch.ready().await.unwrap().call(100).await.unwrap(), 100);
    let flush = batch.gauge().snapshot().flush;
    assert_eq!((flush.batches(), flush.last, flush.p99.is_some()), (101, Some(7 * MS), true));
}
