//! gRPC in front of a database: calls are shed, and streams slowed, by the pressure of the controller behind them.
//!
//! ```text
//!  Put     ──▶ ShedLayer ─────▶ push ──▶ ┌────────────────────────┐  Vec<Reading>  ┌────────┐
//!          ◀── RESOURCE_EXHAUSTED        │ BackpressureController │───────────────▶│ SQLite │
//!              + retry pushback          │ Gauge: Normal ‥ Blocked│◀───────────────│        │
//!  PutAll  ──▶ HTTP/2 window ─▶ push ──▶ └────────────────────────┘   committed    └────────┘
//!          ◀── fills while push waits
//! ```
//!
//! A call of the unary method `Put` is small and quick to refuse: under pressure it is shed, and the client tries again
//! when it is told to. A stream that has been admitted cannot be refused without losing what it has sent. It need
//! not be: while the buffer is full nobody reads it, and HTTP/2's flow control stops the sender.
//!
//! `cargo run --release --example tonic-ingest` shows it in one process, in seven seconds: the server; a thousand calls a
//! second to it, and one endless stream. After two seconds the database is locked for a while. In the end there are as
//! many rows as readings that were accepted, or it exits with a failure.
//!
//! In two terminals:
//!
//! ```text
//! cargo run --release --example tonic-ingest -- serve 127.0.0.1:50051
//! cargo run --release --example tonic-ingest -- load 127.0.0.1:50051
//! ```
//!
//! The protocol is in `ingest.proto`. It is compiled by `build.rs`, without a `protoc`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a terminal program: printing is its purpose")]

#[path = "../common/fresh.rs"]
mod fresh;
mod load;
#[path = "../axum-ingest/report.rs"]
mod report;
mod server;
#[path = "../axum-ingest/store.rs"]
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

/// What `build.rs` has made of `ingest.proto`.
mod proto {
    #![allow(unreachable_pub, missing_docs, clippy::all, reason = "generated")]
    tonic::include_proto!("ingest.v1");
}

const MS: Duration = Duration::from_millis(1);

/// How long a shutdown may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server ends with that has abandoned or lost something.
const INCOMPLETE: u8 = 2;

#[derive(Debug, Parser)]
#[command(about = "gRPC in front of a database, with backpressure")]
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
    let store = Store::fresh("tonic-ingest")?;
    let (stop, stopped) = oneshot::channel::<()>();
    let graceful = GracefulShutdown::when(PATIENCE, async { stopped.await.unwrap_or_default() });
    let server = Server::bind("127.0.0.1:0".parse()?, &store, graceful)?;
    println!("grpc://{} into {}\n", server.address, store.path().display());
    let timeline = Timeline::start(&server);
    let locked = tokio::spawn(store.lock_after(2000 * MS, 1500 * MS));
    let sent = Load { address: server.address, lasting: 5000 * MS }.run().await?;
    locked.await??;

    drop(stop);
    let ended = server.ended().await?;
    timeline.finish();
    println!("\nclients  {sent}\n{ended}");
    let rows = store.count()?;
    let balances = rows == ended.accepted && rows == sent.accepted();
    println!(
        "database {rows} rows{}",
        if balances { ", as many as readings were accepted" } else { ": THAT IS WRONG" }
    );
    Ok(if balances { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn serve(address: SocketAddr) -> anyhow::Result<ExitCode> {
    let graceful = GracefulShutdown::on_signal(PATIENCE)?;
    let store = Store::fresh("tonic-ingest")?;
    let server = Server::bind(address, &store, graceful)?;
    println!("grpc://{} into {}\n", server.address, store.path().display());
    let timeline = Timeline::start(&server);
    let ended = server.ended().await?;
    timeline.finish();
    println!("\n{ended}\ndatabase {} rows", store.count()?);
    Ok(if ended.is_complete() { ExitCode::SUCCESS } else { INCOMPLETE.into() })
}
