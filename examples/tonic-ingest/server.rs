//! The server: one service, one layer, and the shutdown that drains it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backpressure::shutdown::{GracefulShutdown, ShutdownReport};
use backpressure::{BackpressureConfig, BackpressureController, Strategy};
use backpressure_tower::{RequestHeaders, ShedHandle, ShedLayer};
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tower::Layer;

use crate::MS;
use crate::proto;
use crate::proto::ingest_server::{Ingest, IngestServer};
use crate::store::{Reading, Store};

/// The longest reading that is read, in bytes. As the buffer is bounded by number, this bounds what it holds.
const MAX_READING: usize = 4096;

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
    pub(crate) fn bind(address: SocketAddr, store: &Store, graceful: GracefulShutdown) -> anyhow::Result<Self> {
        let config = BackpressureConfig::builder()
            .capacity(2_000)
            .batch_items(500)
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

        let shed = ShedLayer::by_gauge(controller.gauge());
        let shedding = shed.handle();
        let accepted = Arc::new(AtomicU64::new(0));
        let intake = Intake { controller: controller.clone(), accepted: Arc::clone(&accepted) };
        // The wrapped service is still the one of that name.
        let service = IngestServer::new(intake).max_decoding_message_size(MAX_READING);
        let service = shed.classify(RequestHeaders::new()).into_grpc().layer(service);

        let incoming = TcpIncoming::bind(address)?;
        let address = incoming.local_addr()?;
        let serve = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, graceful.closing());
        let (calls, readings) = (shedding.clone(), controller.clone());
        let graceful = graceful
            .requests("calls", move |time| calls.drain(time))
            .server("connections", serve)
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

#[derive(Debug)]
struct Intake {
    controller: BackpressureController<Reading>,
    accepted: Arc<AtomicU64>,
}

impl Intake {
    async fn push(&self, reading: proto::Reading) -> Result<(), Status> {
        let proto::Reading { device, at_ms, value } = reading;
        let pushed = self.controller.push(Reading { device: device.into(), at_ms, value }).await;
        pushed.map_err(|error| Status::unavailable(error.to_string()))?;
        self.accepted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tonic::async_trait]
impl Ingest for Intake {
    async fn put(&self, request: Request<proto::Reading>) -> Result<Response<proto::Receipt>, Status> {
        self.push(request.into_inner()).await?;
        Ok(Response::new(proto::Receipt { accepted: 1 }))
    }

    async fn put_all(&self, request: Request<Streaming<proto::Reading>>) -> Result<Response<proto::Receipt>, Status> {
        let mut readings = request.into_inner();
        let mut accepted = 0;
        // A reading that cannot be read ends the call; those before it are accepted, and the answer says which it was.
        let nth = |n: u64, status: Status| Status::new(status.code(), format!("reading {n}: {}", status.message()));
        while let Some(reading) = readings.message().await.map_err(|status| nth(accepted + 1, status))? {
            // While this waits, nothing is read, and the sender may not send.
            self.push(reading).await?;
            accepted += 1;
        }
        Ok(Response::new(proto::Receipt { accepted }))
    }
}

/// How a server ended.
#[derive(Debug)]
pub(crate) struct Ended {
    shutdown: ShutdownReport,
    /// Readings that the database refused, from the beginning.
    failed: u64,
    pub(crate) accepted: u64,
}

impl Ended {
    /// Whether every call was answered, and all that was accepted is in the database.
    pub(crate) fn is_complete(&self) -> bool {
        self.shutdown.is_complete() && self.failed == 0
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shutdown, failed, accepted } = self;
        write!(f, "{shutdown}\nserver   {accepted} readings accepted, {failed} failed")
    }
}
