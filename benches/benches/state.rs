//! Reading the state: ours beside one relaxed atomic load.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use backpressure::{BackpressureConfig, channel};
use criterion::{Criterion, criterion_group, criterion_main};

fn state(c: &mut Criterion) {
    let mut group = c.benchmark_group("state");
    let atomic = Arc::new(AtomicU8::new(0));
    group.bench_function("a relaxed load", |b| b.iter(|| black_box(&atomic).load(Ordering::Relaxed)));
    let (tx, _rx) = channel::<u64>(BackpressureConfig::default());
    let gauge = tx.gauge();
    group.bench_function("Gauge::state", |b| b.iter(|| black_box(&gauge).state()));
    group.bench_function("Gauge::snapshot", |b| b.iter(|| black_box(&gauge).snapshot()));
    group.finish();
}

criterion_group!(benches, state);
criterion_main!(benches);
