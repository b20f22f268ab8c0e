//! Block, capacity 1024, `u64`: ours beside tokio's, flume's and async-channel's, in one run.
//!
//! Every consumer adds up what it receives, and the sum is checked.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use support::{Flavor, each_flavor};
use tokio::task::JoinSet;

const CAPACITY: usize = 1024;
const ITEMS: u64 = 100_000;

fn ours() -> (backpressure::Sender<u64>, backpressure::Receiver<u64>) {
    let config = backpressure::BackpressureConfig::builder().capacity(CAPACITY).build();
    backpressure::channel(config.expect("a valid config"))
}

/// Spawns `producers` tasks that together send `ITEMS` items through clones of `tx`.
macro_rules! produce {
    ($tx:expr, $producers:expr, |$sender:ident, $item:ident| $send:expr) => {{
        let mut tasks = JoinSet::new();
        for producer in 0..$producers {
            let $sender = $tx.clone();
            tasks.spawn(async move {
                let mut $item = producer;
                while $item < ITEMS {
                    $send;
                    $item += $producers;
                }
            });
        }
        drop($tx);
        tasks
    }};
}

async fn finish(mut producers: JoinSet<()>, sum: u64) {
    while let Some(done) = producers.join_next().await {
        done.expect("a producer");
    }
    assert_eq!(sum, ITEMS * (ITEMS - 1) / 2);
}

async fn ours_one_by_one(producers: u64) {
    let (tx, mut rx) = ours();
    let tasks = produce!(tx, producers, |tx, n| tx.send(n).await.expect("open"));
    let mut sum = 0;
    while let Some(n) = rx.recv().await {
        sum += n;
    }
    finish(tasks, sum).await;
}

async fn ours_recv_many(producers: u64) {
    let (tx, mut rx) = ours();
    let tasks = produce!(tx, producers, |tx, n| tx.send(n).await.expect("open"));
    let (mut sum, mut chunk) = (0, Vec::with_capacity(CAPACITY));
    while rx.recv_many(&mut chunk, CAPACITY).await > 0 {
        sum += chunk.drain(..).sum::<u64>();
    }
    finish(tasks, sum).await;
}

async fn tokio_one_by_one(producers: u64) {
    let (tx, mut rx) = tokio::sync::mpsc::channel(CAPACITY);
    let tasks = produce!(tx, producers, |tx, n| tx.send(n).await.expect("open"));
    let mut sum = 0;
    while let Some(n) = rx.recv().await {
        sum += n;
    }
    finish(tasks, sum).await;
}

async fn tokio_recv_many(producers: u64) {
    let (tx, mut rx) = tokio::sync::mpsc::channel(CAPACITY);
    let tasks = produce!(tx, producers, |tx, n| tx.send(n).await.expect("open"));
    let (mut sum, mut chunk) = (0, Vec::with_capacity(CAPACITY));
    while rx.recv_many(&mut chunk, CAPACITY).await > 0 {
        sum += chunk.drain(..).sum::<u64>();
    }
    finish(tasks, sum).await;
}

async fn flume_one_by_one(producers: u64) {
    let (tx, rx) = flume::bounded(CAPACITY);
    let tasks = produce!(tx, producers, |tx, n| tx.send_async(n).await.expect("open"));
    let mut sum = 0;
    while let Ok(n) = rx.recv_async().await {
        sum += n;
    }
    finish(tasks, sum).await;
}

async fn async_channel_one_by_one(producers: u64) {
    let (tx, rx) = async_channel::bounded(CAPACITY);
    let tasks = produce!(tx, producers, |tx, n| tx.send(n).await.expect("open"));
    let mut sum = 0;
    while let Ok(n) = rx.recv().await {
        sum += n;
    }
    finish(tasks, sum).await;
}

fn channels(c: &mut Criterion) {
    each_flavor(|flavor: Flavor| {
        for producers in [1, 4] {
            let mut group = c.benchmark_group(format!("channel/{flavor}/{producers} to 1"));
            group.throughput(Throughput::Elements(ITEMS)).sample_size(10);
            let runtime = flavor.runtime();
            macro_rules! row {
                ($name:literal, $run:ident) => {
                    group.bench_function($name, |b| {
                        b.iter(|| runtime.block_on(async { tokio::spawn($run(producers)).await.expect("a consumer") }));
                    });
                };
            }
            row!("backpressure send, recv_many", ours_recv_many);
            row!("tokio send, recv_many", tokio_recv_many);
            row!("backpressure send, recv", ours_one_by_one);
            row!("tokio send, recv", tokio_one_by_one);
            row!("flume send, recv", flume_one_by_one);
            row!("async-channel send, recv", async_channel_one_by_one);
            group.finish();
        }
    });
}

criterion_group!(benches, channels);
criterion_main!(benches);
