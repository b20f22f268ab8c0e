//! The API that records come from. It fails at one request in five, in three ways.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// What a request takes.
const LATENCY: Duration = Duration::from_millis(5);

static REQUESTS: AtomicU64 = AtomicU64::new(0);
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// What is answered: some records, and where to go on, if there are more.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) records: Vec<String>,
    pub(crate) next: Option<u64>,
}

/// Serves so many records on a free port.
pub(crate) async fn start(records: u64) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router =
        Router::new().route("/records/{from}/{most}", get(async move |Path(asked)| answer(asked, records).await));
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}

/// Requests that failed so far.
pub(crate) fn failures() -> u64 {
    FAILURES.load(Ordering::Relaxed)
}

async fn answer((from, most): (u64, u64), records: u64) -> Response {
    tokio::time::sleep(LATENCY).await;
    let page = serde_json::to_vec(&page(from, most, records)).unwrap_or_default();
    let fate = fate(REQUESTS.fetch_add(1, Ordering::Relaxed));
    FAILURES.fetch_add(u64::from(fate != Fate::Answered), Ordering::Relaxed);
    match fate {
        Fate::Answered => page.into_response(),
        Fate::Refused => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Fate::BrokenOff => {
            let half = Bytes::copy_from_slice(&page[..page.len() / 2]);
            let parts = stream::iter([Ok(half), Err(io::Error::other("broken off"))]);
            Body::from_stream(parts).into_response()
        }
        Fate::Hanging => Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()).into_response(),
    }
}

#[derive(Debug, PartialEq)]
enum Fate {
    Answered,
    Refused,
    BrokenOff,
    Hanging,
}

/// Scattered, and the same in every run.
fn fate(request: u64) -> Fate {
    match request.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32 & 127 {
        0..13 => Fate::Refused,
        13..24 => Fate::BrokenOff,
        24..26 => Fate::Hanging,
        _ => Fate::Answered,
    }
}

/// The bundled earthquakes, over and over.
fn page(from: u64, most: u64, records: u64) -> Page {
    let data: Vec<&str> = include_str!("../data/earthquakes.ndjson").lines().collect();
    let end = from.saturating_add(most).min(records);
    let record = |position: u64| data[(position % data.len() as u64) as usize].to_owned();
    Page { records: (from..end).map(record).collect(), next: (end < records).then_some(end) }
}
