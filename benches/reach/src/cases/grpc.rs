//! gRPC with tonic, in all four directions.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use anyhow::Result;
use axum::http;
use axum::http::uri::PathAndQuery;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future, stream};
use tonic::body::Body;
use tonic::client::Grpc as Calls;
use tonic::server::{Grpc as Methods, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use crate::case::{Case, Setup, Tolerance};
use crate::http::listen;
use crate::reach::{Reach, Source};

const DOWN: &str = "/reach.Reach/Down";
const UP: &str = "/reach.Reach/Up";
const BOTH: &str = "/reach.Reach/Both";
const WINDOW: &str = "the receiver's hyper, a window; 32 KiB in the encoder";
const SERVERS: &str = "the server's `initial_stream_window_size`, 1 MiB";
const CLIENTS: &str = "the client's `initial_stream_window_size`, 2 MiB";

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, start| Case { name, lies, setting, tolerance: Tolerance::Counted, start };
    vec![
        case("tonic, server streaming", WINDOW, CLIENTS, |reach| {
            let source = reach.ready();
            down(reach, source, DOWN, false)
        }),
        case("tonic, server streaming, one by one", WINDOW, "the size of the frames: see below", |reach| {
            let source = reach.singly();
            down(reach, source, DOWN, false)
        }),
        case("tonic, server streaming, adaptive window", WINDOW, "the client's `http2_adaptive_window`", |reach| {
            let source = reach.ready();
            down(reach, source, DOWN, true)
        }),
        case("tonic, client streaming", WINDOW, SERVERS, |reach| {
            let source = reach.ready();
            up(reach, source, UP)
        }),
        case("tonic, client streaming, one by one", WINDOW, "the size of the frames: see below", |reach| {
            let source = reach.singly();
            up(reach, source, UP)
        }),
        case("tonic, both ways, down", WINDOW, CLIENTS, |reach| {
            let source = reach.ready();
            down(reach, source, BOTH, false)
        }),
        case("tonic, both ways, up", WINDOW, SERVERS, |reach| {
            let source = reach.ready();
            up(reach, source, BOTH)
        }),
    ]
}

pub type Items = Pin<Box<dyn Stream<Item = Bytes> + Send>>;
type Answers = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// Answers with the items it has, and reads no request.
#[derive(Clone)]
pub struct Method(Arc<Mutex<Option<Items>>>);

impl NamedService for Method {
    const NAME: &'static str = "reach.Reach";
}

impl Service<http::Request<Body>> for Method {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut methods = Methods::new(ProstCodec::<Bytes, Bytes>::default());
        let this = self.clone();
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            Ok(match path.as_str() {
                DOWN => {
                    let answer = move |_: Request<Bytes>| future::ready(Ok(Response::new(this.answers())));
                    methods.server_streaming(service_fn(answer), request).await
                }
                UP => {
                    let answer = async |requests: Request<Streaming<Bytes>>| {
                        future::pending::<()>().await;
                        drop(requests);
                        Ok(Response::new(Bytes::new()))
                    };
                    methods.client_streaming(service_fn(answer), request).await
                }
                _ => {
                    let answer = move |requests: Request<Streaming<Bytes>>| {
                        let requests = requests.into_inner();
                        // They are held, and not read.
                        let answers = this.answers().chain(requests);
                        future::ready(Ok(Response::new(Box::pin(answers) as Answers)))
                    };
                    methods.streaming(service_fn(answer), request).await
                }
            })
        })
    }
}

impl Method {
    fn new(items: Items) -> Self {
        Self(Arc::new(Mutex::new(Some(items))))
    }

    fn answers(&self) -> Answers {
        let items = self.0.lock().unwrap().take().unwrap_or_else(|| stream::pending().boxed());
        Box::pin(items.map(Ok))
    }
}

/// Serves `method` on a port of its own, and connects to it.
pub async fn connect(reach: &Reach, method: Method, adaptive: bool) -> Result<Calls<Channel>> {
    let listener = listen(reach, None).await?;
    let address = listener.local_addr()?;
    tokio::spawn(Server::builder().add_service(method).serve_with_incoming(TcpIncoming::from(listener)));
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.http2_adaptive_window(adaptive);
    let mut calls = Calls::new(endpoint.connect().await?);
    calls.ready().await?;
    Ok(calls)
}

/// The answers are held, and not read.
fn down(reach: Reach, source: Source, path: &'static str, adaptive: bool) -> Setup {
    Box::pin(async move {
        let mut calls = connect(&reach, Method::new(source.boxed()), adaptive).await?;
        let path = PathAndQuery::from_static(path);
        let requests = Request::new(stream::iter([Bytes::new()]));
        let answers = calls.streaming(requests, path, ProstCodec::<Bytes, Bytes>::default()).await?;
        Ok(Box::new((calls, answers)) as _)
    })
}

/// The requests are held by the server, and not read.
fn up(reach: Reach, source: Source, path: &'static str) -> Setup {
    Box::pin(async move {
        let mut calls = connect(&reach, Method::new(stream::pending().boxed()), false).await?;
        let path = PathAndQuery::from_static(path);
        tokio::spawn(async move {
            let call = calls.streaming(Request::new(source), path, ProstCodec::<Bytes, Bytes>::default());
            match call.await {
                Ok(answers) => {
                    // An error of the connection comes as an answer.
                    let mut answers = answers.into_inner();
                    if let Err(status) = answers.message().await {
                        reach.lose(format!("{:?}: {}", status.code(), status.message()));
                    }
                }
                Err(status) => reach.lose(format!("{:?}: {}", status.code(), status.message())),
            }
        });
        Ok(Box::new(()) as _)
    })
}
