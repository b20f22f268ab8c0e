//! The pages of an API, one after the other, each asked for until it is whole.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use backpressure_tower::{RetryBudget, RetryLayer};
use futures_util::{Stream, stream};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, ServiceExt, service_fn};

use crate::server::Page;

/// How long a page may take, to its last byte.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a page is asked for again.
const RETRIES: u32 = 10;

/// A record, and where it is in the whole.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) position: u64,
    pub(crate) json: String,
}

#[derive(Clone)]
pub(crate) struct Source {
    http: Client<HttpConnector, Empty<&'static [u8]>>,
    server: SocketAddr,
    page: u64,
    retry: RetryLayer,
}

impl Source {
    /// Pages of so many records.
    pub(crate) fn new(server: SocketAddr, page: u64) -> anyhow::Result<Self> {
        let budget = RetryBudget::new(Duration::from_secs(10), 100, 1.0)?;
        let retry = RetryLayer::new(budget).retries(RETRIES).backoff(Duration::from_millis(10), PATIENCE)?;
        Ok(Self { http: Client::builder(TokioExecutor::new()).build_http(), server, page, retry })
    }

    /// All pages from this record on. No page is asked for before it is wanted. After an error there are no more.
    pub(crate) fn pages(self, from: u64) -> impl Stream<Item = anyhow::Result<Vec<Record>>> + Send + 'static {
        stream::try_unfold(Some(from), move |from| {
            let this = self.clone();
            async move {
                let Some(from) = from else { return Ok(None) };
                let page = this.get(from).await.with_context(|| format!("no page from record {from} on"))?;
                let records = (from..).zip(page.records).map(|(position, json)| Record { position, json }).collect();
                Ok(Some((records, page.next)))
            }
        })
    }

    /// Each failure is tried again: to read a page twice does no harm.
    async fn get(&self, from: u64) -> anyhow::Result<Page> {
        let once = service_fn(|from: u64| async move {
            tokio::time::timeout(PATIENCE, self.get_once(from)).await.unwrap_or_else(|late| Err(late.into()))
        });
        self.retry.layer(once).oneshot(from).await
    }

    async fn get_once(&self, from: u64) -> anyhow::Result<Page> {
        let uri = format!("http://{}/records/{from}/{}", self.server, self.page);
        let response = self.http.request(Request::get(uri).body(Empty::new())?).await?;
        ensure!(response.status().is_success(), "the server answers {}", response.status());
        let page: Page = serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
        let goes_on = page.next.is_none_or(|next| next == from + page.records.len() as u64 && next > from);
        ensure!(goes_on, "the page from {from} on has {} records and goes on with {:?}", page.records.len(), page.next);
        Ok(page)
    }
}
