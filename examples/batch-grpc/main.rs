//! Unary gRPC calls, joined into bulk calls by the client.
//!
//! ```text
//!  task ─▶ price(7) ─┐                                       ┌──────────────────────┐
//!  task ─▶ price(9) ─┼─▶ BatchLayer ─▶ Prices([7, 9, 4]) ───▶│ 1 ms for each call,  │
//!  task ─▶ price(4) ─┘                                       │ however many items   │
//!                                                            └──────────────────────┘
//! ```
//!
//! The server has a unary method and a bulk one, and can serve 8 calls at a time. Clients know but one function, from an
//! item to its price. Behind it is either the unary method, or the bulk method under a `BatchLayer`: with 8 batches in
//! flight, and a deadline, after which a call that still waits for its batch is not sent any more.
//!
//! `cargo run --release --example batch-grpc` takes five seconds. It runs server and clients in one process, over loopback:
//! 200 tasks that ask for one price after the other, first one way and then the other. Every answer is checked.
//!
//! The protocol is in `catalog.proto`. It is compiled by `build.rs`, without a `protoc`.

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

mod server;

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::ensure;
use backpressure_tower::{Batch, BatchError, BatchLayer};
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::Channel;
use tower::{Layer, ServiceExt, service_fn};

use crate::proto::catalog_client::CatalogClient;
use crate::proto::{PriceRequest, PricesRequest};
use crate::server::{CALLS, Server, price_of};

/// What `build.rs` has made of `catalog.proto`.
mod proto {
    #![allow(unreachable_pub, missing_docs, clippy::all, reason = "generated")]
    tonic::include_proto!("catalog.v1");
}

const TASKS: u64 = 200;
const LASTING: Duration = Duration::from_secs(2);

/// How long a price is of use to somebody.
const PATIENCE: Duration = Duration::from_millis(500);

/// An item, and until when its price is waited for.
type Asked = (u64, Instant);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let channel = Channel::from_shared(format!("http://{}", server.address))?.connect().await?;
    let client = CatalogClient::new(channel);

    let unary = client.clone();
    let before = run(&server, "a call for each price", move |item| {
        let mut client = unary.clone();
        async move { Ok(client.price(PriceRequest { item }).await?.into_inner().cents) }
    })
    .await?;
    let prices = in_bulk(client)?;
    let after = run(&server, "a call for each batch", move |item| {
        let call = prices.clone().oneshot((item, Instant::now() + PATIENCE));
        async move { Ok(call.await.map_err(|error| status(&error))?) }
    })
    .await?;
    println!("\nBatches answer {:.1} times as many requests.", after as f64 / before as f64);
    ensure!(after > before, "batches are of no use here");
    Ok(())
}

/// A service from an item to its price, over the bulk method.
fn in_bulk(client: CatalogClient<Channel>) -> anyhow::Result<Batch<Asked, u64, Status>> {
    let bulk = service_fn(move |asked: Vec<Asked>| {
        let mut client = client.clone();
        async move {
            let items = asked.into_iter().map(|(item, _)| item).collect();
            let reply = client.prices(PricesRequest { items }).await?;
            Ok(reply.into_inner().cents)
        }
    });
    let layer = BatchLayer::builder()
        .max_items(100)
        .concurrency(CALLS)
        .deadline(Duration::from_millis(1), |(_, until): &Asked| Some(*until))
        .build()?;
    Ok(layer.layer(bulk))
}

/// Lets all tasks ask for one price after the other; answers how many they got.
async fn run<F>(server: &Server, name: &str, price: impl Fn(u64) -> F + Clone + Send + 'static) -> anyhow::Result<usize>
where
    F: Future<Output = anyhow::Result<u64>> + Send,
{
    let calls = server.calls();
    let end = Instant::now() + LASTING;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let price = price.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            for item in (task..).step_by(TASKS as usize) {
                let start = Instant::now();
                if start >= end {
                    break;
                }
                ensure!(price(item).await? == price_of(item), "the price of {item} is another");
                latencies.push(start.elapsed());
            }
            Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(task) = tasks.join_next().await {
        latencies.extend(task??);
    }
    latencies.sort_unstable();
    let answers = latencies.len();
    let p99 = latencies.get(answers * 99 / 100).copied().unwrap_or_default();
    let rate = answers as f64 / LASTING.as_secs_f64();
    println!("{name:<22} {rate:>8.0} requests/s   p99 {p99:>8.1?}   {} calls", server.calls() - calls);
    Ok(answers)
}

/// What a server in between would answer to its own callers.
fn status(error: &BatchError<Status>) -> Status {
    match error {
        BatchError::Request(status) | BatchError::Batch(status) => Status::clone(status),
        BatchError::DeadlineExceeded => Status::deadline_exceeded("no batch left in time"),
        other => Status::unavailable(other.to_string()),
    }
}
