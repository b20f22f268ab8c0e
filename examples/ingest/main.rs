//! Real events into a real database, through a backpressure controller.
//!
//! ```text
//!  file, stdin, tcp        the controller                 SQLite, PostgreSQL
//! ┌─────────────────┐ push ┌────────────────┐ Vec<Event> ┌────────────────────────┐
//! │ lines ▸ event   │─────▶│ bounded buffer │───────────▶│ one transaction each   │
//! │ (producer.rs)   │◀─────│ state, ledger  │◀───────────│ (store.rs, database.rs)│
//! └─────────────────┘ wait └───────┬────────┘ Pending    └────────────▲───────────┘
//!                                  │ registry                         │ lock
//!                           view.rs, report.rs                     stall.rs
//! ```
//!
//! `cargo run --release --example ingest` tells a story of 20 seconds: the bundled earthquakes at an even pace, and a database that
//! stops answering for three of them, while the buffer fills, and drains again. Keys stall it, speed it up and slow it down.
//! `-- --flat-out` replays as fast as it goes, and `-- --help` lists what else it can do. It exits with 0 if every event was delivered, or given up as the strategy says, and every line, event and row is
//! accounted for; with 2 if some failed or were abandoned.

// A terminal program: printing is its purpose.
#![allow(clippy::print_stderr)]

mod args;
#[path = "../common/copy_columns.rs"]
mod copy_columns;
mod copy_text;
mod database;
mod ending;
mod event;
mod frame;
#[path = "../common/fresh.rs"]
mod fresh;
mod history;
mod human;
mod keys;
mod lines;
mod pace;
mod picture;
mod postgres;
#[path = "../common/postgres_link.rs"]
mod postgres_link;
mod producer;
mod rates;
mod report;
mod run;
mod screen;
mod source;
mod stall;
mod stop;
mod store;
mod tally;
mod view;
mod watched;

use std::process::ExitCode;

use crate::args::Args;

fn main() -> ExitCode {
    let args = Args::from_command_line();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failure(&error.into()),
    };
    let outcome = runtime.block_on(run::run(args));
    // Not dropped: a read of standard input that nothing answers would be waited for.
    runtime.shutdown_background();
    match outcome {
        Ok(ending) => ending.into(),
        Err(error) => failure(&error),
    }
}

fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
