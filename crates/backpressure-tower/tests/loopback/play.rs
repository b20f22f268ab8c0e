//! A gRPC service of numbers, and its client, without a protocol compiler.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::client::Grpc as Calls;
use tonic::codec::Streaming;
use tonic::server::{Grpc as Methods, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{self, Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use crate::kit::{Stage, soon};
use crate::outcomes::pass;

/// `Act` fails with the code that is its number, or stands on the stage if that is 0. `Stream` answers 1, stands on the stage,
/// and answers 2.
#[derive(Clone)]
pub(crate) struct Play(pub(crate) Stage);

impl NamedService for Play {
    const NAME: &'static str = "test.Play";
}

/// Whether the server lives. It does.
#[derive(Clone)]
pub(crate) struct Health;

impl NamedService for Health {
    const NAME: &'static str = "grpc.health.v1.Health";
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl Service<http::Request<Body>> for Play {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        let Self(stage) = self.clone();
        let mut methods = Methods::new(ProstCodec::<u64, u64>::default());
        Box::pin(async move {
            Ok(if request.uri().path() == "/test.Play/Stream" {
                methods.server_streaming(service_fn(move |_| stream(stage.clone())), request).await
            } else {
                methods.unary(service_fn(move |code| act(stage.clone(), code)), request).await
            })
        })
    }
}

async fn act(stage: Stage, code: Request<u64>) -> Result<Response<u64>, Status> {
    pass(Duration::from_millis(5));
    match code.into_inner() {
        0 => stage.act().await,
        code => return Err(Status::new(Code::from_i32(code as i32), "as asked")),
    }
    Ok(Response::new(0))
}

type Numbers = Pin<Box<dyn stream::Stream<Item = Result<u64, Status>> + Send>>;

async fn stream(stage: Stage) -> Result<Response<Numbers>, Status> {
    let last = stream::once(async move {
        stage.act().await;
        Ok(2)
    });
    Ok(Response::new(stream::iter([Ok(1)]).chain(last).boxed()))
}

impl Service<http::Request<Body>> for Health {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        Box::pin(async move {
            let lives = service_fn(async |_: Request<u64>| Ok(Response::new(1u64)));
            Ok(Methods::new(ProstCodec::<u64, u64>::default()).unary(lives, request).await)
        })
    }
}

/// Serves on a port of its own for as long as the runtime runs.
pub(crate) fn serve<F>(server: impl FnOnce(TcpIncoming) -> F) -> SocketAddr
where
    F: Future<Output = Result<(), transport::Error>> + Send + 'static,
{
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    tokio::spawn(server(incoming));
    address
}

/// One connection.
#[derive(Clone)]
pub(crate) struct Client(Calls<Channel>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(Calls::new(Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()))
    }

    pub(crate) async fn act(&mut self, code: u64) -> Result<u64, Status> {
        self.call("/test.Play/Act", code).await
    }

    pub(crate) async fn check(&mut self) -> Result<u64, Status> {
        self.call("/grpc.health.v1.Health/Check", 0).await
    }

    async fn call(&mut self, method: &'static str, number: u64) -> Result<u64, Status> {
        self.0.ready().await.unwrap();
        let call = self.0.unary(Request::new(number), PathAndQuery::from_static(method), ProstCodec::default());
        soon(call).await.map(Response::into_inner)
    }

    pub(crate) async fn stream(&mut self) -> Result<Streaming<u64>, Status> {
        self.0.ready().await.unwrap();
        let method = PathAndQuery::from_static("/test.Play/Stream");
        let call = self.0.server_streaming(Request::new(0u64), method, ProstCodec::default());
        call.await.map(Response::into_inner)
    }
}
