//! Reading a gauge, beside the one relaxed load that it is made of.

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use backpressure::{BackpressureConfig, channel};
use criterion::{Criterion, criterion_group, criterion_main};
use support::group;

fn state(c: &mut Criterion) {
    let (tx, _rx) = channel::<u64>(BackpressureConfig::default());
    let gauge = tx.gauge();
    let mut reading = group(c, "gauge", "state", 1);
    reading.bench_function("backpressure Gauge::state", |b| b.iter(|| black_box(&gauge).state()));
    let atomic = Arc::new(AtomicU8::new(0));
    reading.bench_function("floor: relaxed load", |b| b.iter(|| black_box(&atomic).load(Ordering::Relaxed)));
    reading.finish();
    let mut reading = group(c, "gauge", "snapshot", 1);
    reading.bench_function("backpressure Gauge::snapshot", |b| b.iter(|| black_box(&gauge).snapshot()));
    reading.finish();
}

criterion_group!(benches, state);
criterion_main!(benches);
