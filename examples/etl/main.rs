//! Extract, transform, load: from an HTTP API that fails into a database, and never a record lost or doubled.
//!
//! ```text
//!  GET /records/…/250       eight at once,      a transaction each:
//!  ┌──────────────┐ page   ┌─────────────┐ row ┌───────────────────┐
//!  │ source.rs    │───────▶│ transform.rs│────▶│ rows + checkpoint │ target/
//!  │ tries again  │ 1 ahead│ in order    │ 1000│ SQLite, PostgreSQL│
//!  └──────▲───────┘        └─────────────┘     └─────────┬─────────┘
//!         └───────────── where to begin ─────────────────┘
//! ```
//!
//! The checkpoint is the position of the next record, and it is written in the transaction of the rows before it. Whenever this
//! ends, by kill -9 or a power failure, the next run begins with the first record that is not there. Rows stay in order, so that
//! one number is enough: `buffered` keeps it while eight records are transformed at once.
//!
//! `cargo run --release --example etl` starts a server of its own, with pages of the bundled earthquakes, that refuses, breaks off
//! or hangs at one request in five. End it in any way you like, run it again with the same `--db`, and compare.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a terminal program: printing is its purpose")]

#[path = "../common/fresh.rs"]
mod fresh;
mod server;
mod source;
mod target;
mod transform;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use backpressure::{BackpressureConfig, BackpressureStreamExt, BatchConfig};
use clap::Parser;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::source::Source;
use crate::target::Target;
use crate::transform::{Row, transform};

/// Records that are transformed at once.
const AT_ONCE: usize = 8;

/// Reads records from an HTTP API that fails now and then, transforms eight at once, and writes them into a database with a
/// checkpoint in the same transaction. Begins where the last run ended, however it did.
#[derive(Debug, Parser)]
#[command(name = "etl")]
struct Args {
    /// The SQLite database to go on with. [default: one in a new directory for temporary files]
    #[arg(long, value_name = "PATH")]
    db: Option<PathBuf>,

    /// PostgreSQL instead.
    #[arg(long, value_name = "postgres://…", conflicts_with = "db")]
    database: Option<tokio_postgres::Config>,

    /// Records that the server has.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    records: u64,

    /// Records in a page.
    #[arg(long, value_name = "N", default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    page: u64,

    /// Most rows in a transaction.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let mut target = match args.database {
        Some(config) => Target::postgres(config).await.context("cannot open the database")?,
        None => {
            let fresh = || Ok(fresh::directory(&std::env::temp_dir(), "etl")?.join("rows.db"));
            let path = args.db.map_or_else(fresh, anyhow::Ok)?;
            println!("into {}", path.display());
            Target::sqlite(&path).with_context(|| format!("cannot open {}", path.display()))?
        }
    };
    let (start, from) = (Instant::now(), target.checkpoint().await?);
    let server = server::start(args.records).await?;
    println!("from record {from}");

    let source = Source::new(server, args.page)?;
    let one_page = BackpressureConfig::builder().capacity(1).build()?;
    let rows_ahead = BackpressureConfig::builder().capacity(2 * args.batch as usize).build()?;
    let batch =
        BatchConfig::builder().max_items(args.batch as usize).linger(std::time::Duration::from_secs(1)).build()?;
    let rows = source
        .pages(from)
        .backpressure(one_page)
        .spawn() // The next page is on its way while this one is worked on.
        .map_ok(|page| stream::iter(page).map(anyhow::Ok))
        .try_flatten()
        .map(|record| async { tokio::task::spawn_blocking(|| transform(record?)).await? })
        .buffered(AT_ONCE)
        .backpressure(rows_ahead)
        .spawn(); // And the next rows are made while these are written.
    let mut batches = std::pin::pin!(rows.try_micro_batch(batch));

    // What came before an error is a batch before it, and written.
    let mut written = 0;
    while let Some(rows) = batches.try_next().await? {
        let next = target.load(from + written, &rows).await?;
        written = next - from;
    }
    let failures = server::failures();
    let per_second = written as f64 / start.elapsed().as_secs_f64();
    println!("{written} records in this run, {per_second:.0} a second; {failures} failures of the server on the way");
    println!("complete: {} of {} records are in the database", target.checkpoint().await?, args.records);
    Ok(())
}
