//! Real events into a real database, through a backpressure controller.
//!
//! ```text
//!  file, stdin, tcp        the controller                      SQLite
//! ┌─────────────────┐ push ┌────────────────┐ Vec<Event> ┌────────────────────────┐
//! │ lines ▸ event   │─────▶│ bounded buffer │───────────▶│ one transaction each   │
//! │ (producer.rs)   │◀─────│ state, ledger  │◀───────────│ (store.rs, database.rs)│
//! └─────────────────┘ wait └───────┬────────┘ Pending    └────────────▲───────────┘
//!                                  │ gauge                            │ lock
//!                           view.rs, report.rs                     stall.rs
//! ```
//!
//! `cargo run --release --example ingest` replays the bundled earthquakes as fast as it goes; `-- --help` lists what else
//! it can do. It exits with 0 if every event was delivered, or given up as the strategy says, and every line, event and row is
//! accounted for; with 2 if some failed or were abandoned.

// A terminal program: printing is its purpose.
#![allow(clippy::print_stderr)]

mod args;
mod database;
mod ending;
mod event;
mod frame;
#[path = "../common/fresh.rs"]
mod fresh;
mod human;
mod lines;
mod pace;
mod producer;
mod rates;
mod report;
mod run;
mod source;
mod stall;
mod stop;
mod store;
mod tally;
mod view;

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
