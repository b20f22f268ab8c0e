//! Many items at once, on either side of a channel under Block with room for 1024.
//!
//! Every consumer adds up what it receives, and the sum is checked.

mod support;

use backpressure::BackpressureConfig;
use criterion::{Criterion, criterion_group, criterion_main};
use support::{Flavor, Floor, each_flavor, floor, group, run, sum_below};
use tokio::task::JoinSet;

const CAPACITY: usize = 1024;
const ITEMS: u64 = 51_200;

/// What a producer offers, and a consumer asks for, at once.
const RUN: u64 = 64;

/// Spawns so many producers that together send [`ITEMS`] items in runs of [`RUN`].
macro_rules! produce {
    ($producers:expr, $sender:expr, |$tx:ident, $run:ident| $send:expr) => {{
        let mut producers = JoinSet::new();
        for producer in 0..$producers {
            let $tx = $sender.clone();
            producers.spawn(async move {
                for run in (producer..ITEMS / RUN).step_by($producers as usize) {
                    let $run = run * RUN..(run + 1) * RUN;
                    $send;
                }
            });
        }
        drop($sender);
        producers
    }};
}

/// Adds up what arrives in runs.
macro_rules! consume {
    ($producers:expr, |$chunk:ident| $taken:expr) => {{
        let mut producers = $producers;
        let (mut sum, mut $chunk) = (0, Vec::with_capacity(RUN as usize));
        while $taken > 0 {
            sum += $chunk.drain(..).sum::<u64>();
        }
        while let Some(done) = producers.join_next().await {
            done.expect("a producer");
        }
        assert_eq!(sum, sum_below(ITEMS));
    }};
}

fn channel() -> (backpressure::Sender<u64>, backpressure::Receiver<u64>) {
    backpressure::channel(BackpressureConfig::builder().capacity(CAPACITY).build().expect("a valid config"))
}

async fn ours_both(producers: u64) {
    let (tx, mut rx) = channel();
    let producers = produce!(producers, tx, |tx, run| {
        tx.send_many(&mut run.collect()).await.expect("open");
    });
    consume!(producers, |chunk| rx.recv_many(&mut chunk, RUN as usize).await);
}

async fn ours_recv_many(producers: u64) {
    let (tx, mut rx) = channel();
    let producers = produce!(producers, tx, |tx, run| for n in run {
        tx.send(n).await.expect("open");
    });
    consume!(producers, |chunk| rx.recv_many(&mut chunk, RUN as usize).await);
}

async fn tokio_both(producers: u64) {
    let (tx, mut rx) = tokio::sync::mpsc::channel(CAPACITY);
    let producers = produce!(producers, tx, |tx, run| {
        tx.reserve_many(RUN as usize).await.expect("open").zip(run).for_each(|(permit, n)| permit.send(n));
    });
    consume!(producers, |chunk| rx.recv_many(&mut chunk, RUN as usize).await);
}

async fn tokio_recv_many(producers: u64) {
    let (tx, mut rx) = tokio::sync::mpsc::channel(CAPACITY);
    let producers = produce!(producers, tx, |tx, run| for n in run {
        tx.send(n).await.expect("open");
    });
    consume!(producers, |chunk| rx.recv_many(&mut chunk, RUN as usize).await);
}

async fn flume_drain(producers: u64) {
    let (tx, rx) = flume::bounded(CAPACITY);
    let producers = produce!(producers, tx, |tx, run| for n in run {
        tx.send_async(n).await.expect("open");
    });
    consume!(producers, |chunk| {
        chunk.extend(rx.recv_async().await);
        chunk.extend(rx.drain());
        chunk.len()
    });
}

fn batched(c: &mut Criterion, flavor: Flavor, producers: u64) {
    let mut group = group(c, "runs of 64", &format!("{flavor}, {producers} to 1"), ITEMS);
    let runtime = flavor.runtime();
    macro_rules! row {
        ($name:literal, $run:ident) => {
            group.bench_function($name, |b| {
                b.iter(|| run(&runtime, $run(producers)));
            });
        };
    }
    row!("backpressure send_many, recv_many", ours_both);
    row!("backpressure send, recv_many", ours_recv_many);
    row!("tokio mpsc reserve_many, recv_many", tokio_both);
    row!("tokio mpsc send, recv_many", tokio_recv_many);
    row!("flume send, drain", flume_drain);
    floor(&mut group, &[Floor::Queue], ITEMS);
}

fn channels(c: &mut Criterion) {
    each_flavor(|flavor| {
        batched(c, flavor, 1);
        batched(c, flavor, 4);
    });
}

criterion_group!(benches, channels);
criterion_main!(benches);
