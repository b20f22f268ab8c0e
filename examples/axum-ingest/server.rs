//! The server: two routes under one layer, two beside it that show how things are, and the shutdown that drains it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use backpressure::shutdown::{GracefulShutdown, ShutdownReport};
use backpressure::{BackpressureConfig, BackpressureController, Strategy};
use backpressure_metrics::{Dashboard, Registry, scrape};
use backpressure_tower::{RequestHeaders, ShedHandle, ShedLayer};
use tokio::net::TcpListener;
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
    shutdown: JoinHandle<ShutdownReport>,
}

impl Server {
    /// Serves until the shutdown begins.
    pub(crate) async fn bind(address: SocketAddr, store: &Store, graceful: GracefulShutdown) -> anyhow::Result<Self> {
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
        let layer = shed.classify(RequestHeaders::new().exempt("/ready")).into_http();

        let accepted = Arc::new(AtomicU64::new(0));
        let router = Router::new()
            .route("/readings", post(readings))
            .with_state(Intake { controller: controller.clone(), accepted: Arc::clone(&accepted) })
            .route("/ready", get(ready).with_state(shedding.clone()))
            .layer(layer);
        let registry = Registry::new();
        registry.link(&registry.add("requests", shedding.clone())?, &registry.add("readings", controller.gauge())?)?;
        let dashboard = Dashboard::new(&registry);
        let router = router.route("/metrics", scrape(&registry)).nest("/pressure", dashboard.router());

        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let closing = graceful.closing();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async move {
            closing.await;
            dashboard.close(); // Its pages would be waited for.
        });
        let (requests, readings) = (shedding.clone(), controller.clone());
        let graceful = graceful
            .requests("requests", move |time| requests.drain(time))
            .server("connections", serve.into_future())
            .buffer("readings", move |time| async move { readings.drain(time).await });
        Ok(Self { address, controller, shedding, accepted, shutdown: tokio::spawn(graceful.run()) })
    }

    /// Waits for the end of the shutdown.
    pub(crate) async fn ended(self) -> anyhow::Result<Ended> {
        let shutdown = self.shutdown.await?;
        let failed = self.controller.snapshot().counts.failed();
        Ok(Ended { shutdown, failed, accepted: self.accepted.load(Ordering::Relaxed) })
    }
}

/// Not ready only while draining: a server that is pressed sheds what is too much, and is of use for the rest.
async fn ready(State(shedding): State<ShedHandle>) -> StatusCode {
    if shedding.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// How a server ended.
#[derive(Debug)]
pub(crate) struct Ended {
    shutdown: ShutdownReport,
    /// Readings that the database refused, from the beginning.
    failed: u64,
    /// Lines.
    pub(crate) accepted: u64,
}

impl Ended {
    /// Whether every request was answered, and all that was accepted is in the database.
    pub(crate) fn is_complete(&self) -> bool {
        self.shutdown.is_complete() && self.failed == 0
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shutdown, failed, accepted } = self;
        write!(f, "{shutdown}\nserver   {accepted} lines accepted, {failed} readings failed")
    }
}
