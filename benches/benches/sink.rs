//! `BackpressureSink` under Block beside futures' `buffer`, over a sink that is always ready.

use std::convert::Infallible;
use std::hint::black_box;

use backpressure::BackpressureConfig;
use backpressure::sink::BackpressureSinkExt;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::stream::{self, StreamExt};
use futures_util::{Sink, SinkExt, sink};
use tokio::runtime::Builder;

const ITEMS: u64 = 100_000;
const CAPACITY: usize = 1024;

fn inner() -> impl Sink<u64, Error = Infallible> {
    sink::unfold(0_u64, async |sum, item| Ok::<_, Infallible>(sum + black_box(item)))
}

fn sinks(c: &mut Criterion) {
    let mut group = c.benchmark_group("sink/buffer 1024, always ready");
    group.throughput(Throughput::Elements(ITEMS));
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    group.bench_function("the bare sink", |b| {
        b.iter(|| runtime.block_on(stream::iter(0..ITEMS).map(Ok).forward(inner())).expect("infallible"));
    });
    group.bench_function("futures buffer", |b| {
        b.iter(|| {
            runtime.block_on(stream::iter(0..ITEMS).map(Ok).forward(inner().buffer(CAPACITY))).expect("infallible")
        });
    });
    let config = BackpressureConfig::builder().capacity(CAPACITY).build().expect("a valid config");
    group.bench_function("backpressure", |b| {
        b.iter(|| {
            let sink = inner().bounded(config.clone());
            runtime.block_on(stream::iter(0..ITEMS).map(Ok).forward(sink)).expect("infallible");
        });
    });
    group.finish();
}

criterion_group!(benches, sinks);
criterion_main!(benches);
