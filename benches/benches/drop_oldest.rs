//! Drop-oldest at a full buffer without a consumer: ours beside a bare `Mutex<VecDeque>`.
//!
//! The bare deque neither counts, nor signals, nor knows of a receiver: it is the floor.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Mutex;

use backpressure::{BackpressureConfig, Strategy, channel};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const CAPACITY: usize = 1024;
const ITEMS: u64 = 10_000;

fn drop_oldest(c: &mut Criterion) {
    let mut group = c.benchmark_group("drop-oldest/full, uncontended");
    group.throughput(Throughput::Elements(ITEMS));

    let bare = Mutex::new(VecDeque::with_capacity(CAPACITY));
    group.bench_function("Mutex<VecDeque>", |b| {
        b.iter(|| {
            for n in 0..ITEMS {
                let mut queue = bare.lock().expect("never poisoned");
                let evicted = if queue.len() == CAPACITY { queue.pop_front() } else { None };
                queue.push_back(black_box(n));
                drop(queue);
                black_box(evicted);
            }
        });
    });

    let config = BackpressureConfig::builder().capacity(CAPACITY).strategy(Strategy::DropOldest).build();
    let (tx, rx) = channel(config.expect("a valid config"));
    group.bench_function("backpressure", |b| {
        b.iter(|| {
            for n in 0..ITEMS {
                assert!(tx.try_send(black_box(n)).is_ok_and(backpressure::Sent::is_accepted));
            }
        });
    });
    assert!(rx.gauge().snapshot().counts.balances());
    group.finish();
}

criterion_group!(benches, drop_oldest);
criterion_main!(benches);
