//! A bounded work queue with concurrency, and an answer for every item.
//!
//! ```text
//!  submit(job) ──▶ a queue of 6 ──▶ ServiceSink, 3 calls at once ──▶ worker
//!     ▲                                                               │
//!     └───────────────────── its own answer, or its own error ────────┘
//! ```
//!
//! Each item takes the sending half of a oneshot along; whoever did the work answers through it. A job that fails
//! fails only its own submitter. A submitter that waits for room is not in the queue yet, and one that would rather
//! not wait uses `try_submit`. The clock is paused, so this takes no time.
//!
//! `cargo run --example work-queue`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use backpressure::{BackpressureConfig, SendError, Sender, ServiceSink, channel};
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tower::service_fn;

const QUEUE: usize = 6;
const CONCURRENCY: usize = 3;

type Answer = anyhow::Result<u64>;
type Job = (u64, oneshot::Sender<Answer>);

#[derive(Clone)]
struct WorkQueue {
    jobs: Sender<Job>,
}

impl WorkQueue {
    /// Waits for room, then for the answer.
    async fn submit(&self, number: u64) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.jobs.send((number, reply)).await?;
        answer.await.context("the worker is gone")?
    }

    /// Waits for the answer, but not for room.
    async fn try_submit(&self, number: u64) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.jobs.try_send((number, reply))?;
        answer.await.context("the worker is gone")?
    }
}

/// What the workers do: 10 ms of thought. They dislike sevens.
async fn square(number: u64, busy: &AtomicUsize) -> Answer {
    ensure!(!number.is_multiple_of(7), "{number} is a multiple of seven");
    assert!(busy.fetch_add(1, Ordering::Relaxed) < CONCURRENCY);
    sleep(Duration::from_millis(10)).await;
    busy.fetch_sub(1, Ordering::Relaxed);
    Ok(number * number)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let (jobs, queued) = channel(BackpressureConfig::builder().capacity(QUEUE).build()?);
    let queue = WorkQueue { jobs };
    let busy = Arc::new(AtomicUsize::new(0));
    let worker = service_fn(move |(number, reply): Job| {
        let busy = Arc::clone(&busy);
        async move {
            let _ = reply.send(square(number, &busy).await); // a submitter that has gone needs no answer
            Ok::<_, Infallible>(())
        }
    });
    let workers = tokio::spawn(queued.map(Ok).forward(ServiceSink::new(worker).concurrency(CONCURRENCY)?));

    let start = Instant::now();
    let answers = join_all((1..=30).map(|number| queue.submit(number))).await;
    for (number, answer) in (1..=30).zip(&answers) {
        match answer {
            Ok(square) => assert_eq!(*square, number * number),
            Err(error) => println!("job {number} failed alone: {error}"),
        }
    }
    let done = answers.iter().flatten().count();
    println!("30 jobs, {done} done, {CONCURRENCY} at a time, in {:?}", start.elapsed());
    assert_eq!(done, 26);
    assert_eq!(start.elapsed(), Duration::from_millis(10) * 26_u32.div_ceil(CONCURRENCY as u32));

    let answers = join_all((101..=120).map(|number| queue.try_submit(number))).await;
    let refused = answers.iter().filter(|answer| matches!(answer, Err(error) if error.is::<SendError<Job>>())).count();
    println!("20 more at once, without waiting for room: {refused} refused, the queue holds {QUEUE}");
    assert_eq!(refused, 20 - QUEUE);

    drop(queue);
    workers.await??;
    Ok(())
}
