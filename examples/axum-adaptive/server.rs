//! A handler that takes what it takes, and the layer above it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use backpressure::shutdown::{GracefulShutdown, ShutdownReport};
use backpressure_metrics::{Dashboard, Registry, scrape};
use backpressure_tower::{RequestHeaders, ShedHandle, ShedLayer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Connections to something slow, such as a database.
const CONNECTIONS: u32 = 2;

/// How long it takes.
const WORK: Duration = Duration::from_millis(20);

/// Requests a second.
pub(crate) const CAPACITY: u32 = CONNECTIONS * 1000 / WORK.as_millis() as u32;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shedding: Option<ShedHandle>,
    shutdown: JoinHandle<ShutdownReport>,
}

impl Server {
    /// Serves until the shutdown begins.
    pub(crate) async fn bind(
        address: SocketAddr,
        shed: Option<ShedLayer>,
        mut graceful: GracefulShutdown,
    ) -> anyhow::Result<Self> {
        let pool = Arc::new(Semaphore::new(CONNECTIONS as usize));
        let router = Router::new().route("/report", get(report)).route("/live", get("yes\n")).with_state(pool);
        let shedding = shed.as_ref().map(ShedLayer::handle);
        let router = match shed {
            Some(shed) => {
                router.layer(shed.classify(RequestHeaders::new().exempt("/live")).classes_by_route().into_http())
            }
            None => router,
        };
        let registry = Registry::new();
        if let Some(shedding) = &shedding {
            registry.add("reports", shedding.clone())?;
        }
        let dashboard = Dashboard::new(&registry);
        let router = router.route("/metrics", scrape(&registry)).nest("/pressure", dashboard.router());
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let closing = graceful.closing();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async move {
            closing.await;
            dashboard.close(); // Its pages would be waited for.
        });
        if let Some(shedding) = shedding.clone() {
            graceful = graceful.requests("requests", move |time| shedding.drain(time));
        }
        let graceful = graceful.server("connections", serve.into_future());
        Ok(Self { address, shedding, shutdown: tokio::spawn(graceful.run()) })
    }

    /// How many requests may be in flight now.
    pub(crate) fn limit(&self) -> usize {
        self.shedding.as_ref().map_or(usize::MAX, |shedding| shedding.limiter().limit())
    }

    /// Waits for the end of the shutdown.
    pub(crate) async fn ended(self) -> anyhow::Result<ShutdownReport> {
        Ok(self.shutdown.await?)
    }
}

/// Waits for a connection, however long that takes, and then for the answer.
async fn report(State(pool): State<Arc<Semaphore>>) -> &'static str {
    let connection = pool.acquire().await;
    tokio::time::sleep(WORK).await;
    drop(connection);
    "everything is fine\n"
}
