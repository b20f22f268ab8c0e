//! What it costs to offer to a channel that is full and stays full: nobody receives.
//!
//! What an offer answers is checked every time.

mod support;

use std::collections::VecDeque;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use backpressure::{BackpressureConfig, DropReason, SendError, Sent, Strategy};
use criterion::{Criterion, criterion_group, criterion_main};
use support::{Flavor, Floor, Group, floor, group};

const CAPACITY: usize = 1024;
const OFFERS: u64 = 50_000;

fn ours(strategy: Strategy) -> (backpressure::Sender<u64>, backpressure::Receiver<u64>) {
    let config = BackpressureConfig::builder().capacity(CAPACITY).strategy(strategy).build();
    let (tx, rx) = backpressure::channel(config.expect("a valid config"));
    while rx.backlog().items < CAPACITY {
        let _ = tx.try_send(0);
    }
    (tx, rx)
}

/// A row: one producer, or several on two workers.
fn row(group: &mut Group<'_>, name: &str, producers: u64, offer: impl Fn(u64) + Send + Sync + 'static) {
    if producers == 1 {
        group.bench_function(name, |b| b.iter(|| (0..OFFERS).for_each(|n| offer(black_box(n)))));
        return;
    }
    let offer = Arc::new(offer);
    let runtime = Flavor::TwoWorkers.runtime();
    group.bench_function(name, |b| {
        b.iter(|| {
            runtime.block_on(async {
                let flood = |_| {
                    let offer = offer.clone();
                    tokio::spawn(async move { (0..OFFERS / producers).for_each(|n| offer(black_box(n))) })
                };
                for task in (0..producers).map(flood).collect::<Vec<_>>() {
                    task.await.expect("a producer");
                }
            });
        });
    });
}

fn drop_oldest(c: &mut Criterion) {
    for producers in [1, 4] {
        let plural = if producers == 1 { "" } else { "s" };
        let mut group = group(c, "drop oldest", &format!("no consumer, {producers} producer{plural}"), OFFERS);
        let group = &mut group;
        let (tx, rx) = ours(Strategy::DropOldest);
        row(group, "backpressure DropOldest", producers, move |n| {
            assert!(matches!(tx.try_send(n), Ok(Sent::Evicting(_))));
        });
        assert!(rx.gauge().snapshot().counts.balances());

        let (tx, _rx) = ring_channel::ring_channel(NonZeroUsize::new(CAPACITY).expect("not zero"));
        (0..CAPACITY as u64).for_each(|n| assert_eq!(tx.send(n), Ok(None)));
        row(group, "ring-channel", producers, move |n| {
            assert!(matches!(tx.send(n), Ok(Some(_))));
        });

        let (tx, _rx) = async_channel::bounded(CAPACITY);
        (0..CAPACITY as u64).for_each(|n| assert_eq!(tx.force_send(n), Ok(None)));
        row(group, "async-channel force_send", producers, move |n| {
            assert!(matches!(tx.force_send(n), Ok(Some(_))));
        });

        let (tx, _rx) = tokio::sync::broadcast::channel(CAPACITY);
        row(group, "tokio broadcast", producers, move |n| {
            assert!(matches!(tx.send(n), Ok(1)));
        });

        let queue = Mutex::new(VecDeque::from_iter(0..CAPACITY as u64));
        row(group, "floor: VecDeque pop and push under one lock", producers, move |n| {
            let mut queue = queue.lock().expect("never poisoned");
            black_box(queue.pop_front());
            queue.push_back(n);
        });
    }
}

/// Those that refuse an item: everybody has that.
fn refusing(c: &mut Criterion) {
    let (tx, _rx) = ours(Strategy::DropNewest);
    let newest = move |n| assert_eq!(tx.try_send(n), Ok(Sent::Dropped(DropReason::Overflow)));
    let (tx, _rx) = ours(Strategy::Reject);
    let reject = move |n| assert!(matches!(tx.try_send(n), Err(SendError::Full(_))));
    refuse(c, "drop newest", "backpressure DropNewest", newest);
    refuse(c, "reject", "backpressure Reject", reject);
}

fn refuse(c: &mut Criterion, function: &str, name: &str, offer: impl Fn(u64) + Send + Sync + 'static) {
    let mut group = group(c, function, "no consumer, 1 producer", OFFERS);
    let group = &mut group;
    row(group, name, 1, offer);

    let (tx, _rx) = tokio::sync::mpsc::channel(CAPACITY);
    (0..CAPACITY as u64).for_each(|n| assert!(tx.try_send(n).is_ok()));
    row(group, "tokio mpsc try_send", 1, move |n| assert!(tx.try_send(n).is_err()));

    let (tx, _rx) = flume::bounded(CAPACITY);
    (0..CAPACITY as u64).for_each(|n| assert!(tx.try_send(n).is_ok()));
    row(group, "flume try_send", 1, move |n| assert!(tx.try_send(n).is_err()));

    let (tx, _rx) = async_channel::bounded(CAPACITY);
    (0..CAPACITY as u64).for_each(|n| assert!(tx.try_send(n).is_ok()));
    row(group, "async-channel try_send", 1, move |n| assert!(tx.try_send(n).is_err()));

    let (tx, _rx) = crossfire::mpsc::bounded_async(CAPACITY);
    (0..CAPACITY as u64).for_each(|n| assert!(tx.try_send(n).is_ok()));
    row(group, "crossfire mpsc try_send", 1, move |n| assert!(tx.try_send(n).is_err()));
    floor(group, &[Floor::Atomic], OFFERS);
}

/// Those that nobody else has.
fn alone(c: &mut Criterion) {
    for (function, name, strategy) in [
        ("sample", "backpressure Sample", Strategy::sample()),
        ("drop lowest", "backpressure DropLowest", Strategy::DropLowest),
    ] {
        let mut group = group(c, function, "no consumer, 1 producer", OFFERS);
        let (tx, _rx) = ours(strategy);
        row(&mut group, name, 1, move |n| assert!(matches!(tx.try_send(n), Ok(Sent::Dropped(_)))));
        floor(&mut group, &[Floor::Lock], OFFERS);
    }
}

criterion_group!(benches, drop_oldest, refusing, alone);
criterion_main!(benches);
