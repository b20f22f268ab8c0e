//! What the page costs the process that it watches: 100 parts, 10 pages open.
//!
//! The parts do nothing, so whatever time the process uses is the page's. Each page is read by a `curl` of its own, which is
//! another process. Linux only: the time comes from `/proc`.
//!
//! `cargo run --release -p backpressure-metrics --example dashboard-cost`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use backpressure_core::{BackpressureConfig, BoundedBuffer, FlushReason, Flushed, Moved, Recorder, Tag};
use backpressure_metrics::{Registry, dashboard};

const PARTS: usize = 100;
const PAGES: usize = 10;
const LASTING: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new();
    let mut parts = Vec::new();
    for n in 0..PARTS {
        parts.push(part(&registry, n)?);
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let address = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr();
        tokio::spawn(axum::serve(listener, dashboard::<()>(&registry) as Router).into_future());
        address
    })?;
    let url = format!("http://{address}/events");
    println!("without a page      {}", share(LASTING / 6)?);
    let pages = (0..PAGES).map(|_| page(&url)).collect::<Result<Vec<_>, _>>()?;
    wait(Duration::from_secs(2));
    println!("with {PAGES} pages open  {}", share(LASTING)?);
    for mut page in pages {
        page.kill()?;
        page.wait()?;
    }
    Ok(())
}

/// A part that has seen something: half of its buffer is full, and its flushes had latencies.
fn part(registry: &Registry, n: usize) -> Result<Recorder, Box<dyn std::error::Error>> {
    let config = BackpressureConfig::builder().capacity(1000).build()?;
    let mut buffer = BoundedBuffer::new(&config);
    let mut recorder = Recorder::new(&config, Instant::now, true);
    for item in 0..500 {
        let _ = buffer.offer(item, Tag::default());
    }
    let _ = recorder.update(&buffer, Moved::NOTHING);
    for millis in 0..100 {
        let latency = Duration::from_millis(millis * n as u64);
        recorder.reporter().flushed(Flushed { at: Instant::now(), latency, items: 10, reason: FlushReason::Full });
    }
    registry.add(&format!("part {n}"), recorder.gauge())?;
    Ok(recorder)
}

fn page(url: &str) -> std::io::Result<Child> {
    Command::new("curl").args(["--silent", "--no-buffer", url]).stdout(Stdio::null()).spawn()
}

/// The share of one core that this process uses meanwhile.
fn share(lasting: Duration) -> Result<String, Box<dyn std::error::Error>> {
    let (before, start) = (used()?, Instant::now());
    wait(lasting);
    let (used, passed) = (used()?.saturating_sub(before), start.elapsed());
    let percent = 100.0 * used.as_secs_f64() / passed.as_secs_f64();
    Ok(format!("{used:?} of processor time in {passed:.0?}: {percent:.3} % of a core"))
}

/// The time that all threads of this process have been on a processor.
fn used() -> Result<Duration, Box<dyn std::error::Error>> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir("/proc/self/task")? {
        let times = fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += Duration::from_nanos(times.split(' ').next().unwrap_or_default().parse()?);
    }
    Ok(sum)
}

fn wait(time: Duration) {
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    let _ = receiver.recv_timeout(time);
}
