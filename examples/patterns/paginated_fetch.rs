//! A paginated fetch: pages are requested only as fast as they are consumed, one page ahead.
//!
//! ```text
//!  GET ?page=7 ──▶ one page ahead ──▶ its items, one by one ──▶ a slow consumer
//!              ◀── no request without room for its page
//! ```
//!
//! The pages are a stream, and the buffer counts pages. In a task of its own it has the next page ready when the
//! consumer gets there, and requests no more. When the consumer has seen enough, dropping the stream ends the
//! requests. The clock is paused, so this takes no time.
//!
//! `cargo run --example paginated-fetch`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureStreamExt};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

const PER_PAGE: u32 = 10;
const LAST_PAGE: u32 = 99;

/// What a server answers.
struct Page {
    items: Vec<u32>,
    next: Option<u32>,
}

/// A server with a latency of 30 ms, and its count of requests.
#[derive(Clone, Default)]
struct Server {
    requests: Arc<AtomicU32>,
}

impl Server {
    async fn get(&self, page: u32) -> io::Result<Page> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(30)).await;
        let first = page * PER_PAGE;
        Ok(Page { items: (first..first + PER_PAGE).collect(), next: (page < LAST_PAGE).then_some(page + 1) })
    }

    fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    let server = Server::default();
    let client = server.clone();
    let pages = stream::try_unfold(Some(0), move |page| {
        let client = client.clone();
        async move {
            let Some(page) = page else { return Ok(None) };
            let Page { items, next } = client.get(page).await?;
            Ok::<_, io::Error>(Some((items, next)))
        }
    });

    let one_page = BackpressureConfig::builder().capacity(1).build()?;
    let items =
        pages.backpressure(one_page).spawn().map_ok(|items| stream::iter(items).map(io::Result::Ok)).try_flatten();
    let mut items = std::pin::pin!(items);

    let start = Instant::now();
    let (mut consumed, mut waited) = (0, Duration::ZERO);
    while consumed < 45 {
        let asked = Instant::now();
        let Some(item) = items.try_next().await? else { break };
        waited += asked.elapsed();
        assert_eq!(item, consumed, "in order");
        let begun = item / PER_PAGE + 1;
        if item % PER_PAGE == 5 {
            println!("{:>4} ms: page {begun} half read, {} requested", start.elapsed().as_millis(), server.requests());
        }
        assert!(server.requests() <= begun + 1, "at most one page ahead");
        sleep(Duration::from_millis(10)).await; // the consumer's own work
        consumed += 1;
    }

    println!("{consumed} items consumed; the consumer waited {waited:?} in all, for the first page");
    println!("{} of {} pages were requested", server.requests(), LAST_PAGE + 1);
    assert_eq!(waited, Duration::from_millis(30));
    assert_eq!(server.requests(), 6);
    Ok(())
}
