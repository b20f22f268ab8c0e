//! What can be said on the command line.

use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::place::Place;

#[derive(Debug, Parser)]
#[command(about = "Workers that pull from JetStream at the pace of a database", args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) order: Option<Order>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Order {
    /// What the program starts as its workers.
    #[command(hide = true)]
    Worker(WorkerOrder),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// A server that runs already; without it one is started, and stopped at the end
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// How many records are published before the workers start
    #[arg(long, default_value_t = 60_000)]
    pub(crate) records: u64,
    /// How many worker processes; several numbers are tried one after the other
    #[arg(long, value_delimiter = ',', default_values_t = [2], value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) workers: Vec<u8>,
    /// Kills a worker every second, and publishes more meanwhile
    #[arg(long)]
    pub(crate) chaos: bool,
    /// For how long workers are killed
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// Where the rows go: a file of SQLite, which must not exist, or the URL of PostgreSQL, where schemas jetstream_ingest_0, …
    /// are made. Without it a temporary file is made
    #[arg(long, value_name = "PATH|postgres://…")]
    pub(crate) database: Option<Place>,
    /// Rows of a transaction
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) batch: u32,
    /// How long a worker looks something up for each batch, before it writes it
    #[arg(long, default_value_t = 20)]
    pub(crate) lookup_ms: u64,
    /// Measures deliveries without a database, beside a loop written by hand; with --database rows, beside the same from memory
    #[arg(long)]
    pub(crate) flat_out: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WorkerOrder {
    #[arg(long)]
    pub(crate) name: String,
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long)]
    pub(crate) database: Place,
    #[arg(long)]
    pub(crate) batch: u32,
    #[arg(long)]
    pub(crate) lookup_ms: u64,
}

impl WorkerOrder {
    pub(crate) const fn lookup(&self) -> Duration {
        Duration::from_millis(self.lookup_ms)
    }
}
