//! A handler that takes what it takes, and the layer above it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use backpressure::Shutdown;
use backpressure_tower::{RequestHeaders, ShedHandle, ShedLayer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// Connections to something slow, such as a database.
const CONNECTIONS: u32 = 2;

/// How long it takes.
const WORK: Duration = Duration::from_millis(20);

/// How long a shutdown may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests a second.
pub(crate) const CAPACITY: u32 = CONNECTIONS * 1000 / WORK.as_millis() as u32;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shedding: Option<ShedHandle>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn bind(address: SocketAddr, shed: Option<ShedLayer>) -> anyhow::Result<Self> {
        let pool = Arc::new(Semaphore::new(CONNECTIONS as usize));
        let router = Router::new().route("/report", get(report)).route("/live", get("yes\n")).with_state(pool);
        let shedding = shed.as_ref().map(ShedLayer::handle);
        let router = match shed {
            Some(shed) => router.layer(shed.classify(RequestHeaders::new().exempt("/live")).into_http()),
            None => router,
        };
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async move {
            let _ = stopped.await;
        });
        Ok(Self { address, shedding, stop, task: tokio::spawn(serve.into_future()) })
    }

    /// How many requests may be in flight now.
    pub(crate) fn limit(&self) -> usize {
        self.shedding.as_ref().map_or(usize::MAX, |shedding| shedding.limiter().limit())
    }

    pub(crate) async fn shut_down(self) -> Drained {
        let mut shutdown = Shutdown::new(PATIENCE, ["requests", "connections"]);
        let drained = shutdown.stage(|time| async move { Some(self.shedding?.drain(time).await) }).await;
        let _ = self.stop.send(());
        let _ = shutdown.stage(|time| tokio::time::timeout(time, self.task)).await;
        Drained { shutdown, abandoned: drained.map_or(0, |report| report.abandoned) }
    }
}

/// Waits for a connection, however long that takes, and then for the answer.
async fn report(State(pool): State<Arc<Semaphore>>) -> &'static str {
    let connection = pool.acquire().await;
    tokio::time::sleep(WORK).await;
    drop(connection);
    "everything is fine\n"
}

#[derive(Debug)]
pub(crate) struct Drained {
    shutdown: Shutdown,
    abandoned: usize,
}

impl Drained {
    /// Whether every request was answered.
    pub(crate) fn is_complete(&self) -> bool {
        self.abandoned == 0
    }
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {} requests abandoned", self.shutdown, self.abandoned)
    }
}
