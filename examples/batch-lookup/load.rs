//! Clients that ask for one row after the other.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::ensure;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::database::name;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 4096;

pub(crate) struct Load {
    pub(crate) router: Router,
    pub(crate) clients: u64,
    pub(crate) keys: i64,
    pub(crate) lasting: Duration,
}

/// What the clients saw.
pub(crate) struct Seen {
    latencies: Vec<Duration>,
    lasting: Duration,
}

impl Load {
    pub(crate) async fn run(self) -> anyhow::Result<Seen> {
        let end = Instant::now() + self.lasting;
        let mut clients = JoinSet::new();
        for client in 0..self.clients {
            clients.spawn(ask(self.router.clone(), client, self.keys, end));
        }
        let mut latencies = Vec::new();
        while let Some(client) = clients.join_next().await {
            latencies.extend(client??);
        }
        latencies.sort_unstable();
        Ok(Seen { latencies, lasting: self.lasting })
    }
}

/// Asks until the end; answers how long each request took.
async fn ask(router: Router, client: u64, keys: i64, end: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut random = client.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut latencies = Vec::new();
    loop {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let key = (random >> 1) as i64 % keys;
        let start = Instant::now();
        if start >= end {
            return Ok(latencies);
        }
        let request = Request::get(format!("/users/{key}")).body(Body::empty())?;
        let response = router.clone().oneshot(request).await?;
        let status = response.status();
        let body = to_bytes(response.into_body(), MAX_ANSWER).await?;
        latencies.push(start.elapsed());
        match name(key) {
            Some(name) => ensure!(status == StatusCode::OK && body == name, "{key}: {status} {body:?}"),
            None => ensure!(status == StatusCode::NOT_FOUND, "{key}: {status}"),
        }
    }
}

impl Seen {
    pub(crate) const HEAD: &'static str = "  requests/s        p50        p99   rows a query";

    pub(crate) fn answers(&self) -> usize {
        self.latencies.len()
    }

    fn quantile(&self, share: f64) -> Duration {
        let place = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(place).copied().unwrap_or_default()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.latencies.len() as f64 / self.lasting.as_secs_f64();
        let micros = |share| format!("{} µs", self.quantile(share).as_micros());
        write!(f, "{rate:>12.0} {:>10} {:>10}", micros(0.5), micros(0.99))
    }
}
