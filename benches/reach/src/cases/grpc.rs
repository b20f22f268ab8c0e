//! gRPC with tonic, in all four directions.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use anyhow::Result;
use axum::http;
use axum::http::uri::PathAndQuery;
use backpressure_tower::CoalescedBody;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future, stream};
use tonic::body::Body;
use tonic::client::{Grpc as Calls, GrpcService};
use tonic::server::{Grpc as Methods, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::case::{Case, Setup, Tolerance};
use crate::http::listen;
use crate::reach::Reach;

pub const DOWN: &str = "/reach.Reach/Down";
pub const UP: &str = "/reach.Reach/Up";
pub const BOTH: &str = "/reach.Reach/Both";
pub const BOTH_UP: &str = "/reach.Reach/BothUp";
pub const ONE: &str = "/reach.Reach/One";
const WINDOW: &str = "the receiver's hyper, a window; 32 KiB in the encoder";
const SERVERS: &str = "the server's `initial_stream_window_size`, 1 MiB";
const CLIENTS: &str = "the client's `initial_stream_window_size`, 2 MiB";

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, start| Case { name, lies, setting, tolerance: Tolerance::Counted, start };
    vec![
        case("tonic, server streaming", WINDOW, CLIENTS, |reach| {
            let method = Method::new(&reach, false);
            down(reach, method, DOWN, false)
        }),
        case("tonic, server streaming, one by one", WINDOW, "the size of the frames: see above", |reach| {
            let method = Method::new(&reach, true);
            down(reach, method, DOWN, false)
        }),
        case("tonic, server streaming, adaptive window", WINDOW, "the client's `http2_adaptive_window`", |reach| {
            let method = Method::new(&reach, false);
            down(reach, method, DOWN, true)
        }),
        case("tonic, client streaming", WINDOW, SERVERS, |reach| {
            let source = reach.ready();
            up(reach, source, UP)
        }),
        case("tonic, client streaming, one by one", WINDOW, "the size of the frames: see above", |reach| {
            let source = reach.singly();
            up(reach, source, UP)
        }),
        case("tonic, both ways, down", WINDOW, CLIENTS, |reach| {
            let method = Method::new(&reach, false);
            down(reach, method, BOTH, false)
        }),
        case("tonic, both ways, up", WINDOW, SERVERS, |reach| {
            let source = reach.ready();
            up(reach, source, BOTH_UP)
        }),
    ]
}

type Answers = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// Answers with streams of items, and reads no request.
#[derive(Clone)]
pub struct Method(Arc<dyn Fn() -> Answers + Send + Sync>);

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
                ONE => {
                    let answer = |_: Request<Bytes>| future::ready(Ok(Response::new(Bytes::new())));
                    methods.unary(service_fn(answer), request).await
                }
                path => {
                    let silent = path == BOTH_UP;
                    let answer = move |requests: Request<Streaming<Bytes>>| {
                        let requests = requests.into_inner();
                        // They are held, and not read.
                        let answers = if silent { stream::pending().boxed() } else { this.answers() };
                        let answers = answers.chain(requests);
                        future::ready(Ok(Response::new(Box::pin(answers) as Answers)))
                    };
                    methods.streaming(service_fn(answer), request).await
                }
            })
        })
    }
}

impl Method {
    /// Each answer is the items of the producer.
    pub fn new(reach: &Reach, singly: bool) -> Self {
        let reach = reach.clone();
        Self(Arc::new(move || Box::pin(if singly { reach.singly() } else { reach.ready() }.map(Ok))))
    }

    /// The first answer is these items.
    pub fn of(items: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        let items = Mutex::new(Some(items));
        Self(Arc::new(move || match items.lock().unwrap().take() {
            Some(items) => Box::pin(items.map(Ok)),
            None => Box::pin(stream::empty()),
        }))
    }

    fn answers(&self) -> Answers {
        (self.0)()
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
pub fn down(reach: Reach, method: Method, path: &'static str, adaptive: bool) -> Setup {
    Box::pin(async move {
        let mut calls = connect(&reach, method, adaptive).await?;
        let answers = ask(&mut calls, path).await?;
        Ok(Box::new((calls, answers)) as _)
    })
}

/// The same, with the pieces of the body merged.
pub fn down_coalesced(reach: Reach, method: Method) -> Setup {
    Box::pin(async move {
        let listener = listen(&reach, None).await?;
        let address = listener.local_addr()?;
        let merge =
            |response: http::Response<Body>| response.map(|body| Body::new(CoalescedBody::new(body, 16 * 1024)));
        let method = ServiceBuilder::new().map_response(merge).service(method);
        let router = axum::Router::new()
            .fallback_service(method.map_request(|request: http::Request<axum::body::Body>| request.map(Body::new)));
        tokio::spawn(axum::serve(listener, router).into_future());
        let mut calls = Calls::new(Endpoint::from_shared(format!("http://{address}"))?.connect().await?);
        let answers = ask(&mut calls, DOWN).await?;
        Ok(Box::new((calls, answers)) as _)
    })
}

/// A call whose answers are a stream.
pub async fn ask(calls: &mut Calls<Channel>, path: &'static str) -> Result<Response<Streaming<Bytes>>> {
    calls.ready().await?;
    let requests = Request::new(stream::iter([Bytes::new()]));
    let codec = ProstCodec::<Bytes, Bytes>::default();
    Ok(calls.streaming(requests, PathAndQuery::from_static(path), codec).await?)
}

/// The requests are held by the server, and not read.
pub fn up(reach: Reach, source: impl Stream<Item = Bytes> + Send + 'static, path: &'static str) -> Setup {
    Box::pin(async move {
        let calls = connect(&reach, Method::new(&reach, false), false).await?;
        send(&reach, calls, source, path);
        Ok(Box::new(()) as _)
    })
}

/// The same, with the pieces of the body merged.
pub fn up_coalesced(reach: Reach, source: impl Stream<Item = Bytes> + Send + 'static) -> Setup {
    Box::pin(async move {
        let listener = listen(&reach, None).await?;
        let endpoint = Endpoint::from_shared(format!("http://{}", listener.local_addr()?))?;
        let server = Server::builder().add_service(Method::new(&reach, false));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let merge = |request: http::Request<Body>| request.map(|body| Body::new(CoalescedBody::new(body, 16 * 1024)));
        let channel = ServiceBuilder::new().map_request(merge).service(endpoint.connect().await?);
        send(&reach, Calls::new(channel), source, UP);
        Ok(Box::new(()) as _)
    })
}

/// A call whose requests are a stream.
pub fn send<S>(
    reach: &Reach,
    mut calls: Calls<S>,
    source: impl Stream<Item = Bytes> + Send + 'static,
    path: &'static str,
) where
    S: GrpcService<Body, ResponseBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static>,
    S: Send + 'static,
    S::Future: Send,
{
    let reach = reach.clone();
    tokio::spawn(async move {
        if let Err(error) = calls.ready().await {
            return reach.lose(error.into());
        }
        let codec = ProstCodec::<Bytes, Bytes>::default();
        let call = calls.streaming(Request::new(source), PathAndQuery::from_static(path), codec);
        let outcome = match call.await {
            // An error of the connection comes as an answer.
            Ok(answers) => answers.into_inner().message().await.map(drop),
            Err(status) => Err(status),
        };
        if let Err(status) = outcome {
            reach.lose(format!("{:?}: {}", status.code(), status.message()));
        }
    });
}
