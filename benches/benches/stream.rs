//! Reading ahead: `.backpressure` under Block, with room for 1024.
//!
//! Every item is consumed, and the sum is checked.

mod support;

use backpressure::BackpressureConfig;
use backpressure::stream::BackpressureStreamExt;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::stream::{Stream, StreamExt};
use support::source::{ITEMS, churning, ready, sum_of_items};
use support::{Flavor, each_flavor, group, run, run_by_hand};
use tokio_stream::wrappers::ReceiverStream;

const CAPACITY: usize = 1024;

fn config() -> BackpressureConfig {
    BackpressureConfig::builder().capacity(CAPACITY).build().expect("a valid config")
}

/// In the consumer's own task.
fn read_ahead(c: &mut Criterion) {
    let runtime = Flavor::OneThread.runtime();
    macro_rules! case {
        ($case:literal, $run:ident, $source:expr) => {{
            let mut group = group(c, "read ahead", $case, ITEMS);
            group.bench_function("backpressure", |b| {
                b.iter(|| $run(&runtime, sum_of_items($source.backpressure(config()))));
            });
            group.bench_function("floor: the bare stream", |b| b.iter(|| $run(&runtime, sum_of_items($source))));
        }};
    }
    case!("always ready", run, ready());
    case!("pending after each item", run_by_hand, churning());
}

/// What one writes by hand for want of `.backpressure(config).spawn()`.
fn by_hand(source: impl Stream<Item = u64> + Send + 'static) -> impl Stream<Item = u64> + Unpin {
    let (tx, rx) = tokio::sync::mpsc::channel(CAPACITY);
    tokio::spawn(async move {
        let mut source = std::pin::pin!(source);
        while let Some(item) = source.next().await {
            if tx.send(item).await.is_err() {
                break;
            }
        }
    });
    ReceiverStream::new(rx)
}

/// In a task of its own.
fn spawned(c: &mut Criterion) {
    each_flavor(|flavor| {
        let runtime = flavor.runtime();
        let mut group = group(c, "read ahead", &format!("in a task, {flavor}"), ITEMS);
        group.bench_function("backpressure, spawned", |b| {
            b.iter(|| run(&runtime, async { sum_of_items(ready().backpressure(config()).spawn()).await }));
        });
        group.bench_function("task and tokio mpsc by hand", |b| {
            b.iter(|| run(&runtime, async { sum_of_items(by_hand(ready())).await }));
        });
    });
}

criterion_group!(benches, read_ahead, spawned);
criterion_main!(benches);
