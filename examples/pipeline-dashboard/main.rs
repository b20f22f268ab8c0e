//! A pipeline to look at, under a load that changes.
//!
//! ```text
//!  generator ──▶ source ──▶ parse ──▶ enrich ──▶ database
//!   2 000/s      channel    channel   BatchLayer  BackpressureController
//!                drops      blocks    32 a lookup 200 a write
//!                what is
//!                too much
//! ```
//!
//! `cargo run --release --example pipeline-dashboard` prints an address. Open it in a browser. Each minute begins calm; then there is a
//! rush; then the database is slow for a quarter of a minute, everything before it fills up and is blocked, and the source loses
//! what does not fit. The page says that it is the database. Then it recovers.
//!
//! `--seconds 60` ends it after a minute, Ctrl-C whenever you like; either way it drains, and counts what became of everything. For a
//! Prometheus there is `/metrics`, and in `dashboards/` a board for Grafana and rules for alerts.

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

mod load;
mod pipeline;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use backpressure::shutdown::{GracefulShutdown, requested};
use backpressure_metrics::{Dashboard, Registry, scrape};
use clap::Parser;
use tokio::net::TcpListener;

use crate::load::Load;
use crate::pipeline::Pipeline;

/// How long the rest may take at the end: longer than the database is slow.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
#[command(about = "A pipeline to look at, under a load that changes")]
struct Args {
    /// Where the page is served.
    #[arg(long, default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// The second of the minute to begin with: from 20 on there is a rush, from 30 on the database is slow, from 45 on all is calm.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..60))]
    at: u64,
    /// How long it lasts; without this, until Ctrl-C.
    #[arg(long)]
    seconds: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let asked_to_end = requested()?;
    let load = Load::starting_at(args.at);

    let registry = Registry::new();
    let pipeline = Pipeline::start(load, &registry)?;
    let books = pipeline.books();
    let dashboard = Dashboard::new(&registry);
    let _recording = dashboard.record();

    let listener = TcpListener::bind(args.address).await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/metrics", scrape(&registry)).nest("/pressure", dashboard.router());
    println!("http://{address}/pressure shows it\nhttp://{address}/metrics  is for Prometheus");

    let graceful = GracefulShutdown::when(PATIENCE, async move {
        match args.seconds {
            Some(seconds) => tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
                _ = asked_to_end => {}
            },
            None => drop(asked_to_end.await),
        }
    });
    let closing = graceful.closing();
    let serve = axum::serve(listener, router).with_graceful_shutdown(async move {
        closing.await;
        dashboard.close(); // Its pages would be waited for.
    });
    // The pipeline is drained first, so that the page shows how it ends.
    let report =
        graceful.requests("pipeline", move |time| pipeline.drain(time)).server("page", serve.into_future()).run().await;
    let ended = books.read();
    println!("{report}\n{ended}");
    Ok(if ended.balances() { report.exit_code() } else { ExitCode::FAILURE })
}
