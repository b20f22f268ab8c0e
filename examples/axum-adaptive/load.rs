//! Requests at a steady rate, whatever the answers are.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long an answer is of use to somebody.
const USEFUL: Duration = Duration::from_millis(250);

/// When those who asked have left.
const GONE: Duration = Duration::from_secs(1);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 4096;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    /// Requests a second.
    pub(crate) rate: u32,
    pub(crate) lasting: Duration,
}

/// What those who asked have seen.
#[derive(Debug)]
pub(crate) struct Seen {
    rate: u32,
    asked: usize,
    pub(crate) in_time: usize,
    too_late: usize,
    shed: usize,
    /// Of the requests that were answered, the quickest first, counted from when they were due.
    latencies: Vec<Duration>,
}

impl Load {
    pub(crate) async fn run(self) -> anyhow::Result<Seen> {
        let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let mut answers = JoinSet::new();
        let start = Instant::now();
        for n in 0..self.lasting.as_millis() as u32 * self.rate / 1000 {
            let due = start + Duration::from_secs(1) * n / self.rate;
            sleep_until(due).await;
            let client = client.clone();
            let request = Request::get(format!("http://{}/report", self.address)).body(Empty::new())?;
            answers.spawn(async move {
                let answer = timeout_at(due + GONE, async {
                    let response = client.request(request).await?;
                    let status = response.status();
                    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
                    body.map_err(|error| anyhow!(error))?;
                    anyhow::Ok(status)
                });
                (answer.await, due.elapsed())
            });
        }
        let mut seen =
            Seen { rate: self.rate, asked: answers.len(), in_time: 0, too_late: 0, shed: 0, latencies: Vec::new() };
        while let Some(answer) = answers.join_next().await {
            match answer? {
                (Ok(answer), latency) => match answer? {
                    StatusCode::OK => seen.latencies.push(latency),
                    StatusCode::SERVICE_UNAVAILABLE => seen.shed += 1,
                    status => anyhow::bail!("answered {status}"),
                },
                (Err(_), _) => seen.too_late += 1,
            }
        }
        seen.latencies.sort_unstable();
        seen.in_time = seen.latencies.partition_point(|latency| *latency <= USEFUL);
        seen.too_late += seen.latencies.len() - seen.in_time;
        Ok(seen)
    }
}

impl Seen {
    pub(crate) const HEAD: &str = "offered    in time   too late   shed at once   p50 and p99 of what was answered";

    fn percentile(&self, percent: usize) -> f64 {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: usize| part as f64 / self.asked.max(1) as f64 * f64::from(self.rate);
        write!(
            f,
            "{:>5}/s   {:>5.0}/s    {:>5.0}/s        {:>5.0}/s   {:>4.0} ms, {:>4.0} ms",
            self.rate,
            share(self.in_time),
            share(self.too_late),
            share(self.shed),
            self.percentile(50),
            self.percentile(99),
        )
    }
}
