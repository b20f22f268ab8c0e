//! Any handler under a limit that finds itself.
//!
//! ```text
//!  GET /report ──▶ ShedLayer ──▶ handler ──▶ 2 connections × 20 ms each: 100 a second, whoever asks
//!  GET /live   ──▶ bypasses it
//! ```
//!
//! Nobody tells the layer what the handler can do. It watches how many requests are in flight, how many are answered, and
//! how long that takes; it lets in what keeps the handler busy and sheds the rest before the handler hears of it.
//!
//! `cargo run --release --example axum-adaptive` takes eight seconds. It loads a real server over loopback with requests at
//! a steady rate, whatever the answers are, first without the layer and then with it. An answer is of use to somebody for
//! 250 ms, counted from when the request was due. One sees that at twice its capacity the bare server is soon of no
//! use to anybody, while the other does what it can.
//!
//! In two terminals, with a second or more of load at so many requests a second:
//!
//! ```text
//! cargo run --release --example axum-adaptive -- serve 127.0.0.1:3000
//! cargo run --release --example axum-adaptive -- load 127.0.0.1:3000 --rate 200 --seconds 10
//! curl -i 127.0.0.1:3000/report
//! curl -i 127.0.0.1:3000/live
//! ```
//!
//! and `http://127.0.0.1:3000/pressure` in a browser.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a terminal program: printing is its purpose")]

mod load;
mod server;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use backpressure::shutdown::GracefulShutdown;
use backpressure_tower::ShedLayer;
use clap::{Parser, Subcommand};
use tokio::sync::oneshot;

use crate::load::{Load, Seen};
use crate::server::{CAPACITY, Server};

/// How long a shutdown may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Parser)]
#[command(about = "Any handler under a limit that finds itself")]
struct Args {
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Servers and clients in one process (the default).
    Demo,
    /// The server, until SIGTERM or Ctrl-C. Exits with 2 if it has abandoned requests.
    Serve { address: SocketAddr },
    /// Requests at a steady rate.
    Load {
        address: SocketAddr,
        /// Requests a second.
        #[arg(long, default_value_t = 200)]
        rate: u32,
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Args::parse().mode.unwrap_or(Mode::Demo) {
        Mode::Demo => demo().await,
        Mode::Serve { address } => {
            let graceful = GracefulShutdown::on_signal(PATIENCE)?;
            let server = Server::bind(address, Some(ShedLayer::adaptive()), graceful).await?;
            println!("http://{}/report", server.address);
            let report = server.ended().await?;
            println!("\n{report}");
            Ok(report.exit_code())
        }
        Mode::Load { address, rate, seconds } => {
            let seen = Load { address, rate, lasting: Duration::from_secs(seconds) }.run().await?;
            println!("{}\n{seen}", Seen::HEAD);
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn demo() -> anyhow::Result<ExitCode> {
    let lasting = Duration::from_millis(1500);
    let any_port = "127.0.0.1:0".parse()?;
    println!("the handler can do {CAPACITY} a second\n\n            {}", Seen::HEAD);

    let (stop, graceful) = stoppable();
    let bare = Server::bind(any_port, None, graceful).await?;
    let lost = Load { address: bare.address, rate: 2 * CAPACITY, lasting }.run().await?;
    println!("without     {lost}");
    drop(stop);
    let _ = bare.ended().await?;

    let (stop, graceful) = stoppable();
    let server = Server::bind(any_port, Some(ShedLayer::adaptive()), graceful).await?;
    let mut at_twice = None;
    for rate in [CAPACITY / 2, 2 * CAPACITY, 5 * CAPACITY] {
        let seen = Load { address: server.address, rate, lasting }.run().await?;
        println!("limit {:>4}  {seen}", server.limit());
        if rate == 2 * CAPACITY {
            at_twice = Some(seen.in_time);
        }
    }
    drop(stop);
    println!("\n{}", server.ended().await?);
    Ok(if at_twice > Some(lost.in_time) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A shutdown that begins when the other end is dropped.
fn stoppable() -> (oneshot::Sender<()>, GracefulShutdown) {
    let (stop, stopped) = oneshot::channel();
    (stop, GracefulShutdown::when(PATIENCE, async { stopped.await.unwrap_or_default() }))
}
