//! Stale jobs: what grew too old while the consumer stood still is not worked on, but counted and handed back.
//!
//! A controller writes batches to a store. The store hangs for two seconds while jobs come in all the time. Each job is
//! worth half a second, and one customer has paid for an answer within a deadline of its own. When the store is back,
//! the first batch holds fresh jobs at once, instead of two seconds' worth of those that nobody waits for any more. The
//! clock is paused, so this takes no time.
//!
//! `cargo run --example stale-jobs`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureController, DropReason};
use tokio::time::{Instant, sleep};

const LIFE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy)]
struct Job {
    number: u32,
    came: Instant,
    deadline: Option<Instant>,
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let ages = Arc::new(Mutex::new(Vec::new()));
    let (log, start) = (Arc::clone(&ages), Instant::now());
    let config = BackpressureConfig::builder().capacity(1_000).batch_items(20).max_age(LIFE).build()?;
    let controller = BackpressureController::builder(config)
        .expires_by(|job: &Job| job.deadline.map(Instant::into_std))
        .on_drop(|job, reason| {
            assert_eq!(reason, DropReason::Expired);
            if job.deadline.is_some() {
                println!("  job {} had to be done by its own deadline, and was not", job.number);
            }
        })
        .flush_fn(move |batch: Vec<Job>| {
            let oldest = batch.iter().map(|job| job.came.elapsed()).max().unwrap_or_default();
            let hangs = start.elapsed() < Duration::from_millis(150); // the first batch
            println!(
                "{:>5} ms: {} jobs, the oldest {} ms old",
                start.elapsed().as_millis(),
                batch.len(),
                oldest.as_millis()
            );
            log.lock().unwrap_or_else(PoisonError::into_inner).push(oldest);
            async move {
                sleep(if hangs { Duration::from_secs(2) } else { Duration::from_millis(20) }).await; // tidy: paused clock
                Ok::<_, std::io::Error>(())
            }
        })
        .spawn()?;

    for number in 0..300 {
        let came = Instant::now();
        let deadline = (number == 299).then(|| came + Duration::from_millis(1));
        controller.push(Job { number, came, deadline }).await?;
        sleep(Duration::from_millis(10)).await; // tidy: paused clock
    }
    assert!(controller.drain(Duration::from_secs(5)).await.is_complete());

    let counts = controller.snapshot().counts;
    println!("{counts}");
    assert!(counts.balances());
    assert!(counts.lost(DropReason::Expired) > 100, "what waited for the store");
    let ages = std::mem::take(&mut *ages.lock().unwrap_or_else(PoisonError::into_inner));
    assert!(ages.len() > 5 && ages.iter().all(|&age| age < LIFE), "no batch holds a job that is too old");
    Ok(())
}
