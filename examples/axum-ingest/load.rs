//! Clients that post at a steady rate, whatever the answers are, and come back when they are told to.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use backpressure_tower::{HttpRefusals, RetryBudget, RetryLayer};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tower::{ServiceBuilder, ServiceExt};

use crate::store::Reading;

/// 400 posts of 50 lines a second.
const EVERY: Duration = Duration::from_micros(2500);
const LINES: u64 = 50;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 4096;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) lasting: Duration,
}

/// What became of the posts.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    posts: u64,
    given_up: u64,
    failed: u64,
    /// Lines.
    pub(crate) accepted: u64,
}

impl Load {
    pub(crate) async fn run(self) -> anyhow::Result<Sent> {
        // The connector sets no time limit, the pool keeps connections: an ordinary client.
        let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let retry = RetryLayer::new(RetryBudget::default()).judge(HttpRefusals).retries(3);
        let client = ServiceBuilder::new().layer(retry).service(client);

        let mut posts = JoinSet::new();
        let mut pace = tokio::time::interval(EVERY);
        let start = tokio::time::Instant::now();
        while start.elapsed() < self.lasting {
            pace.tick().await;
            let request = Request::post(format!("http://{}/readings", self.address)).body(Full::new(lines()?))?;
            let client = client.clone();
            posts.spawn(async move {
                let response = client.oneshot(request).await?;
                let status = response.status();
                let body =
                    Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| anyhow!(error))?;
                anyhow::Ok((status, body.to_bytes()))
            });
        }

        let mut sent = Sent::default();
        while let Some(post) = posts.join_next().await {
            sent.posts += 1;
            match post? {
                Ok((StatusCode::ACCEPTED, _)) => sent.accepted += LINES,
                Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => sent.given_up += 1,
                Ok((status, body)) => anyhow::bail!("{status}: {}", String::from_utf8_lossy(&body)),
                Err(_) => sent.failed += 1,
            }
        }
        Ok(sent)
    }
}

fn lines() -> anyhow::Result<Bytes> {
    let at_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
    let mut text = Vec::new();
    for n in 0..LINES {
        let reading = Reading { device: format!("pump-{n}").into(), at_ms, value: n as f64 / 10.0 };
        serde_json::to_writer(&mut text, &reading)?;
        text.push(b'\n');
    }
    Ok(text.into())
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { posts, given_up, failed, accepted } = self;
        write!(f, "{posts} posts: {accepted} lines accepted, {given_up} posts given up after 503s, {failed} failed")
    }
}
