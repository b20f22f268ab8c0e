//! Stream adapters beside futures' and tokio-stream's, over sources that are always ready.
//!
//! Every item is consumed, and the sum is checked.

use std::hint::black_box;
use std::time::Duration;

use backpressure::stream::{BackpressureStreamExt, MicroBatch};
use backpressure::{BackpressureConfig, BatchConfig};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::stream::{self, Stream, StreamExt};
use tokio::runtime::{Builder, Runtime};
use tokio_stream::StreamExt as _;

const ITEMS: u64 = 100_000;
const BATCH: usize = 100;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn source() -> impl Stream<Item = u64> + Unpin {
    stream::iter((0..ITEMS).map(black_box))
}

fn ours() -> MicroBatch<impl Stream<Item = u64> + Unpin> {
    let config = BatchConfig::builder().max_items(BATCH).linger(Duration::from_millis(5)).build();
    source().micro_batch(config.expect("a valid config"))
}

async fn sum_of_batches(batches: impl Stream<Item = Vec<u64>>) {
    let sum = StreamExt::fold(batches, 0, async |sum, batch: Vec<u64>| sum + batch.iter().sum::<u64>()).await;
    assert_eq!(sum, ITEMS * (ITEMS - 1) / 2);
}

async fn sum_of_items(items: impl Stream<Item = u64>) {
    let sum = StreamExt::fold(items, 0, async |sum, item| sum + item).await;
    assert_eq!(sum, ITEMS * (ITEMS - 1) / 2);
}

fn micro_batch(c: &mut Criterion) {
    let mut group = c.benchmark_group("stream/batches of 100, always ready");
    group.throughput(Throughput::Elements(ITEMS));
    let runtime = runtime();
    group.bench_function("backpressure micro_batch", |b| b.iter(|| runtime.block_on(sum_of_batches(ours()))));
    group.bench_function("futures ready_chunks (no deadline)", |b| {
        b.iter(|| runtime.block_on(sum_of_batches(source().ready_chunks(BATCH))));
    });
    group.bench_function("futures chunks (no deadline)", |b| {
        b.iter(|| runtime.block_on(sum_of_batches(source().chunks(BATCH))));
    });
    group.bench_function("tokio-stream chunks_timeout (deadline ignored while ready)", |b| {
        b.iter(|| {
            let linger = Duration::from_millis(5);
            runtime.block_on(async { sum_of_batches(source().chunks_timeout(BATCH, linger)).await });
        });
    });
    group.finish();
}

fn read_ahead(c: &mut Criterion) {
    let mut group = c.benchmark_group("stream/read ahead under Block, always ready");
    group.throughput(Throughput::Elements(ITEMS));
    let runtime = runtime();
    group.bench_function("the bare stream", |b| b.iter(|| runtime.block_on(sum_of_items(source()))));
    let config = BackpressureConfig::builder().capacity(1024).build().expect("a valid config");
    group.bench_function("backpressure", |b| {
        b.iter(|| runtime.block_on(sum_of_items(source().backpressure(config.clone()))));
    });
    group.finish();
}

criterion_group!(benches, micro_batch, read_ahead);
criterion_main!(benches);
