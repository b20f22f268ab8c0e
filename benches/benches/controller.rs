//! The controller end to end: push, batch of 100, a flush that counts, drain.

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureController};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use support::{Flavor, each_flavor};

const ITEMS: u64 = 100_000;

async fn run(concurrency: usize) {
    let config = BackpressureConfig::builder().capacity(10_000).batch_items(100).build();
    let sum = Arc::new(AtomicU64::new(0));
    let total = sum.clone();
    let controller = BackpressureController::builder(config.expect("a valid config"))
        .flush_fn(move |batch: Vec<u64>| {
            total.fetch_add(batch.iter().sum(), Ordering::Relaxed);
            std::future::ready(Ok::<_, Infallible>(()))
        })
        .concurrency(concurrency)
        .spawn()
        .expect("a valid controller");
    for n in 0..ITEMS {
        controller.push(n).await.expect("open");
    }
    let report = controller.drain(Duration::from_secs(60)).await;
    assert!(report.is_complete());
    assert_eq!(sum.load(Ordering::Relaxed), ITEMS * (ITEMS - 1) / 2);
}

fn controller(c: &mut Criterion) {
    each_flavor(|flavor: Flavor| {
        let mut group = c.benchmark_group(format!("controller/{flavor}/1 producer, batch 100"));
        group.throughput(Throughput::Elements(ITEMS)).sample_size(10);
        let runtime = flavor.runtime();
        for concurrency in [1, 4] {
            group.bench_function(format!("{concurrency} in flight"), |b| {
                b.iter(|| runtime.block_on(async { tokio::spawn(run(concurrency)).await.expect("a producer") }));
            });
        }
        group.finish();
    });
}

criterion_group!(benches, controller);
criterion_main!(benches);
