//! A server that sheds what is more than 8 calls at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backpressure_tower::{ShedHandle, ShedLayer};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::proto::ingest_server::{Ingest, IngestServer};
use crate::proto::{Reading, Receipt};

/// Calls at a time.
const LIMIT: usize = 8;

/// How long each takes.
const WORK: Duration = Duration::from_millis(20);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    done: Arc<AtomicU64>,
    shedding: ShedHandle,
}

impl Server {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
        let (address, done) = (incoming.local_addr()?, Arc::new(AtomicU64::new(0)));
        let shed = ShedLayer::fixed(LIMIT)?;
        let shedding = shed.handle();
        let server = tonic::transport::Server::builder()
            .layer(shed.into_grpc())
            .add_service(IngestServer::new(Work { done: Arc::clone(&done) }));
        tokio::spawn(server.serve_with_incoming(incoming));
        Ok(Self { address, done, shedding })
    }

    /// Calls that were done.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Calls that were shed.
    pub(crate) fn shed(&self) -> u64 {
        self.shedding.counts().total()
    }
}

struct Work {
    done: Arc<AtomicU64>,
}

#[tonic::async_trait]
impl Ingest for Work {
    async fn put(&self, _: Request<Reading>) -> Result<Response<Receipt>, Status> {
        tokio::time::sleep(WORK).await;
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(Receipt { accepted: 1 }))
    }

    async fn put_all(&self, _: Request<Streaming<Reading>>) -> Result<Response<Receipt>, Status> {
        Err(Status::unimplemented("one at a time"))
    }
}
