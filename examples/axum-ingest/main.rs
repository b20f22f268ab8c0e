//! HTTP in front of a database: requests are shed while the controller behind them is under pressure.
//!
//! ```text
//!              503 + Retry-After                         Gauge: Normal ‥ Blocked
//!            ┌───────────────────┐◀──────────────────────────────┐
//!  POST ────▶│ ShedLayer         │   push    ┌────────────────┐  │  Vec<Reading>  ┌────────┐
//!  /readings │ (before the body  │──────────▶│ BackpressureCo │──┴───────────────▶│ SQLite │
//!            │  is even read)    │  handler  │ ntroller       │◀─────────────────│        │
//!            └───────────────────┘           └────────────────┘     committed     └────────┘
//! ```
//!
//! `cargo run --release --example axum-ingest` shows it all in one process, in seven seconds: the server, and clients that
//! send 20 000 lines a second to it, over HTTP. After two seconds the database is locked for a while, as a backup would lock
//! it. The buffer fills, the state rises to `blocked`, and clients are told when to come back; they do. In the end there
//! are as many rows as lines that were accepted, or it exits with a failure.
//!
//! In two terminals:
//!
//! ```text
//! cargo run --release --example axum-ingest -- serve 127.0.0.1:3000
//! cargo run --release --example axum-ingest -- load 127.0.0.1:3000
//! curl -i 127.0.0.1:3000/readings -d '{"device":"pump-7","at_ms":1700000000000,"value":3.5}'
//! curl -i 127.0.0.1:3000/ready
//! curl -i 127.0.0.1:3000/metrics
//! ```
//!
//! and `http://127.0.0.1:3000/pressure` in a browser.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a terminal program: printing is its purpose")]

#[path = "../common/fresh.rs"]
mod fresh;
mod intake;
mod load;
mod report;
mod server;
mod store;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use backpressure::shutdown::GracefulShutdown;
use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::load::Load;
use crate::report::Timeline;
use crate::server::Server;
use crate::store::Store;

const MS: Duration = Duration::from_millis(1);

/// How long a shutdown may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server ends with that has abandoned or lost something.
const INCOMPLETE: u8 = 2;

#[derive(Debug, Parser)]
#[command(about = "HTTP in front of a database, with backpressure")]
struct Args {
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Server and clients in one process (the default).
    Demo,
    /// The server, until SIGTERM or Ctrl-C. Exits with 2 if something it had accepted was abandoned or failed.
    Serve { address: SocketAddr },
    /// Clients, for five seconds.
    Load { address: SocketAddr },
}

fn main() -> anyhow::Result<ExitCode> {
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(run(Args::parse().mode.unwrap_or(Mode::Demo)));
    // Not just dropped: a write to a database that is locked would be waited for. Tasks have the time to drop what they hold,
    // for the database goes with the last of them.
    runtime.shutdown_timeout(500 * MS);
    ended
}

async fn run(mode: Mode) -> anyhow::Result<ExitCode> {
    match mode {
        Mode::Demo => demo().await,
        Mode::Serve { address } => serve(address).await,
        Mode::Load { address } => {
            println!("{}", Load { address, lasting: 5000 * MS }.run().await?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn demo() -> anyhow::Result<ExitCode> {
    let store = Store::fresh("axum-ingest")?;
    let (stop, stopped) = oneshot::channel::<()>();
    let graceful = GracefulShutdown::when(PATIENCE, async { stopped.await.unwrap_or_default() });
    let server = Server::bind("127.0.0.1:0".parse()?, &store, graceful).await?;
    println!("http://{} into {}\n", server.address, store.path().display());
    let timeline = Timeline::start(&server);
    let locked = tokio::spawn(store.lock_after(2000 * MS, 1500 * MS));
    let sent = Load { address: server.address, lasting: 5000 * MS }.run().await?;
    locked.await??;

    drop(stop);
    let ended = server.ended().await?;
    timeline.finish();
    println!("\nclients  {sent}\n{ended}");
    let rows = store.count()?;
    let balances = rows == ended.accepted && rows == sent.accepted;
    println!("database {rows} rows{}", if balances { ", as many as lines were accepted" } else { ": THAT IS WRONG" });
    Ok(if balances { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn serve(address: SocketAddr) -> anyhow::Result<ExitCode> {
    let graceful = GracefulShutdown::on_signal(PATIENCE)?;
    let store = Store::fresh("axum-ingest")?;
    let server = Server::bind(address, &store, graceful).await?;
    println!("http://{} into {}\n", server.address, store.path().display());
    let timeline = Timeline::start(&server);
    let ended = server.ended().await?;
    timeline.finish();
    println!("\n{ended}\ndatabase {} rows", store.count()?);
    Ok(if ended.is_complete() { ExitCode::SUCCESS } else { INCOMPLETE.into() })
}
