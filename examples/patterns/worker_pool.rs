//! A worker pool: a bounded queue, three workers, and the results in the order of the jobs or as they come.
//!
//! ```text
//!  jobs ──▶ a queue of 4 ──▶ 3 tasks at work ──▶ results
//!       ◀── full: wait  ◀── all busy: wait  ◀── nobody asks: wait
//! ```
//!
//! The receiver is a stream, each job becomes a task, and `buffered` or `buffer_unordered` keeps three of them going.
//! In order, a slow job holds back the results behind it; as they come, it holds back only its own. The clock is
//! paused, so this takes no time.
//!
//! `cargo run --example worker-pool`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backpressure::{BackpressureConfig, channel};
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::{Instant, sleep};

const JOBS: usize = 12;
const QUEUE: usize = 4;
const WORKERS: usize = 3;

/// Every fourth job takes 50 ms, the others 10 ms.
async fn work(job: usize, busy: Arc<AtomicUsize>) -> usize {
    assert!(busy.fetch_add(1, Ordering::Relaxed) < WORKERS, "never more at work than there are workers");
    sleep(Duration::from_millis(if job.is_multiple_of(4) { 50 } else { 10 })).await;
    busy.fetch_sub(1, Ordering::Relaxed);
    job
}

async fn run(in_order: bool) -> anyhow::Result<(Vec<usize>, Duration)> {
    let (tx, queue) = channel(BackpressureConfig::builder().capacity(QUEUE).build()?);
    let gauge = queue.gauge();
    let start = Instant::now();
    let producer = tokio::spawn(async move {
        for job in 0..JOBS {
            tx.send(job).await?; // waits while the queue is full
            assert!(tx.gauge().snapshot().counts.queued <= QUEUE as u64);
        }
        anyhow::Ok(())
    });

    let busy = Arc::new(AtomicUsize::new(0));
    let at_work = queue.map(|job| tokio::spawn(work(job, Arc::clone(&busy))));
    let results = if in_order {
        at_work.buffered(WORKERS).try_collect().await?
    } else {
        at_work.buffer_unordered(WORKERS).try_collect().await?
    };
    producer.await??;
    assert_eq!(gauge.snapshot().counts.delivered, JOBS as u64);
    Ok((results, start.elapsed()))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let (results, took) = run(true).await?;
    println!("in order:     {results:?} in {took:?}");
    assert_eq!(results, Vec::from_iter(0..JOBS));

    let (mut results, sooner) = run(false).await?;
    println!("as they come: {results:?} in {sooner:?}");
    assert_ne!(results, Vec::from_iter(0..JOBS));
    assert!(sooner <= took);
    results.sort_unstable();
    assert_eq!(results, Vec::from_iter(0..JOBS), "each exactly once");
    Ok(())
}
