//! Clients: many calls at a steady rate, and one stream that sends as fast as it may.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backpressure_tower::{GrpcRefusals, RetryBudget, RetryLayer};
use futures_util::stream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::proto::Reading;
use crate::proto::ingest_client::IngestClient;

/// Between two calls of the unary method.
const EVERY: Duration = Duration::from_millis(1);

/// After so many readings the stream takes a breath, of a millisecond or two.
const BREATH: u64 = 4;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) lasting: Duration,
}

/// What became of it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    calls: u64,
    answered: u64,
    given_up: u64,
    streamed: u64,
}

impl Load {
    pub(crate) async fn run(self) -> anyhow::Result<Sent> {
        let channel = Endpoint::from_shared(format!("http://{}", self.address))?.connect().await?;
        let streaming = tokio::spawn(self.stream(IngestClient::new(channel.clone())));
        let mut sent = self.call(IngestClient::new(channel)).await?;
        sent.streamed = streaming.await??;
        Ok(sent)
    }

    /// Calls at a steady rate, whatever the answers are. One that is shed is made again when the server says so, as far as
    /// the budget allows.
    async fn call(self, client: IngestClient<Channel>) -> anyhow::Result<Sent> {
        let put = service_fn(move |reading: Reading| {
            let mut client = client.clone();
            async move { client.put(reading).await }
        });
        let retry = RetryLayer::new(RetryBudget::default()).judge(GrpcRefusals);
        let client = ServiceBuilder::new().layer(retry).service(put);

        let mut calls = JoinSet::new();
        let mut pace = tokio::time::interval(EVERY);
        let start = Instant::now();
        while start.elapsed() < self.lasting {
            pace.tick().await;
            calls.spawn(client.clone().oneshot(reading("valve", calls.len() as u64)));
        }
        let mut sent = Sent { calls: calls.len() as u64, ..Sent::default() };
        while let Some(call) = calls.join_next().await {
            match call? {
                Ok(response) => sent.answered += response.into_inner().accepted,
                Err(status) if status.code() == Code::ResourceExhausted => sent.given_up += 1,
                Err(status) => return Err(status.into()),
            }
        }
        Ok(sent)
    }

    /// One call, of as many readings as are taken in the time.
    async fn stream(self, mut client: IngestClient<Channel>) -> anyhow::Result<u64> {
        let until = Instant::now() + self.lasting;
        let readings = stream::unfold(0, move |n| async move {
            if n % BREATH == 0 {
                tokio::time::sleep(EVERY).await;
            }
            (Instant::now() < until).then(|| (reading("flow", n), n + 1))
        });
        Ok(client.put_all(readings).await?.into_inner().accepted)
    }
}

fn reading(device: &str, n: u64) -> Reading {
    let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    Reading { device: format!("{device}-{}", n % 100), at_ms, value: n as f64 / 10.0 }
}

impl Sent {
    /// How many readings were accepted.
    pub(crate) const fn accepted(&self) -> u64 {
        self.answered + self.streamed
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, answered, given_up, streamed } = self;
        write!(f, "{calls} calls: {answered} accepted, {given_up} given up; {streamed} readings streamed")
    }
}
