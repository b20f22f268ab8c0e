//! How long a caller of a batched service waits when there is hardly anybody to share a batch with: 1000 requests per second,
//! one after the other; batches of at most 64, 1 ms at most; an inner service that answers at once.
//!
//! The numbers are the median and the 99th percentile of a hundred requests. Every answer is checked.

mod support;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use backpressure_tower::{Batch, BatchLayer};
use batch_aint_one::{Batcher, BatchingPolicy, Limits, Processor};
use criterion::{Criterion, criterion_group, criterion_main};
use support::{Flavor, group};
use tokio::sync::{mpsc, oneshot};
use tokio::time::interval;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_batch::BatchControl;

const BATCH: usize = 64;
const LINGER: Duration = Duration::from_millis(1);
const PACE: Duration = Duration::from_millis(1);
const REQUESTS: usize = 100;

/// Measures a hundred requests, and sorts what they took.
async fn latencies(mut call: impl AsyncFnMut(u64) -> u64) -> Vec<Duration> {
    let mut beat = interval(PACE);
    let mut latencies = Vec::with_capacity(REQUESTS);
    for n in 0..REQUESTS as u64 {
        beat.tick().await;
        let start = Instant::now();
        assert_eq!(call(n).await, n + 1);
        latencies.push(start.elapsed());
    }
    latencies.sort();
    latencies
}

async fn ours() -> Vec<Duration> {
    let layer = BatchLayer::builder().max_items(BATCH).build().expect("a sound layer");
    let mut batch: Batch<u64, u64, Infallible> = layer.layer(service_fn(|mut batch: Vec<u64>| {
        batch.iter_mut().for_each(|n| *n += 1);
        ready(Ok::<_, Infallible>(batch))
    }));
    latencies(async |n| batch.ready().await.expect("open").call(n).await.expect("an answer")).await
}

/// The inner service alone.
async fn bare() -> Vec<Duration> {
    let mut service = service_fn(|mut batch: Vec<u64>| {
        batch.iter_mut().for_each(|n| *n += 1);
        ready(Ok::<_, Infallible>(batch))
    });
    latencies(async |n| service.ready().await.expect("ready").call(vec![n]).await.expect("an answer")[0]).await
}

/// What one writes by hand: a channel, a task that takes what there is, a oneshot for each answer.
async fn by_hand() -> Vec<Duration> {
    let (tx, mut rx) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(1024);
    tokio::spawn(async move {
        let mut batch = Vec::with_capacity(BATCH);
        while rx.recv_many(&mut batch, BATCH).await > 0 {
            batch.drain(..).for_each(|(n, reply)| reply.send(n + 1).expect("a caller"));
        }
    });
    latencies(async |n| {
        let (reply, answer) = oneshot::channel();
        tx.send((n, reply)).await.expect("open");
        answer.await.expect("an answer")
    })
    .await
}

#[derive(Debug, Clone)]
struct AddOne;

impl Processor for AddOne {
    type Key = ();
    type Input = u64;
    type Output = u64;
    type Error = String;
    type Resources = ();

    async fn acquire_resources(&self, (): ()) -> Result<(), String> {
        Ok(())
    }

    async fn process(&self, (): (), inputs: impl Iterator<Item = u64> + Send, (): ()) -> Result<Vec<u64>, String> {
        Ok(inputs.map(|n| n + 1).collect())
    }
}

async fn batch_aint_one() -> Vec<Duration> {
    let limits = Limits::builder().max_batch_size(BATCH).max_key_concurrency(1).build();
    let batcher =
        Batcher::builder().name("bench").processor(AddOne).limits(limits).batching_policy(BatchingPolicy::Immediate);
    let batcher = batcher.build();
    latencies(async |n| batcher.add((), n).await.expect("an answer")).await
}

#[derive(Debug)]
struct OneByOne;

impl Service<BatchControl<u64>> for OneByOne {
    type Response = u64;
    type Error = tower_batch::BoxError;
    type Future = Ready<Result<u64, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, control: BatchControl<u64>) -> Self::Future {
        ready(Ok(match control {
            BatchControl::Item(n) => n + 1,
            BatchControl::Flush => 0,
        }))
    }
}

async fn tower_batch() -> Vec<Duration> {
    let mut batch = tower_batch::Batch::new(OneByOne, BATCH, LINGER);
    latencies(async |n| batch.ready().await.expect("open").call(n).await.expect("an answer")).await
}

fn latency(c: &mut Criterion) {
    let runtime = Flavor::OneThread.runtime();
    for (case, place) in [("median", REQUESTS / 2), ("99th percentile", REQUESTS * 99 / 100)] {
        let mut group = group(c, "batched call", &format!("1000 requests per second, {case}"), 1);
        macro_rules! row {
            ($name:literal, $run:ident) => {
                group.bench_function($name, |b| {
                    b.iter_custom(|iters| (0..iters).map(|_| runtime.block_on($run())[place]).sum());
                });
            };
        }
        row!("backpressure BatchLayer", ours);
        row!("floor: no batcher", bare);
        row!("mpsc and oneshot by hand", by_hand);
        row!("batch-aint-one", batch_aint_one);
        row!("tower-batch", tower_batch);
    }
}

criterion_group!(benches, latency);
criterion_main!(benches);
