//! A priority queue: what matters goes first, and what matters least makes room.
//!
//! Items are ranked as they are sent. Higher priorities are delivered first, in order of arrival within one priority;
//! a full queue discards the newest item of the lowest priority, which may be the one that comes. So that the lowest
//! do not starve, every sixteenth delivery is the oldest item, whatever its rank.
//!
//! `cargo run --example priority-queue`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::sync::{Arc, Mutex, PoisonError};

use backpressure::channel::Builder;
use backpressure::{BackpressureConfig, DropReason, Priority, Strategy};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Alarm(u32),
    Order(u32),
    Telemetry(u32),
}

use Message::{Alarm, Order, Telemetry};

const fn rank(message: &Message) -> Priority {
    match message {
        Alarm(_) => Priority::HIGHEST,
        Order(_) => Priority::NORMAL,
        Telemetry(_) => Priority::LOWEST,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let lost = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lost);
    let config = BackpressureConfig::builder().capacity(6).strategy(Strategy::DropLowest).build()?;
    let (tx, mut rx) = Builder::new(config)
        .rank_by(rank)
        .on_drop(move |message, reason| log.lock().unwrap_or_else(PoisonError::into_inner).push((message, reason)))
        .build();

    for message in [Telemetry(1), Telemetry(2), Order(1), Telemetry(3), Alarm(1), Order(2)] {
        assert!(tx.send(message).await?.is_accepted());
    }
    println!("six places, all taken; now an alarm, an order and more telemetry:");
    assert!(tx.send(Alarm(2)).await?.is_accepted());
    assert!(tx.send(Order(3)).await?.is_accepted());
    let refused = tx.send(Telemetry(4)).await?;
    println!("  the sender of the telemetry is told: {refused:?}");
    assert!(!refused.is_accepted(), "nothing that is lost is answered as accepted");

    let lost = std::mem::take(&mut *lost.lock().unwrap_or_else(PoisonError::into_inner));
    println!("  lost: {lost:?}");
    assert_eq!(lost[..2], [(Telemetry(3), DropReason::Evicted), (Telemetry(2), DropReason::Evicted)]);

    drop(tx);
    let mut delivered = Vec::new();
    rx.recv_many(&mut delivered, usize::MAX).await;
    println!("  delivered: {delivered:?}");
    assert_eq!(delivered, [Alarm(1), Alarm(2), Order(1), Order(2), Order(3), Telemetry(1)]);

    let config = BackpressureConfig::builder().capacity(1_000).build()?;
    let (tx, mut rx) = Builder::new(config).rank_by(rank).build();
    tx.send(Telemetry(0)).await?;
    for n in 0..100 {
        tx.send(Alarm(n)).await?;
    }
    let mut before = 0;
    while rx.recv().await != Some(Telemetry(0)) {
        before += 1;
    }
    println!("one telemetry behind a hundred alarms waited for {before} of them");
    assert!(before < 16);
    Ok(())
}
