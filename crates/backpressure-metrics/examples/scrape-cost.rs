//! What a scrape of 10 000 parts costs: the handler of `/metrics`, from the request to the last byte of the answer's body.
//!
//! Linux only: the processor time comes from `/proc`. `--histograms` gives every part latencies, which are 20 lines more of each;
//! `--stalled` makes every part wait for the last one; `--once` scrapes a single time, for callgrind.
//!
//! `cargo run --release -p backpressure-metrics --example scrape-cost`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use backpressure_core::{BackpressureConfig, BoundedBuffer, FlushReason, Flushed, Moved, Recorder, Tag, Work};
use backpressure_metrics::{Observation, Registry, scrape};
use http_body_util::BodyExt;
use tower::ServiceExt;

const PARTS: usize = 10_000;
const SCRAPES: usize = 21;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let is_asked = |option: &str| arguments.iter().any(|argument| argument == option);
    let has_histograms = is_asked("--histograms");
    let scrapes = if is_asked("--once") { 1 } else { SCRAPES };
    let registry = Registry::new();
    let begin = used()?;
    let mut recorders = Vec::new();
    let mut parts = Vec::new();
    for n in 0..PARTS {
        let recorder = recorder(n, has_histograms)?;
        parts.push(registry.add(&format!("part {n}"), recorder.gauge())?);
        recorders.push(recorder);
    }
    for pair in parts.windows(2) {
        registry.link(&pair[0], &pair[1])?;
    }
    println!("to add and link them {:?}", used()? - begin);
    if is_asked("--stalled") {
        stall(&recorders);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let app: Router = Router::new().route("/metrics", scrape(&registry));
    let mut costs = Vec::new();
    let mut length = 0;
    for _ in 0..scrapes {
        let begin = used()?;
        black_box(observed(&registry));
        let between = used()?;
        length = runtime.block_on(scraped(app.clone()))?;
        costs.push((used()? - between, between - begin));
    }
    costs.sort();
    let (scraped, observed) = costs[costs.len() / 2];
    println!("a scrape of {PARTS} parts, {length} bytes, the median of {scrapes}: {scraped:?}");
    println!("  of which to look at the parts {observed:?}");
    Ok(())
}

#[inline(never)]
fn observed(registry: &Registry) -> Observation {
    registry.observe(Instant::now())
}

/// The length of the answer.
async fn scraped(app: Router) -> Result<usize, Box<dyn std::error::Error>> {
    let request = Request::builder().uri("/metrics").body(Body::empty())?;
    let mut body = app.oneshot(request).await?.into_body();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += black_box(frame?).data_ref().map_or(0, |data| data.len());
    }
    Ok(length)
}

/// Every part works, and somebody waits for room in each but the first: all wait for the last.
fn stall(recorders: &[Recorder]) {
    for (n, recorder) in recorders.iter().enumerate() {
        recorder.reporter().works(Work::Busy);
        if n > 0 {
            recorder.reporter().producer_waits();
        }
    }
    std::thread::sleep(Duration::from_millis(20));
}

/// A part that has seen something: half of its buffer is full.
fn recorder(n: usize, has_histograms: bool) -> Result<Recorder, Box<dyn std::error::Error>> {
    let config = BackpressureConfig::builder().capacity(100).build()?;
    let mut buffer = BoundedBuffer::new(&config);
    let mut recorder = Recorder::new(&config, Instant::now, false);
    for item in 0..50 {
        let _ = buffer.offer(item, Tag::default());
    }
    let _ = recorder.update(&buffer, Moved::NOTHING);
    if has_histograms {
        let latency = Duration::from_micros(n as u64);
        recorder.reporter().flushed(Flushed { at: Instant::now(), latency, items: 10, reason: FlushReason::Full });
    }
    Ok(recorder)
}

/// The time that this thread has been on a processor.
fn used() -> Result<Duration, Box<dyn std::error::Error>> {
    let times = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(times.split(' ').next().unwrap_or_default().parse()?))
}
