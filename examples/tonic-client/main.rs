//! A whole tonic client with retry and throttle, against a server that sheds.
//!
//! ```text
//!  IngestClient ──▶ RetryLayer ──▶ ThrottleLayer ──▶ Channel ──▶ ShedLayer: 8 at a time ──▶ 20 ms each
//!              ◀── the answer, or the last refusal     ◀── RESOURCE_EXHAUSTED, come back in …
//! ```
//!
//! Both layers are below the generated client, which knows nothing of them. The message of a call is kept while it is sent, so a
//! call that was refused is sent again when the server says so, as far as a budget and the deadline allow.
//!
//! `cargo run --release --example tonic-client` takes about two seconds. It starts a server that can do 400 calls a second,
//! and makes 225 a second, in bursts. The server counts what it was asked to do; nothing is done twice, or it exits with a failure.

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

mod server;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use backpressure_tower::{NotRetried, RetryBudget, RetryLayer, ThrottleLayer};
use tokio::task::JoinSet;
use tonic::transport::Endpoint;
use tower::ServiceBuilder;

use crate::proto::Reading;
use crate::proto::ingest_client::IngestClient;
use crate::server::Server;

/// What `build.rs` has made of `ingest.proto`.
mod proto {
    #![allow(unreachable_pub, missing_docs, clippy::all, reason = "generated")]
    tonic::include_proto!("ingest.v1");
}

const CALLS: u64 = 500;

/// They come in bursts, of which the server cannot do all at once, though it could do all of them before the next.
const BURST: u64 = 9;
const EVERY: Duration = Duration::from_millis(40);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = Server::start()?;
    let answered = client(server.address).await?;
    let done = server.done();
    println!("server   did {done}, shed {}", server.shed());
    ensure!(answered == done, "{answered} calls were answered, but {done} were done");
    ensure!(server.shed() > 0, "the server had nothing to shed");
    println!("as many calls were done as were answered");
    Ok(())
}

/// The whole client. Answers how many of its calls were.
async fn client(address: SocketAddr) -> anyhow::Result<u64> {
    let retry = RetryLayer::new(RetryBudget::default()).retries(5).deadline(Duration::from_secs(5)).into_grpc();
    let channel = ServiceBuilder::new()
        .layer(retry.clone())
        .layer(ThrottleLayer::new().into_grpc())
        .service(Endpoint::from_shared(format!("http://{address}"))?.connect_lazy());
    let client = IngestClient::new(channel);

    let (mut calls, mut pace) = (JoinSet::new(), tokio::time::interval(EVERY));
    for n in 0..CALLS {
        if n % BURST == 0 {
            pace.tick().await;
        }
        let mut client = client.clone();
        calls.spawn(async move { client.put(Reading { device: format!("valve-{n}"), at_ms: 0, value: 1.0 }).await });
    }
    let answers = calls.join_all().await;
    let answered = answers.iter().filter(|answer| answer.is_ok()).count() as u64;

    let counts = retry.counts();
    println!("client   {CALLS} calls: {answered} answered, {} retries", counts.retries());
    for why in NotRetried::ALL.into_iter().filter(|why| counts.not_retried(*why) > 0) {
        println!("         {} not tried again: {why}", counts.not_retried(why));
    }
    Ok(answered)
}
