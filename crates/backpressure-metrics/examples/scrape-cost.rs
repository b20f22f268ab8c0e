//! What a scrape of 10 000 parts costs: to look at them all, and to write the text.
//!
//! Linux only: the processor time comes from `/proc`. `--histograms` gives every part latencies, which are 20 lines more of each;
//! `--once` scrapes a single time, for callgrind.
//!
//! `cargo run --release -p backpressure-metrics --example scrape-cost`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use backpressure_core::{BackpressureConfig, BoundedBuffer, FlushReason, Flushed, Moved, Recorder, Tag};
use backpressure_metrics::prometheus::{Format, render};
use backpressure_metrics::{Observation, Registry};

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
    let mut costs = Vec::new();
    let mut length = 0;
    for _ in 0..scrapes {
        let begin = used()?;
        let seen = black_box(observed(&registry));
        let between = used()?;
        let text = black_box(written(&seen));
        costs.push((between - begin, used()? - between));
        length = text.len();
    }
    costs.sort_by_key(|(observed, written)| *observed + *written);
    let (observed, written) = costs[costs.len() / 2];
    println!("a scrape, the median of {scrapes}: {:?}", observed + written);
    println!("  to look at {PARTS} parts {observed:?}\n  to write {length} bytes {written:?}");
    Ok(())
}

#[inline(never)]
fn observed(registry: &Registry) -> Observation {
    registry.observe(Instant::now())
}

#[inline(never)]
fn written(seen: &Observation) -> String {
    render(seen, Format::Text)
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
