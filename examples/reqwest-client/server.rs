//! A server that sheds what is more than 8 requests at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use backpressure_tower::{ShedHandle, ShedLayer};
use tokio::net::TcpListener;

/// Requests at a time.
const LIMIT: usize = 8;

/// How long each takes.
const WORK: Duration = Duration::from_millis(20);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    done: Arc<AtomicU64>,
    shedding: ShedHandle,
}

impl Server {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let shed = ShedLayer::fixed(LIMIT)?;
        let (shedding, done) = (shed.handle(), Arc::new(AtomicU64::new(0)));
        let router = Router::new().route("/readings", post(work)).with_state(Arc::clone(&done)).layer(shed.into_http());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { address, done, shedding })
    }

    /// Requests that were done.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Requests that were shed.
    pub(crate) fn shed(&self) -> u64 {
        self.shedding.counts().total()
    }
}

async fn work(State(done): State<Arc<AtomicU64>>) -> StatusCode {
    tokio::time::sleep(WORK).await;
    done.fetch_add(1, Ordering::Relaxed);
    StatusCode::ACCEPTED
}
