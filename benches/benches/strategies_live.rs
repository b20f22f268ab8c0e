//! A producer that never waits floods a channel with room for 1024 while a consumer receives what it can.
//!
//! The numbers are per offer. Each item is accounted for, once: the consumer saw it, or somebody was told that it is lost.
//! After every 128 offers the producer lets the others have a turn: so many items a task of tokio's may receive at a turn. After
//! more, those whose consumers stop there would gain time by losing items.

mod support;

use std::num::NonZeroUsize;

use backpressure::{BackpressureConfig, Priority, Sent, Strategy};
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::StreamExt;
use support::{Flavor, Floor, each_flavor, floor, group, run, sum_below};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::yield_now;

const CAPACITY: usize = 1024;
const OFFERS: u64 = 50_000;

/// What became of the items: how many, and their sum, as far as it is known.
#[derive(Clone, Copy, Default)]
struct Tally {
    items: u64,
    sum: u64,
}

impl Tally {
    fn add(&mut self, item: u64) {
        self.items += 1;
        self.sum += item;
    }
}

/// Offers everything; `offer` answers with an item that is lost, if it knows of one.
async fn flood(mut offer: impl FnMut(u64) -> Option<u64>) -> Tally {
    let mut lost = Tally::default();
    for n in 0..OFFERS {
        if let Some(item) = offer(n) {
            lost.add(item);
        }
        if n % 128 == 127 {
            yield_now().await;
        }
    }
    lost
}

/// Floods the channel, receives from it, and checks the sum.
macro_rules! run {
    ($channel:expr, |$tx:ident, $n:ident| $offer:expr, |$rx:ident| $recv:expr) => {{
        #[allow(unused_mut)]
        let ($tx, mut $rx) = $channel;
        let producer = tokio::spawn(flood(move |$n| $offer));
        let mut received = Tally::default();
        while let Some(item) = $recv {
            received.add(item);
        }
        let lost = producer.await.expect("a producer");
        assert_eq!((received.items + lost.items, received.sum + lost.sum), (OFFERS, sum_below(OFFERS)));
    }};
}

fn channel(strategy: Strategy) -> (backpressure::Sender<u64>, backpressure::Receiver<u64>) {
    let config = BackpressureConfig::builder().capacity(CAPACITY).strategy(strategy).build();
    backpressure::channel(config.expect("a valid config"))
}

/// Which items were lost only a hook would be told. How many, the gauge knows.
async fn by_gauge((tx, mut rx): (backpressure::Sender<u64>, backpressure::Receiver<u64>)) {
    let gauge = rx.gauge();
    let producer = tokio::spawn(flood(move |n| {
        tx.try_send(n).expect("open");
        None
    }));
    let mut received = Tally::default();
    while let Some(item) = rx.recv().await {
        received.add(item);
    }
    producer.await.expect("a producer");
    assert!(received.sum <= sum_below(OFFERS));
    let counts = gauge.snapshot().counts;
    assert_eq!(received.items + counts.evicted() + counts.dropped(), OFFERS);
}

async fn ours_oldest() {
    by_gauge(channel(Strategy::DropOldest)).await;
}

async fn ours_sample() {
    by_gauge(channel(Strategy::sample())).await;
}

/// Eight priorities, in turns.
async fn ours_lowest() {
    let config = BackpressureConfig::builder().capacity(CAPACITY).strategy(Strategy::DropLowest).build();
    let builder = backpressure::channel::Builder::new(config.expect("a valid config"));
    by_gauge(builder.rank_by(|n| Priority::new((n % 8) as u8)).build()).await;
}

async fn ring_channel() {
    let channel = ring_channel::ring_channel(NonZeroUsize::new(CAPACITY).expect("not zero"));
    run!(channel, |tx, n| tx.send(n).expect("open"), |rx| rx.next().await);
}

async fn async_channel_oldest() {
    let channel = async_channel::bounded(CAPACITY);
    run!(channel, |tx, n| tx.force_send(n).expect("open"), |rx| rx.recv().await.ok());
}

async fn broadcast() {
    let (tx, mut rx) = tokio::sync::broadcast::channel(CAPACITY);
    let producer = tokio::spawn(flood(move |n| {
        tx.send(n).expect("open");
        None
    }));
    let (mut received, mut lost) = (Tally::default(), 0);
    loop {
        match rx.recv().await {
            Ok(item) => received.add(item),
            Err(RecvError::Lagged(items)) => lost += items,
            Err(RecvError::Closed) => break,
        }
    }
    producer.await.expect("a producer");
    assert!(received.sum <= sum_below(OFFERS));
    assert_eq!(received.items + lost, OFFERS);
}

async fn ours_newest() {
    let channel = channel(Strategy::DropNewest);
    let lost = |sent: Sent, n| if sent.is_accepted() { None } else { Some(n) };
    run!(channel, |tx, n| lost(tx.try_send(n).expect("open"), n), |rx| rx.recv().await);
}

async fn ours_reject() {
    run!(channel(Strategy::Reject), |tx, n| tx.try_send(n).err().map(|_| n), |rx| rx.recv().await);
}

async fn tokio_mpsc() {
    let channel = tokio::sync::mpsc::channel(CAPACITY);
    run!(channel, |tx, n| tx.try_send(n).err().map(|_| n), |rx| rx.recv().await);
}

async fn flume() {
    run!(flume::bounded(CAPACITY), |tx, n| tx.try_send(n).err().map(|_| n), |rx| rx.recv_async().await.ok());
}

async fn crossfire() {
    let channel = crossfire::mpsc::bounded_async(CAPACITY);
    run!(channel, |tx, n| tx.try_send(n).err().map(|_| n), |rx| rx.recv().await.ok());
}

async fn async_channel_newest() {
    let channel = async_channel::bounded(CAPACITY);
    run!(channel, |tx, n| tx.try_send(n).err().map(|_| n), |rx| rx.recv().await.ok());
}

fn live(c: &mut Criterion) {
    crossfire::detect_backoff_cfg();
    each_flavor(|flavor: Flavor| {
        let runtime = flavor.runtime();
        let case = format!("live consumer, {flavor}");
        let mut oldest = group(c, "drop oldest", &case, OFFERS);
        macro_rules! row {
            ($group:ident, $name:literal, $run:ident) => {
                $group.bench_function($name, |b| {
                    b.iter(|| run(&runtime, $run()));
                });
            };
        }
        row!(oldest, "backpressure DropOldest", ours_oldest);
        row!(oldest, "ring-channel", ring_channel);
        row!(oldest, "async-channel force_send", async_channel_oldest);
        row!(oldest, "tokio broadcast", broadcast);
        oldest.finish();
        let mut newest = group(c, "drop newest", &case, OFFERS);
        row!(newest, "backpressure DropNewest", ours_newest);
        row!(newest, "backpressure Reject", ours_reject);
        row!(newest, "tokio mpsc try_send", tokio_mpsc);
        row!(newest, "flume try_send", flume);
        row!(newest, "async-channel try_send", async_channel_newest);
        row!(newest, "crossfire mpsc try_send", crossfire);
        newest.finish();
        let mut sample = group(c, "sample", &case, OFFERS);
        row!(sample, "backpressure Sample", ours_sample);
        floor(&mut sample, &[Floor::LockedQueue], OFFERS);
        sample.finish();
        let mut lowest = group(c, "drop lowest", &case, OFFERS);
        row!(lowest, "backpressure DropLowest", ours_lowest);
        floor(&mut lowest, &[Floor::LockedQueue], OFFERS);
        lowest.finish();
    });
}

criterion_group!(benches, live);
criterion_main!(benches);
