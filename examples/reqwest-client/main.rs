//! A whole reqwest client with retry and throttle, against a server that sheds.
//!
//! ```text
//!  RetryLayer ──▶ ThrottleLayer ──▶ reqwest::Client ──▶ ShedLayer: 8 at a time ──▶ 20 ms each
//!  ◀── the answer, or the last refusal                  ◀── 503, Retry-After
//! ```
//!
//! `reqwest::Client` is a tower service of its own request type, which is not `Clone`: its bodies may be streams. So the layer copies
//! requests by `try_clone`. A request with a stream for a body has no copy. It is sent once, and counted.
//!
//! `cargo run --release --example reqwest-client` takes about four seconds. It starts a server that can do 400 requests a
//! second, and makes 225 a second, in bursts. The server counts what it was asked to do; nothing is done twice, or it exits with a failure.

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

mod server;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use backpressure_tower::{HttpRefusals, NotRetried, RetryBudget, RetryLayer, ThrottleLayer, Verdict};
use tokio::task::JoinSet;
use tower::{ServiceBuilder, ServiceExt};

use crate::server::Server;

const POSTS: u64 = 500;

/// They come in bursts, of which the server cannot do all at once, though it could do all of them before the next.
const BURST: u64 = 9;
const EVERY: Duration = Duration::from_millis(40);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let answered = client(server.address).await?;
    let done = server.done();
    println!("server   did {done}, shed {}", server.shed());
    ensure!(answered == done, "{answered} posts were answered, but {done} were done");
    ensure!(server.shed() > 0, "the server had nothing to shed");
    println!("as many posts were done as were answered");
    Ok(())
}

/// The whole client. Answers how many of its posts were.
async fn client(address: SocketAddr) -> anyhow::Result<u64> {
    let retry = RetryLayer::new(RetryBudget::default())
        .retries(5)
        .deadline(Duration::from_secs(10))
        .clone_by(reqwest::Request::try_clone)
        .judge(refusals);
    let client = ServiceBuilder::new()
        .layer(retry.clone())
        .layer(ThrottleLayer::new().judge(refusals))
        .service(reqwest::Client::new());

    let (mut posts, mut pace) = (JoinSet::new(), tokio::time::interval(EVERY));
    for n in 0..POSTS {
        if n % BURST == 0 {
            pace.tick().await;
        }
        let url = format!("http://{address}/readings").parse()?;
        let mut request = reqwest::Request::new(reqwest::Method::POST, url);
        *request.body_mut() = Some(format!("valve-{n} 1.0\n").into());
        posts.spawn(client.clone().oneshot(request));
    }
    let answers = posts.join_all().await;
    let answered = answers.iter().flatten().filter(|response| response.status().is_success()).count() as u64;

    let counts = retry.counts();
    println!("client   {POSTS} posts: {answered} answered, {} retries", counts.retries());
    for why in NotRetried::ALL.into_iter().filter(|why| counts.not_retried(*why) > 0) {
        println!("         {} not tried again: {why}", counts.not_retried(why));
    }
    Ok(answered)
}

/// Which of reqwest's outcomes are refusals.
fn refusals<E: Error + 'static>(outcome: &Result<reqwest::Response, E>) -> Verdict {
    match outcome {
        Ok(response) => HttpRefusals.response(response.status(), response.headers()),
        Err(error) => HttpRefusals.error(error),
    }
}
