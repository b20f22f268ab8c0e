//! The controller end to end: push, batches of 100, a flush that adds up, drain.
//!
//! What others write for it by hand is a channel, an adapter that batches, and a loop that flushes. It neither retries nor
//! counts nor reports; it is a peer all the same. The sum is checked.

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureController};
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::StreamExt;
use support::{Floor, each_flavor, floor, group, run, sum_below};
use tokio_stream::wrappers::ReceiverStream;

const BATCH: usize = 100;
const CAPACITY: usize = 10_000;
const ITEMS: u64 = 50_000;

/// Where the batches go.
#[derive(Clone, Default)]
struct Total(Arc<AtomicU64>);

impl Total {
    fn add(&self, batch: Vec<u64>) -> std::future::Ready<Result<(), Infallible>> {
        self.0.fetch_add(batch.iter().sum(), Ordering::Relaxed);
        std::future::ready(Ok(()))
    }

    fn check(&self) {
        assert_eq!(self.0.load(Ordering::Relaxed), sum_below(ITEMS));
    }
}

async fn ours(producers: u64, concurrency: usize) {
    let config = BackpressureConfig::builder().capacity(CAPACITY).batch_items(BATCH).build();
    let total = Total::default();
    let sum = total.clone();
    let controller = BackpressureController::builder(config.expect("a valid config"))
        .flush_fn(move |batch| sum.add(batch))
        .concurrency(concurrency)
        .spawn()
        .expect("a valid controller");
    let push = |producer| {
        let controller = controller.clone();
        async move {
            for n in (producer..ITEMS).step_by(producers as usize) {
                controller.push(n).await.expect("open");
            }
        }
    };
    let tasks: Vec<_> = (0..producers).map(|producer| tokio::spawn(push(producer))).collect();
    for task in tasks {
        task.await.expect("a producer");
    }
    assert!(controller.drain(Duration::from_secs(60)).await.is_complete());
    total.check();
}

async fn by_hand(producers: u64, concurrency: usize) {
    let total = Total::default();
    let (tx, rx) = tokio::sync::mpsc::channel(CAPACITY);
    let sum = total.clone();
    let worker = tokio::spawn(async move {
        let batches =
            tokio_stream::StreamExt::chunks_timeout(ReceiverStream::new(rx), BATCH, Duration::from_millis(100));
        batches.for_each_concurrent(concurrency, async |batch| sum.add(batch).await.expect("no error")).await;
    });
    let send = |producer| {
        let tx = tx.clone();
        async move {
            for n in (producer..ITEMS).step_by(producers as usize) {
                tx.send(n).await.expect("open");
            }
        }
    };
    let tasks: Vec<_> = (0..producers).map(|producer| tokio::spawn(send(producer))).collect();
    drop(tx);
    for task in tasks {
        task.await.expect("a producer");
    }
    worker.await.expect("a worker");
    total.check();
}

fn controller(c: &mut Criterion) {
    each_flavor(|flavor| {
        let runtime = flavor.runtime();
        for (producers, concurrency) in [(1, 1), (4, 4)] {
            let case = format!("{flavor}, {producers} to 1, {concurrency} in flight");
            let mut group = group(c, "controller", &case, ITEMS);
            group.bench_function("backpressure controller", |b| {
                b.iter(|| run(&runtime, ours(producers, concurrency)));
            });
            group.bench_function("tokio mpsc, chunks_timeout and a loop by hand", |b| {
                b.iter(|| run(&runtime, by_hand(producers, concurrency)));
            });
            floor(&mut group, &[Floor::LockedQueue], ITEMS);
        }
    });
}

criterion_group!(benches, controller);
criterion_main!(benches);
