//! A bound on how long items are queued, whatever the speed of the consumer.
//!
//! ```text
//!  producer ─▶ capacity(100)                                ─▶ consumer: 500 items/s, 50 items/s, 500 items/s
//!  producer ─▶ capacity_within(Capacity::within(200 ms)) ───▶ the same
//! ```
//!
//! A hundred items are 0.2 s in front of the fast consumer, and 2 s in front of the slow one. The second channel measures how
//! fast its consumer drains and holds as much as that is in 200 ms. The clock is paused, so this takes no time.
//!
//! `cargo run --example capacity-by-time`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::time::Duration;

use backpressure::core::Capacity;
use backpressure::{BackpressureConfig, Strategy, channel};
use tokio::time::{Instant, sleep};

const WITHIN: Duration = Duration::from_millis(200);
/// Milliseconds an item.
const PACES: [u64; 3] = [2, 20, 2];

/// How long the last items of each phase were queued at most, and the capacity at its end.
async fn delays(config: BackpressureConfig) -> [(Duration, usize); 3] {
    let (tx, mut rx) = channel(config);
    let gauge = rx.gauge();
    tokio::spawn(async move { while tx.send(Instant::now()).await.is_ok() {} });
    let mut phases = [(Duration::ZERO, 0); 3];
    for (pace, phase) in PACES.into_iter().zip(&mut phases) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(pace)).await;
            let Some(sent) = rx.recv().await else { break };
            // What was queued under the other pace goes first.
            if began.elapsed() > Duration::from_secs(5) {
                phase.0 = phase.0.max(sent.elapsed());
            }
        }
        phase.1 = gauge.snapshot().capacity;
    }
    phases
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let config = BackpressureConfig::builder().batch_items(1).strategy(Strategy::block_forever());
    let fixed = delays(config.clone().capacity(100).build()?).await;
    let timed = Capacity::within(WITHIN).floor(4).ceiling(10_000);
    let timed = delays(config.capacity_within(timed).build()?).await;

    println!("items/s   capacity 100: queued for   within 200 ms: queued for   capacity");
    for ((pace, (in_items, _)), (in_time, capacity)) in PACES.into_iter().zip(fixed).zip(timed) {
        println!("{:7}   {in_items:>24.0?}   {in_time:>25.0?}   {capacity:8}", 1_000 / pace);
        assert!(in_time <= 2 * WITHIN, "the delay is bounded");
    }
    assert!(fixed[1].0 >= 8 * WITHIN, "a bound in items is no bound on the delay");
    Ok(())
}
