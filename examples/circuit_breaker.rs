//! A circuit breaker, tower's retry, its concurrency limit and its timeout, all in front of one flush.
//!
//! ```text
//!  push ──▶ controller ──▶ breaker ──▶ retry ──▶ limit ──▶ timeout ──▶ database
//!    ▲          │            │
//!    └─ waits ──┘◀─ Pending ─┘   while the circuit is open
//! ```
//!
//! The controller flushes into any `tower::Service<Vec<T>>`, so nothing here is special to it. The breaker comes from the
//! crate `tower-resilience-circuitbreaker`. In its backpressure mode an open circuit is a service that is not ready: the
//! controller keeps its batches, the buffer fills, and the producers wait. Nobody hammers a database that is down, and
//! nothing is lost.
//!
//! The database here is a stand-in that hangs for two seconds. `cargo run --release --example circuit-breaker` shows what
//! happens before, during and after; it takes five seconds.

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::convert::Infallible;
use std::future::{pending, ready};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureController, Gauge, Strategy};
use tokio::time::{Instant, interval, sleep};
use tower::retry::Policy;
use tower::{BoxError, ServiceBuilder};
use tower_resilience_circuitbreaker::{CircuitBreakerHandle, CircuitBreakerLayer};

const MS: Duration = Duration::from_millis(1);

/// When the database hangs, counted from the start.
const OUTAGE: std::ops::Range<Duration> = Duration::from_secs(1)..Duration::from_secs(3);

/// A database that writes a batch in 5 ms, or never answers.
#[derive(Debug)]
struct Database {
    start: Instant,
    rows: AtomicU64,
    asked_in_vain: AtomicU64,
}

impl Database {
    async fn write(&self, batch: Vec<u64>) -> Result<(), Infallible> {
        if OUTAGE.contains(&self.start.elapsed()) {
            self.asked_in_vain.fetch_add(1, Ordering::Relaxed);
            return pending().await;
        }
        sleep(5 * MS).await;
        self.rows.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// tower's retry: a batch that failed is tried once more at once, in case it was a hiccup.
#[derive(Debug, Clone)]
struct OnceMore(bool);

impl Policy<Vec<u64>, (), BoxError> for OnceMore {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Vec<u64>, result: &mut Result<(), BoxError>) -> Option<Self::Future> {
        (result.is_err() && std::mem::take(&mut self.0)).then(|| ready(()))
    }

    fn clone_request(&mut self, batch: &Vec<u64>) -> Option<Vec<u64>> {
        Some(batch.clone())
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let start = Instant::now();
    let database = Arc::new(Database { start, rows: AtomicU64::new(0), asked_in_vain: AtomicU64::new(0) });
    let (breaker, circuit) = CircuitBreakerLayer::builder()
        .consecutive_failures(2)
        .wait_duration_in_open(500 * MS)
        .permitted_calls_in_half_open(1)
        .backpressure()
        .build_with_handle()?;
    let flush =
        ServiceBuilder::new().layer(breaker).retry(OnceMore(true)).concurrency_limit(2).timeout(100 * MS).service_fn({
            let database = Arc::clone(&database);
            move |batch| {
                let database = Arc::clone(&database);
                async move { database.write(batch).await }
            }
        });

    let config = BackpressureConfig::builder()
        .capacity(2_000)
        .batch_items(100)
        .strategy(Strategy::block_forever())
        .flush_interval(20 * MS, 200 * MS)
        .build()?;
    // The controller's own retry is patient: a batch that failed waits here until the breaker lets it through.
    let controller =
        BackpressureController::builder(config).flush(flush).concurrency(2).retry([50 * MS; 20]).spawn()?;

    let report = tokio::spawn(report(start, controller.gauge(), circuit));
    let mut pace = interval(5 * MS);
    let mut event = 0;
    while start.elapsed() < Duration::from_secs(5) {
        pace.tick().await;
        for _ in 0..10 {
            controller.push(event).await?;
            event += 1;
        }
    }
    let drained = controller.drain(Duration::from_secs(5)).await;
    report.abort();

    let rows = database.rows.load(Ordering::Relaxed);
    let in_vain = database.asked_in_vain.load(Ordering::Relaxed);
    println!("\n{event} events pushed, {rows} rows written, {} abandoned", drained.abandoned.len());
    println!("the database was asked {in_vain} times while it was down");
    Ok(if rows == event { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Four lines a second.
async fn report(start: Instant, gauge: Gauge, circuit: CircuitBreakerHandle) {
    let mut every = interval(250 * MS);
    loop {
        every.tick().await;
        let snapshot = gauge.snapshot();
        println!(
            "{:4.2} s   circuit {:<9} buffer {:<9} {:>3.0} %   delivered {:>5}   failed {}",
            start.elapsed().as_secs_f64(),
            format!("{:?}", circuit.state()),
            snapshot.state,
            snapshot.utilization * 100.0,
            snapshot.counts.delivered,
            snapshot.counts.failed(),
        );
    }
}
