//! `send` and `recv`, one by one, under Block with room for 1024: ours beside the peers', in one run.
//!
//! Every consumer adds up what it receives, and the sum is checked. In the name of the case is how many producers there
//! are for the one consumer.

mod support;

use backpressure::BackpressureConfig;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::{SinkExt, StreamExt};
use support::{Flavor, Floor, Item, each_flavor, floor, group, run, sum_below};
use tokio::task::JoinSet;

const CAPACITY: usize = 1024;
const ITEMS: u64 = 50_000;

/// Spawns so many producers that together send [`ITEMS`] items through clones of the sender, and adds up what arrives.
macro_rules! exchange {
    ($producers:expr, $channel:expr, |$tx:ident, $item:ident| $send:expr, |$rx:ident| $recv:expr) => {{
        #[allow(unused_mut)]
        let (tx, mut $rx) = $channel;
        let mut producers = JoinSet::new();
        for producer in 0..$producers {
            #[allow(unused_mut)]
            let mut $tx = tx.clone();
            producers.spawn(async move {
                for n in (producer..ITEMS).step_by($producers as usize) {
                    let $item = T::of(n);
                    $send.expect("open");
                }
            });
        }
        drop(tx);
        let mut sum = 0;
        while let Some(item) = $recv {
            sum += T::number(&item);
        }
        while let Some(done) = producers.join_next().await {
            done.expect("a producer");
        }
        assert_eq!(sum, sum_below(ITEMS));
    }};
}

async fn ours<T: Item>(producers: u64) {
    let config = BackpressureConfig::builder().capacity(CAPACITY).build().expect("a valid config");
    exchange!(producers, backpressure::channel(config), |tx, item| tx.send(item).await, |rx| rx.recv().await);
}

async fn tokio<T: Item>(producers: u64) {
    let channel = tokio::sync::mpsc::channel(CAPACITY);
    exchange!(producers, channel, |tx, item| tx.send(item).await, |rx| rx.recv().await);
}

async fn futures<T: Item>(producers: u64) {
    let channel = futures_channel::mpsc::channel(CAPACITY);
    exchange!(producers, channel, |tx, item| tx.send(item).await, |rx| rx.next().await);
}

async fn flume<T: Item>(producers: u64) {
    exchange!(producers, flume::bounded(CAPACITY), |tx, item| tx.send_async(item).await, |rx| rx
        .recv_async()
        .await
        .ok());
}

async fn async_channel<T: Item>(producers: u64) {
    let channel = async_channel::bounded(CAPACITY);
    exchange!(producers, channel, |tx, item| tx.send(item).await, |rx| rx.recv().await.ok());
}

async fn crossfire<T: Item>(producers: u64) {
    let channel = crossfire::mpsc::bounded_async::<T>(CAPACITY);
    exchange!(producers, channel, |tx, item| tx.send(item).await, |rx| rx.recv().await.ok());
}

async fn kanal<T: Item>(producers: u64) {
    let channel = kanal::bounded_async(CAPACITY);
    exchange!(producers, channel, |tx, item| tx.send(item).await, |rx| rx.recv().await.ok());
}

fn one_by_one<T: Item>(c: &mut Criterion, flavor: Flavor, producers: u64) {
    let case = format!("{flavor}, {producers} to 1, {}", T::SIZE);
    let mut group = group(c, "send and recv", &case, ITEMS);
    let runtime = flavor.runtime();
    macro_rules! row {
        ($name:literal, $run:ident) => {
            group.bench_function($name, |b| {
                b.iter(|| run(&runtime, $run::<T>(producers)));
            });
        };
    }
    row!("backpressure channel", ours);
    row!("tokio mpsc", tokio);
    row!("futures mpsc", futures);
    row!("flume", flume);
    row!("async-channel", async_channel);
    row!("crossfire mpsc", crossfire);
    row!("kanal (loses items on cancel)", kanal);
    floor(&mut group, &[Floor::LockedQueue], ITEMS);
}

fn channels(c: &mut Criterion) {
    crossfire::detect_backoff_cfg();
    each_flavor(|flavor| {
        one_by_one::<u64>(c, flavor, 1);
        one_by_one::<u64>(c, flavor, 4);
        one_by_one::<[u64; 16]>(c, flavor, 1);
    });
}

criterion_group!(benches, channels);
criterion_main!(benches);
