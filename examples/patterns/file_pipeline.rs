//! A pipeline from file to file with a transform in the middle.
//!
//! ```text
//!  earthquakes.ndjson ──▶ lines ──▶ up to 64 lines ──▶ the strong ones, as CSV ──▶ strong.csv
//!                     ◀── nothing is read without room ◀── nothing is taken before the last write is done
//! ```
//!
//! `forward` goes back to the reader once the writer has taken the line before, so the file that is written sets the
//! pace, and memory is bounded whatever the length of the file that is read.
//!
//! `cargo run --example file-pipeline`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

#[path = "../common/fresh.rs"]
mod fresh;

use std::future::ready;

use anyhow::Context;
use backpressure::{BackpressureConfig, BackpressureStreamExt};
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio::fs::File;
use tokio_util::codec::{FramedRead, FramedWrite, LinesCodec};

const INPUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/earthquakes.ndjson");

/// Lines read ahead of the transform.
const AHEAD: usize = 64;

/// The longest line that is believed.
const LONGEST: usize = 64 * 1024;

#[derive(Deserialize)]
struct Earthquake {
    mag: f64,
    place: String,
}

/// A row for a strong earthquake, nothing for a weak one.
fn transform(line: &str) -> anyhow::Result<Option<String>> {
    let Earthquake { mag, place } = serde_json::from_str(line).context("not an earthquake")?;
    Ok((mag >= 5.0).then(|| format!("{mag},\"{place}\"")))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let directory = fresh::directory(&std::env::temp_dir(), "strong-earthquakes")?;
    let output = directory.join("strong.csv");

    let config = BackpressureConfig::builder().capacity(AHEAD).build()?;
    let reader = FramedRead::new(File::open(INPUT).await?, LinesCodec::new_with_max_length(LONGEST));
    let lines = reader.backpressure(config);
    let gauge = lines.gauge();
    let mut most_ahead = 0;

    let writer = FramedWrite::new(File::create(&output).await?, LinesCodec::new());
    lines
        .inspect(|_| most_ahead = most_ahead.max(gauge.snapshot().counts.queued))
        .map(|line| transform(&line?))
        .try_filter_map(|row| ready(Ok(row)))
        .forward(writer.sink_err_into())
        .await?;

    let written = std::fs::read_to_string(&output)?;
    std::fs::remove_dir_all(&directory)?;
    println!(
        "{} lines read, {} strong earthquakes written",
        gauge.snapshot().counts.delivered,
        written.lines().count()
    );
    println!("at most {most_ahead} lines were held between the files; the bound is {AHEAD}");
    println!("the first row: {}", written.lines().next().unwrap_or_default());

    let expected = std::fs::read_to_string(INPUT)?.lines().filter_map(|line| transform(line).transpose()).count();
    assert_eq!(written.lines().count(), expected, "every strong earthquake has its row");
    assert!((1..=AHEAD as u64).contains(&most_ahead));
    Ok(())
}
