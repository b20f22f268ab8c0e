//! A transform with a bound of its own on either side: items on one, bytes on the other.
//!
//! ```text
//!  records ──▶ at most 16 records ──▶ render ──▶ at most 4 KiB of text ──▶ a slow writer
//!          ◀── no record without room ◀────────── no record rendered without room
//! ```
//!
//! Records are all alike before they are rendered, so they are counted; afterwards one has ten bytes and another six
//! hundred, so they are weighed. `Bytes`, `String` and `Vec<u8>` weigh their length. Both sides have a gauge, and
//! `Gauge::worst_of` says how close to the edge the transform is as a whole.
//!
//! The writer takes a millisecond for each text, on a paused clock.
//!
//! `cargo run --example two-bounds`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::convert::Infallible;
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureSink, BackpressureStreamExt, Gauge, State};
use bytes::Bytes;
use futures_util::{StreamExt, sink, stream};
use tokio::time::sleep;

const RECORDS: usize = 1_000;
const MOST_RECORDS: usize = 16;
const MOST_BYTES: usize = 4 * 1024;

/// The transform: a text of 10 to 600 bytes.
fn render(record: usize) -> Bytes {
    format!("{record:08}\n").repeat(1 + record % 67).into()
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let writer = sink::unfold((), |(), text: Bytes| async move {
        sleep(Duration::from_millis(1)).await;
        assert!(text.ends_with(b"\n"));
        Ok::<_, Infallible>(())
    });
    let count = BackpressureConfig::builder().capacity(MOST_RECORDS).build()?;
    let weight = BackpressureConfig::builder().capacity(10_000).max_weight(MOST_BYTES).build()?;
    let records = stream::iter(0..RECORDS).backpressure(count);
    let texts = BackpressureSink::new(writer, weight).weigh_bytes();
    let (before, after) = (records.gauge(), texts.gauge());
    let whole = Gauge::worst_of([before.clone(), after.clone()]);

    let pipeline = tokio::spawn(records.map(render).map(Ok).forward(texts));
    let (mut most_records, mut most_bytes, mut looks) = (0, 0, [0; State::ALL.len()]);
    while !pipeline.is_finished() {
        sleep(Duration::from_millis(1)).await;
        most_records = most_records.max(before.snapshot().counts.queued);
        most_bytes = most_bytes.max(after.snapshot().weight);
        looks[whole.state() as usize] += 1;
    }
    pipeline.await??;

    println!("{RECORDS} records rendered and written");
    println!("before the transform: at most {most_records} of {MOST_RECORDS} records");
    println!("after it: at most {most_bytes} of {MOST_BYTES} bytes");
    for (state, looks) in State::ALL.into_iter().zip(looks).filter(|(_, looks)| *looks > 0) {
        println!("as a whole it was seen {looks} times {state}");
    }
    assert!((1..=MOST_RECORDS as u64).contains(&most_records));
    assert!((MOST_BYTES / 2..=MOST_BYTES).contains(&most_bytes));
    assert_eq!(after.snapshot().counts.delivered, RECORDS as u64);
    Ok(())
}
