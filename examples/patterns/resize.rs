//! A controller that gets other bounds while it is in use.
//!
//! ```text
//!  push ─▶ room for 10 ──▶ batches of 5, one at a time
//!            │ reconfigure(capacity 40, batches of 20), set_concurrency(2)
//!            ▼
//!          room for 40 ──▶ batches of 20, two at a time
//! ```
//!
//! More room lets in the producers that wait. Less room loses nothing: what is held goes out, and nothing comes in before
//! that fits. A configuration holds as a whole or, if it is refused, not at all. The clock is paused, so this takes no time.
//!
//! `cargo run --example resize`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::convert::Infallible;
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureController, SendError, State, Strategy};
use futures_util::future::try_join_all;
use tokio::time::sleep;

/// A database that takes 100 ms for a batch of whatever size.
async fn insert(rows: Vec<u32>) -> Result<(), Infallible> {
    sleep(Duration::from_millis(100)).await;
    println!("    {} rows written", rows.len());
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let config = BackpressureConfig::builder().capacity(10).batch_items(5).build()?;
    let controller = BackpressureController::builder(config).flush_fn(insert).spawn()?;
    let handle = controller.handle();

    let producers: Vec<_> = (0..40)
        .map(|row| {
            let controller = controller.clone();
            tokio::spawn(async move { controller.push(row).await.map_err(SendError::without_item) })
        })
        .collect();
    sleep(Duration::from_millis(1)).await;
    let before = controller.snapshot();
    println!("room for {}: {} producers wait", before.capacity, before.producers_waiting);
    assert!(before.producers_waiting > 0);

    let larger = handle.config().to_builder().capacity(40).batch_items(20);
    handle.reconfigure(larger.build()?)?;
    handle.set_concurrency(2)?;
    for pushed in try_join_all(producers).await? {
        pushed?;
    }
    let after = controller.snapshot();
    println!(
        "room for {}: {} producers wait, {} rows are queued",
        after.capacity, after.producers_waiting, after.counts.queued
    );
    assert_eq!((after.producers_waiting, after.capacity), (0, 40));

    let smaller = handle.config().to_builder().capacity(4).batch_items(4).strategy(Strategy::Reject);
    handle.reconfigure(smaller.build()?)?;
    let state = controller.gauge().state();
    println!("room for 4: {state}, at {:.0} % of the new bound", 100.0 * controller.gauge().utilization());
    assert_eq!(state, State::Blocked);
    assert!(controller.try_push(99).is_err(), "what is held has to fit first");

    let refused = handle.reconfigure(BackpressureConfig::builder().max_weight(1_000).build()?).unwrap_err();
    println!("refused, and nothing has changed: {refused}");
    assert_eq!(handle.config().capacity(), 4);

    let report = controller.drain(Duration::from_secs(5)).await;
    let counts = controller.snapshot().counts;
    println!("{counts}");
    assert!(report.is_complete() && counts.delivered == 40 && counts.rejected == 1);
    Ok(())
}
