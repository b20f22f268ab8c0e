//! The server: three routes, one layer, two drains.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use backpressure::{BackpressureConfig, BackpressureController, DrainReport, Shutdown, Strategy};
use backpressure_tower::{RequestHeaders, ShedDrainReport, ShedHandle, ShedLayer};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::MS;
use crate::intake::{Intake, readings};
use crate::store::{Reading, Store};

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) controller: BackpressureController<Reading>,
    pub(crate) shedding: ShedHandle,
    accepted: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn bind(address: SocketAddr, store: &Store) -> anyhow::Result<Self> {
        let config = BackpressureConfig::builder()
            .capacity(5_000)
            .batch_items(1_000)
            .strategy(Strategy::block_forever())
            .flush_interval(20 * MS, 200 * MS)
            .build()?;
        let target = store.clone();
        let controller = BackpressureController::builder(config)
            .flush_fn(move |batch| {
                let target = target.clone();
                async move { target.write(batch).await }
            })
            .spawn()?;

        // The pressure is the controller's. Whether the server lives and what it does can be asked at any time.
        let shed = ShedLayer::by_gauge(controller.gauge());
        let shedding = shed.handle();
        let layer = shed.classify(RequestHeaders::new().exempt("/ready").exempt("/metrics")).into_http();

        let accepted = Arc::new(AtomicU64::new(0));
        let router = Router::new()
            .route("/readings", post(readings))
            .route("/metrics", get(metrics))
            .with_state(Intake { controller: controller.clone(), accepted: Arc::clone(&accepted) })
            .route("/ready", get(ready).with_state(shedding.clone()))
            .layer(layer);
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async move {
            let _ = stopped.await;
        });
        Ok(Self { address, controller, shedding, accepted, stop, task: tokio::spawn(serve.into_future()) })
    }

    /// From the outside in: no new requests, then the connections, then what is in the buffer.
    pub(crate) async fn shut_down(self, patience: Duration) -> anyhow::Result<Ended> {
        let mut shutdown = Shutdown::new(patience, ["requests", "connections", "readings"]);
        let requests = shutdown.stage(|time| self.shedding.drain(time)).await;
        let _ = self.stop.send(());
        let _ = shutdown.stage(|time| tokio::time::timeout(time, self.task)).await;
        let readings = shutdown.stage(|time| self.controller.drain(time)).await;
        let failed = self.controller.snapshot().counts.failed();
        Ok(Ended { requests, readings, failed, accepted: self.accepted.load(Ordering::Relaxed), shutdown })
    }
}

/// Not ready only while draining: a server that is pressed sheds what is too much, and is of use for the rest.
async fn ready(State(shedding): State<ShedHandle>) -> StatusCode {
    if shedding.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(State(intake): State<Intake>) -> String {
    let snapshot = intake.controller.snapshot();
    format!(
        "state {}\nreceived {}\nqueued {}\ndelivered {}\n",
        snapshot.state, snapshot.counts.received, snapshot.counts.queued, snapshot.counts.delivered
    )
}

/// How a server ended.
#[derive(Debug)]
pub(crate) struct Ended {
    requests: ShedDrainReport,
    readings: DrainReport<Reading>,
    /// Readings that the database refused, from the beginning.
    failed: u64,
    /// Lines.
    pub(crate) accepted: u64,
    shutdown: Shutdown,
}

impl Ended {
    /// Whether every request was answered, and all that was accepted is in the database.
    pub(crate) fn is_complete(&self) -> bool {
        let Self { requests, readings, failed, .. } = self;
        requests.abandoned == 0 && requests.streams == 0 && readings.is_complete() && *failed == 0
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, readings, failed, accepted, shutdown } = self;
        let (requests, streams) = (requests.abandoned, requests.streams);
        let readings = (readings.abandoned.len() + readings.unanswered) as u64 + readings.lost;
        writeln!(f, "server   {accepted} lines accepted\n         {shutdown}")?;
        write!(
            f,
            "         abandoned: {requests} requests, {streams} streams, {readings} readings; {failed} readings failed"
        )
    }
}
