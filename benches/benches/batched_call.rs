//! One task or many, each calling one at a time; batches of at most 64; an inner service that answers at once. Ours beside the
//! peers', in one run.
//!
//! Every caller checks every answer. Peers that wait for their linger at every call of a lone caller are not asked for that.

mod support;

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_tower::{Batch, BatchLayer};
use batch_aint_one::{Batcher, BatchingPolicy, Limits, Processor};
use criterion::{Criterion, criterion_group, criterion_main};
use support::{Flavor, each_flavor, group};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt};
use tower_batch::BatchControl;

const BATCH: usize = 64;
const CALLS: u64 = 32_768;
const LINGER: Duration = Duration::from_millis(1);

/// Spawns `callers` tasks that together make `CALLS` calls through clones of `handle`.
macro_rules! call {
    ($handle:expr, $callers:expr, |$mine:ident, $n:ident| $call:expr) => {{
        let mut tasks = JoinSet::new();
        for caller in 0..$callers {
            #[allow(unused_mut)]
            let mut $mine = $handle.clone();
            tasks.spawn(async move {
                let mut $n = caller;
                while $n < CALLS {
                    assert_eq!($call, $n + 1);
                    $n += $callers;
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("a caller");
        }
    }};
}

async fn ours(callers: u64) {
    let inner = tower::service_fn(|mut batch: Vec<u64>| {
        batch.iter_mut().for_each(|n| *n += 1);
        ready(Ok::<_, Infallible>(batch))
    });
    let layer = BatchLayer::builder().max_items(BATCH).build().expect("a sound layer");
    let batch: Batch<u64, u64, Infallible> = layer.layer(inner);
    call!(batch, callers, |batch, n| batch.ready().await.expect("open").call(n).await.expect("an answer"));
}

/// What one writes by hand: a channel, a task that takes what there is, a oneshot for each answer.
async fn by_hand(callers: u64) {
    let (tx, mut rx) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(10_000);
    let worker = tokio::spawn(async move {
        let mut batch = Vec::with_capacity(BATCH);
        while rx.recv_many(&mut batch, BATCH).await > 0 {
            let (mut numbers, replies): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
            numbers.iter_mut().for_each(|n| *n += 1);
            for (n, reply) in numbers.into_iter().zip(replies) {
                reply.send(n).expect("a caller");
            }
        }
    });
    call!(tx, callers, |tx, n| {
        let (reply, answer) = oneshot::channel();
        tx.send((n, reply)).await.expect("open");
        answer.await.expect("an answer")
    });
    drop(tx);
    worker.await.expect("a worker");
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

async fn tower_batch(callers: u64) {
    let batch = tower_batch::Batch::new(OneByOne, BATCH, LINGER);
    call!(batch, callers, |batch, n| batch.ready().await.expect("open").call(n).await.expect("an answer"));
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

async fn batch_aint_one(callers: u64) {
    let batcher = Batcher::builder()
        .name("bench")
        .processor(AddOne)
        .limits(Limits::builder().max_batch_size(BATCH).max_key_concurrency(1).max_key_queued_items(1_024).build())
        .batching_policy(BatchingPolicy::Immediate)
        .build();
    call!(batcher, callers, |batcher, n| batcher.add((), n).await.expect("an answer"));
}

impl ultra_batch::Executor for AddOne {
    type Value = u64;
    type Result = u64;
    type Error = Infallible;

    async fn execute(&self, mut values: Vec<u64>) -> Result<Vec<u64>, Infallible> {
        values.iter_mut().for_each(|n| *n += 1);
        Ok(values)
    }
}

async fn ultra_batch(callers: u64) {
    let executor =
        ultra_batch::BatchExecutor::build(AddOne).eager_batch_size(Some(BATCH)).delay_duration(LINGER).finish();
    call!(executor, callers, |executor, n| executor.execute(n).await.expect("an answer").expect("a value"));
}

fn batched_call(c: &mut Criterion) {
    each_flavor(|flavor: Flavor| {
        for callers in [1, 64, 1024] {
            let mut group = group(
                c,
                "batched call",
                &format!("{flavor}, {callers} caller{}", if callers == 1 { "" } else { "s" }),
                CALLS,
            );
            let runtime = flavor.runtime();
            macro_rules! row {
                ($name:literal, $run:ident) => {
                    group.bench_function($name, |b| {
                        b.iter(|| runtime.block_on(async { tokio::spawn($run(callers)).await.expect("a run") }));
                    });
                };
            }
            row!("backpressure BatchLayer", ours);
            row!("mpsc and oneshot by hand", by_hand);
            row!("batch-aint-one", batch_aint_one);
            if callers > 1 {
                row!("tower-batch", tower_batch);
                row!("ultra-batch", ultra_batch);
            }
            group.finish();
        }
    });
}

criterion_group!(benches, batched_call);
criterion_main!(benches);
