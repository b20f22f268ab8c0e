//! Pressure from a database to a source, through `poll_ready` alone.
//!
//! ```text
//!  producer ──▶ channel ──▶ .backpressure(cfg) ──▶ .micro_batch(cfg) ──▶ ServiceSink ──▶ database
//!   waits   ◀──  full   ◀──   not polled       ◀──   not polled      ◀──  Pending  ◀── poll_ready: Pending
//! ```
//!
//! An event comes every millisecond, and the database is not ready for half a second in between. Nobody measures,
//! nobody polls a clock: the sink is not ready, so `forward` asks for no batch, so nothing is pulled, so the channel
//! fills, so the producer waits. Everything is counted: the polls of the pipeline, the wakes of its task, what was
//! pulled. While the database stalls, none of these moves. The clock is paused, so this takes no time.
//!
//! `cargo run --example composition`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureStreamExt, BatchConfig, Gauge, ServiceSink, State, channel};
use futures_util::StreamExt;
use futures_util::task::AtomicWaker;
use tokio::time::{Instant, interval, sleep};
use tower_service::Service;

const MS: Duration = Duration::from_millis(1);
const EVENTS: u64 = 1_000;
const CHANNEL: usize = 50;
const AHEAD: usize = 20;
const BATCH: usize = 10;
const CALLS: usize = 4;

/// A database that writes a batch in 5 ms, unless it is not ready.
#[derive(Default)]
struct Database {
    stalled: AtomicBool,
    waiting: AtomicWaker,
    polls: AtomicU64,
    rows: Mutex<Vec<u64>>,
}

impl Database {
    async fn stall(&self, stalled: bool, after: Duration) {
        sleep(after).await;
        self.stalled.store(stalled, Relaxed);
        self.waiting.wake();
    }

    fn rows(&self) -> Vec<u64> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A connection to it: a tower service.
struct Connection(Arc<Database>);

impl Service<Vec<u64>> for Connection {
    type Response = ();
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<(), Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.polls.fetch_add(1, Relaxed);
        self.0.waiting.register(cx.waker());
        if self.0.stalled.load(Relaxed) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn call(&mut self, batch: Vec<u64>) -> Self::Future {
        let database = Arc::clone(&self.0);
        Box::pin(async move {
            sleep(5 * MS).await;
            database.rows.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
            Ok(())
        })
    }
}

/// Counts how often a future is polled, and how often its task is woken.
#[derive(Default)]
struct Effort {
    polls: AtomicU64,
    wakes: AtomicU64,
    task: AtomicWaker,
}

impl Wake for Effort {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Relaxed);
        self.task.wake();
    }
}

async fn counted<F: Future>(effort: Arc<Effort>, future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::clone(&effort));
    poll_fn(|cx| {
        effort.polls.fetch_add(1, Relaxed);
        effort.task.register(cx.waker());
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let (tx, source) = channel(BackpressureConfig::builder().capacity(CHANNEL).build()?);
    let (database, effort) = (Arc::new(Database::default()), Arc::new(Effort::default()));

    let config = BackpressureConfig::builder().capacity(AHEAD).build()?;
    let batches = BatchConfig::builder().max_items(BATCH).linger(20 * MS).build()?;
    let sink = ServiceSink::new(Connection(Arc::clone(&database))).concurrency(CALLS)?;
    let (queued, calls) = (source.gauge(), sink.gauge());
    let ahead = source.backpressure(config);
    let gauge = Gauge::worst_of([queued.clone(), ahead.gauge(), calls]);
    let pipeline = ahead.micro_batch(batches).map(Ok).forward(sink);

    let pipeline = tokio::spawn(counted(Arc::clone(&effort), pipeline));
    let producer = tokio::spawn(async move {
        for event in 0..EVENTS {
            sleep(MS).await;
            tx.send(event).await?;
        }
        anyhow::Ok(())
    });
    let outage = Arc::clone(&database);
    tokio::spawn(async move {
        outage.stall(true, 210 * MS).await;
        outage.stall(false, 500 * MS).await;
    });

    // Every tenth of a second: what is the state, and how much has moved since the last look?
    println!("           database  state       pulled  written    polls    wakes  polls of the database");
    let start = Instant::now();
    let mut every = interval(100 * MS);
    let (mut before, mut stalls) = ([0; 5], Vec::new());
    while !pipeline.is_finished() {
        every.tick().await;
        let (state, stalled) = (gauge.state(), database.stalled.load(Relaxed));
        let (pulled, written) = (queued.snapshot().counts.delivered, database.rows().len() as u64);
        let [polls, wakes, asked] = [&effort.polls, &effort.wakes, &database.polls].map(|count| count.load(Relaxed));
        let now = [pulled, written, polls, wakes, asked];
        let moved: [u64; 5] = std::array::from_fn(|i| now[i] - before[i]);
        let ms = start.elapsed().as_millis();
        let columns = moved.map(|count| format!("{count:>+9}")).concat();
        println!("{ms:>7} ms {:<9} {:<9}{columns}", if stalled { "stalled" } else { "ready" }, state.to_string());
        assert!(pulled - written <= (AHEAD + (1 + CALLS) * BATCH) as u64, "nothing is pulled without room for it");
        if stalled {
            stalls.push((state, moved));
        }
        before = now;
    }
    producer.await??;
    pipeline.await??;

    let mut rows = database.rows();
    println!("{} events written, each once; {} polls of the pipeline in all", rows.len(), before[2]);
    rows.sort_unstable(); // batches that are under way together may be written in any order
    assert!(rows.into_iter().eq(0..EVENTS));
    assert!(stalls.len() >= 4);
    assert!(stalls[1..].iter().all(|stall| *stall == (State::Blocked, [0; 5])), "at rest nothing moves: {stalls:?}");
    Ok(())
}
