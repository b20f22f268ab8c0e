//! More than one machine: workers pull from NATS JetStream at the pace of a database, and nothing is lost when they are killed.
//!
//! ```text
//!  earthquakes ─▶ JetStreamSink ─▶ stream ─▶ PullSource ─▶ controller ─▶ look-up, transaction ─▶ SQLite, PostgreSQL
//!                                  (server)  └────────── N worker processes ────────────┘ key: the number
//!                                     ▲                                │                  of the message
//!                                     └──────── ack after the flush ◀──┘
//! ```
//!
//! `cargo run --release --example jetstream-ingest` starts a nats-server of its own, fills a stream with earthquakes, and runs two
//! workers until every one of them is a row. In the end it compares what was published with what is in the table.
//!
//! * `--chaos` kills a worker every second, without warning, while more is published: `--seconds 120` keeps on for two minutes.
//! * `--workers 1,2,4` does it with one, then two, then four workers, and shows how the throughput grows.
//! * `--flat-out` leaves the database out: how fast deliveries go through all this, beside a loop written by hand. With `--database`
//!   it measures how fast rows get into it, beside the same rows out of memory; `--lookup-ms 0` makes the database the limit.
//! * `--database postgres://…` writes into PostgreSQL instead of a file.
//! * `--url nats://…` uses a server that runs already; the stream is called `backpressure-earthquakes` there.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a terminal program: printing is its purpose")]

mod args;
mod beside_memory;
#[path = "../common/copy_columns.rs"]
mod copy_columns;
mod cpu;
mod crew;
mod fill;
mod flat_out;
#[path = "../common/fresh.rs"]
mod fresh;
mod place;
mod postgres;
#[path = "../common/postgres_link.rs"]
mod postgres_link;
mod report;
mod run;
mod server;
mod sqlite;
mod stream;
mod worker;
mod writer;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Order};

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let args = Args::parse();
    let result = match args.order {
        Some(Order::Worker(order)) => runtime.block_on(worker::work(order)),
        None => runtime.block_on(run::run(&args.settings)),
    };
    // What blocks a thread, such as a closed standard input that is not, is not waited for.
    runtime.shutdown_background();
    result.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("jetstream-ingest: {error:#}");
    ExitCode::FAILURE
}
