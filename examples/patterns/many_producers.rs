//! A bounded queue with many producers.
//!
//! Fifty tasks share a queue of eight places. Whoever finds it full waits in line, first come, first served, so that
//! nobody is left behind; the bound holds however many they are. The consumer takes four items every millisecond, on
//! a paused clock.
//!
//! `cargo run --example many-producers`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::time::Duration;

use backpressure::{BackpressureConfig, SendError, Strategy, channel};
use tokio::task::JoinSet;
use tokio::time::sleep;

const PRODUCERS: usize = 50;
const EACH: usize = 40;
const CAPACITY: usize = 8;

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let config = BackpressureConfig::builder().capacity(CAPACITY).strategy(Strategy::block_forever()).build()?;
    let (tx, mut rx) = channel(config);
    let gauge = rx.gauge();

    let mut producers = JoinSet::new();
    for producer in 0..PRODUCERS {
        let tx = tx.clone();
        producers.spawn(async move {
            for n in 0..EACH {
                tx.send((producer, n)).await?;
            }
            Ok::<_, SendError<(usize, usize)>>(())
        });
    }
    drop(tx); // the queue closes when the last producer is done

    let mut next = [0; PRODUCERS];
    let (mut most_queued, mut most_waiting, mut lead) = (0, 0, 0);
    let mut items = Vec::new();
    while rx.recv_many(&mut items, 4).await > 0 {
        for (producer, n) in items.drain(..) {
            assert_eq!(n, next[producer], "the items of one producer stay in order");
            next[producer] += 1;
        }
        sleep(Duration::from_millis(1)).await;
        let snapshot = gauge.snapshot();
        most_queued = most_queued.max(snapshot.counts.queued);
        most_waiting = most_waiting.max(snapshot.producers_waiting);
        lead = lead.max(next.iter().max().unwrap_or(&0) - next.iter().min().unwrap_or(&0));
    }
    while let Some(done) = producers.join_next().await {
        done??;
    }

    println!("{PRODUCERS} producers sent {EACH} items each; {} arrived", gauge.snapshot().counts.delivered);
    println!("at most {most_queued} were queued: the capacity is {CAPACITY}");
    println!("at most {most_waiting} producers waited at once, in a line");
    println!(
        "no producer was ever more than {lead} items ahead: the first one filled the empty queue, then they took turns"
    );
    assert_eq!(next, [EACH; PRODUCERS]);
    assert_eq!(most_queued, CAPACITY as u64);
    assert!(lead <= CAPACITY + 1);
    Ok(())
}
