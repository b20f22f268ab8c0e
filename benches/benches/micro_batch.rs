//! `.micro_batch`: batches of 100, 5 ms at most, beside the adapters that promise the same.
//!
//! tokio-stream's and futures-batch's forget the deadline while the source stays ready; they are counted as peers all the
//! same. Every item is consumed, and the sum is checked.
//!
//! A source that pauses after each item is polled by hand, so that what is measured is the adapter and not the scheduler.

mod support;

use std::time::Duration;

use backpressure::stream::BackpressureStreamExt;
use backpressure::{BackpressureConfig, BatchConfig};
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::stream::{Stream, StreamExt};
use support::source::{ITEMS, churning, ready, sum_of_batches, sum_of_items};
use support::{Flavor, each_flavor, group, run, run_by_hand};
use tokio_stream::wrappers::ReceiverStream;

const BATCH: usize = 100;
const CAPACITY: usize = 1024;
const LINGER: Duration = Duration::from_millis(5);

fn ours(source: impl Stream<Item = u64> + Unpin + Send) -> impl Stream<Item = Vec<u64>> + Send {
    source.micro_batch(BatchConfig::builder().max_items(BATCH).linger(LINGER).build().expect("a valid config"))
}

fn tokio_stream(source: impl Stream<Item = u64> + Unpin + Send) -> impl Stream<Item = Vec<u64>> + Send {
    tokio_stream::StreamExt::chunks_timeout(source, BATCH, LINGER)
}

fn futures_batch(source: impl Stream<Item = u64> + Unpin + Send) -> impl Stream<Item = Vec<u64>> + Send {
    futures_batch::ChunksTimeoutStreamExt::chunks_timeout(source, BATCH, LINGER)
}

fn micro_batch(c: &mut Criterion) {
    let runtime = Flavor::OneThread.runtime();
    macro_rules! case {
        ($case:literal, $run:ident, $source:expr) => {{
            let mut group = group(c, "micro-batch", $case, ITEMS);
            macro_rules! row {
                ($name:literal, $batches:expr) => {
                    group.bench_function($name, |b| {
                        b.iter(|| $run(&runtime, async { sum_of_batches($batches).await }));
                    });
                };
            }
            row!("backpressure micro_batch", ours($source));
            row!("tokio-stream chunks_timeout", tokio_stream($source));
            row!("futures-batch", futures_batch($source));
            row!("futures ready_chunks (never waits)", $source.ready_chunks(BATCH));
            row!("futures chunks (no deadline)", $source.chunks(BATCH));
            group.bench_function("floor: the bare stream", |b| b.iter(|| $run(&runtime, sum_of_items($source))));
        }};
    }
    case!("always ready", run, ready());
    case!("pending after each item", run_by_hand, churning());
}

/// From our own channel, as others do from tokio's.
async fn from_channel() {
    let config = BackpressureConfig::builder().capacity(CAPACITY).build().expect("a valid config");
    let (tx, rx) = backpressure::channel(config);
    let producer = tokio::spawn(async move {
        for n in 0..ITEMS {
            tx.send(n).await.expect("open");
        }
    });
    sum_of_batches(ours(rx)).await;
    producer.await.expect("a producer");
}

/// From tokio's channel, through one of the peers, or none.
macro_rules! from_tokio {
    (|$rx:ident| $consume:expr) => {
        async {
            let (tx, rx) = tokio::sync::mpsc::channel(CAPACITY);
            let producer = tokio::spawn(async move {
                for n in 0..ITEMS {
                    tx.send(n).await.expect("open");
                }
            });
            let $rx = ReceiverStream::new(rx);
            $consume.await;
            producer.await.expect("a producer");
        }
    };
}

fn channel(c: &mut Criterion) {
    each_flavor(|flavor| {
        let runtime = flavor.runtime();
        let mut group = group(c, "micro-batch", &format!("from a channel, {flavor}"), ITEMS);
        macro_rules! row {
            ($name:literal, $run:expr) => {
                group.bench_function($name, |b| {
                    b.iter(|| run(&runtime, $run));
                });
            };
        }
        row!("backpressure channel, micro_batch", from_channel());
        row!("tokio mpsc, chunks_timeout", from_tokio!(|rx| sum_of_batches(tokio_stream(rx))));
        row!("tokio mpsc, futures-batch", from_tokio!(|rx| sum_of_batches(futures_batch(rx))));
        row!("tokio mpsc, ready_chunks (never waits)", from_tokio!(|rx| sum_of_batches(rx.ready_chunks(BATCH))));
    });
}

criterion_group!(benches, micro_batch, channel);
criterion_main!(benches);
