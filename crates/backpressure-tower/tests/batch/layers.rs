//! Over tower's own layers, in a runtime.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backpressure_tower::{Batch, BatchError, BatchLayer};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tower::limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer};
use tower::retry::{Policy, RetryLayer};
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);

fn layer() -> BatchLayer<u32, u32> {
    BatchLayer::builder().max_items(4).capacity(8).build().unwrap()
}

/// Takes 10 ms for a batch.
fn slow() -> impl Service<Vec<u32>, Response = Vec<u32>, Error = BoxError, Future: Send> + Clone + Send + 'static {
    service_fn(|batch: Vec<u32>| async move {
        sleep(10 * MS).await; // tidy: paused clock
        Ok::<_, BoxError>(batch)
    })
}

/// Calls as many at once, and waits for all of them.
async fn call_all<E: Send + Sync + std::fmt::Debug + 'static>(
    batch: &Batch<u32, u32, E>,
    requests: std::ops::Range<u32>,
) -> Vec<(u32, Result<u32, BatchError<E>>)> {
    let mut calls = JoinSet::new();
    for request in requests {
        let batch = batch.clone();
        calls.spawn(async move { (request, batch.oneshot(request).await) });
    }
    let mut answers = timeout(Duration::from_secs(3600), calls.join_all()).await.expect("no deadlock");
    answers.sort_by_key(|(request, _)| *request);
    answers
}

#[tokio::test(start_paused = true)]
async fn over_a_concurrency_limit_of_one_there_is_no_deadlock() {
    let inner = ServiceBuilder::new().layer(ConcurrencyLimitLayer::new(1)).service(slow());
    let batch = ServiceBuilder::new().layer(layer()).service(inner);
    let start = Instant::now();
    let answers = call_all(&batch, 0..40).await;
    assert!(answers.iter().all(|(request, answer)| answer.as_ref().unwrap() == request));
    assert_eq!(start.elapsed(), 10 * 10 * MS);
}

#[tokio::test(start_paused = true)]
async fn d1_while_nobody_calls_the_inner_permit_is_everyones() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let batch = ServiceBuilder::new().layer(layer()).layer(limit.clone()).service(slow());
    let mut other = ServiceBuilder::new().layer(limit).service(slow());
    for _ in 0..3 {
        call_all(&batch, 0..8).await;
        let answer = timeout(Duration::from_secs(60), async { other.ready().await.unwrap().call(vec![7]).await }).await;
        assert_eq!(answer.expect("the permit is free").unwrap(), [7]);
    }
}

#[tokio::test(start_paused = true)]
async fn s2_a_permit_that_no_caller_is_left_to_use_is_given_back() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let batch = ServiceBuilder::new().layer(layer()).layer(limit.clone()).service(slow());
    let mut others = [0; 2].map(|_| ServiceBuilder::new().layer(limit.clone()).service(slow()));
    let held = others[0].ready().await.unwrap().call(vec![1]);
    let hasty = timeout(5 * MS, batch.clone().oneshot(2)).await;
    assert!(hasty.is_err(), "it stood in line for the permit");
    assert_eq!(held.await.unwrap(), [1]);
    let answer = timeout(Duration::from_secs(60), async { others[1].ready().await.unwrap().call(vec![3]).await }).await;
    assert_eq!(answer.expect("the permit is free").unwrap(), [3]);
    assert_eq!(call_all(&batch, 0..8).await.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn two_batchers_share_a_concurrency_limit_of_one() {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let build = || ServiceBuilder::new().layer(layer()).layer(limit.clone()).service(slow());
    let (one, two) = (build(), build());
    let (one, two) = tokio::join!(call_all(&one, 0..40), call_all(&two, 0..40));
    assert!(one.iter().chain(&two).all(|(request, answer)| answer.as_ref().unwrap() == request));
}

#[tokio::test(start_paused = true)]
async fn t3_over_a_timeout_a_batch_that_is_late_fails_alone() {
    let batches = Arc::new(AtomicUsize::new(0));
    let inner = service_fn(move |batch: Vec<u32>| {
        let late = batches.fetch_add(1, Ordering::SeqCst) == 1;
        async move {
            sleep(if late { 100 * MS } else { 10 * MS }).await; // tidy: paused clock
            Ok::<_, BoxError>(batch)
        }
    });
    let batch = ServiceBuilder::new().layer(layer()).timeout(50 * MS).service(inner);
    let answers = call_all(&batch, 0..12).await;
    let failed: Vec<_> = answers.iter().filter(|(_, answer)| answer.is_err()).collect();
    assert_eq!(failed.len(), 4);
    for (_, answer) in failed {
        assert!(matches!(answer, Err(BatchError::Batch(error)) if error.is::<Elapsed>()), "{answer:?}");
    }
}

#[derive(Clone)]
struct Thrice(usize);

impl<Res, E> Policy<Vec<u32>, Res, E> for Thrice {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Vec<u32>, result: &mut Result<Res, E>) -> Option<Ready<()>> {
        self.0 -= usize::from(result.is_err());
        (result.is_err() && self.0 > 0).then(|| ready(()))
    }

    fn clone_request(&mut self, batch: &Vec<u32>) -> Option<Vec<u32>> {
        Some(batch.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn over_retry_a_batch_is_sent_again_and_everyone_gets_their_answer() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&tries);
    let inner = service_fn(move |batch: Vec<u32>| {
        let works = counter.fetch_add(1, Ordering::SeqCst) % 3 == 2;
        ready(if works { Ok(batch) } else { Err("not yet") })
    });
    let batch = ServiceBuilder::new().layer(layer()).layer(RetryLayer::new(Thrice(3))).service(inner);
    let answers = call_all(&batch, 0..8).await;
    assert!(answers.iter().all(|(request, answer)| answer.as_ref().unwrap() == request));
    assert_eq!(tries.load(Ordering::SeqCst), 6);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_around_it_takes_the_request_back() {
    let batch = ServiceBuilder::new().layer(layer()).service(slow());
    let gauge = batch.gauge();
    let mut hasty = ServiceBuilder::new().timeout(15 * MS).service(batch.clone());
    let first = tokio::spawn(batch.clone().oneshot(1));
    tokio::task::yield_now().await;
    let (one, two) = (hasty.ready().await.unwrap().call(2), batch.clone().oneshot(3));
    let (one, two) = tokio::join!(one, two);
    assert!(one.unwrap_err().is::<Elapsed>(), "it was in the second batch");
    assert_eq!(two.unwrap(), 3);
    assert_eq!(first.await.unwrap().unwrap(), 1);
    assert!(gauge.snapshot().counts.balances());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s8_callers_on_many_threads_get_their_own_answers_while_others_come_and_go() {
    let inner = service_fn(|batch: Vec<u32>| async move {
        tokio::task::yield_now().await;
        if batch.contains(&13) { Err("unlucky") } else { Ok(batch.into_iter().map(|n| n * 2).collect::<Vec<_>>()) }
    });
    let layer = BatchLayer::builder().max_items(8).capacity(16).concurrency(3).build().unwrap();
    let batch: Batch<u32, u32, &str> = tower::Layer::layer(&layer, inner);
    let gauge = batch.gauge();
    let mut callers = JoinSet::new();
    for caller in 0..32u32 {
        let mut batch = batch.clone();
        callers.spawn(async move {
            for round in 0..200 {
                let request = caller * 1000 + round;
                let mut call = batch.ready().await.unwrap().call(request);
                if round % 5 == 0 {
                    tokio::select! {
                        biased;
                        _ = &mut call => {}
                        () = tokio::task::yield_now() => {}
                    }
                } else {
                    match call.await {
                        Ok(answer) => assert_eq!(answer, request * 2),
                        Err(error) => assert_eq!(error.inner(), Some(&"unlucky")),
                    }
                }
            }
        });
    }
    let done = timeout(Duration::from_secs(60), callers.join_all()).await;
    assert!(done.is_ok(), "nobody is left asleep");
    let report = batch.drain(Duration::from_secs(60)).await;
    assert!(report.is_complete());
    let counts = gauge.snapshot().counts;
    assert!(counts.balances() && counts.queued + counts.in_flight == 0, "{counts:?}");
    assert_eq!(counts.received, 32 * 200);
}
