//! A catalog for which every call is work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::proto::catalog_server::{Catalog, CatalogServer};
use crate::proto::{PriceReply, PriceRequest, PricesReply, PricesRequest};

/// Calls that the server works on at a time.
pub(crate) const CALLS: usize = 8;

/// How long it takes over each, be it for one price or for a hundred.
const WORK: Duration = Duration::from_millis(1);

pub(crate) fn price_of(item: u64) -> u64 {
    item * 7 % 10_000
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, calls) = (listener.local_addr()?, Arc::default());
        let catalog = Prices { calls: Arc::clone(&calls), places: Semaphore::new(CALLS) };
        let server = tonic::transport::Server::builder().add_service(CatalogServer::new(catalog));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Ok(Self { address, calls })
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

struct Prices {
    calls: Arc<AtomicUsize>,
    places: Semaphore,
}

impl Prices {
    async fn work(&self) -> Result<(), Status> {
        let _place = self.places.acquire().await.map_err(|closed| Status::unavailable(closed.to_string()))?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        sleep(WORK).await;
        Ok(())
    }
}

#[tonic::async_trait]
impl Catalog for Prices {
    async fn price(&self, request: Request<PriceRequest>) -> Result<Response<PriceReply>, Status> {
        self.work().await?;
        Ok(Response::new(PriceReply { cents: price_of(request.into_inner().item) }))
    }

    async fn prices(&self, request: Request<PricesRequest>) -> Result<Response<PricesReply>, Status> {
        self.work().await?;
        let cents = request.into_inner().items.into_iter().map(price_of).collect();
        Ok(Response::new(PricesReply { cents }))
    }
}
