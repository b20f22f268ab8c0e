//! Under a tonic client.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Body as AxumBody;
use axum::http::uri::PathAndQuery;
use axum::http::{self, StatusCode};
use backpressure_tower::{GrpcRefusals, HeldBody, Judge, ShedLayer, Verdict};
use bytes::Bytes;
use futures_util::stream;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Error, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_http::timeout::TimeoutLayer;

use super::{SOON, counted, says};
use crate::plain::{Cells, Line, Table};

type Judged = Result<http::Response<Body>, Error>;

const PATH: PathAndQuery = PathAndQuery::from_static("/reach.Reach/One");

pub fn table() -> Table {
    let line = |name, measure| Line { name, measure };
    Table {
        mark: "grpc",
        head: "| who refuses a tonic client | what the client sees | `GrpcRefusals` below the client | `GrpcRefusals` above it | `ShedLayer::into_grpc` below it |\n|---|---|---|---|---|\n",
        lines: vec![
            line("tonic `Server::timeout`", || {
                served(async |listener| {
                    Server::builder().timeout(SOON).add_routes(routes(never())).serve_with_incoming(listener).await
                })
            }),
            line("tonic `Request::set_timeout`", || {
                let mut request = Request::new(Bytes::new());
                request.set_timeout(SOON);
                asked(request, |endpoint| endpoint)
            }),
            line("tonic `Endpoint::timeout`", || asked(Request::new(Bytes::new()), |endpoint| endpoint.timeout(SOON))),
            line("tonic `Endpoint::timeout`, held back by `rate_limit`", held_back),
            line("tonic `Endpoint::timeout`, answers that have begun", begun),
            line("tower `Timeout` as a layer of tonic's server", || {
                served(async |listener| {
                    let layer = tower::timeout::TimeoutLayer::new(SOON);
                    Server::builder().layer(layer).add_routes(routes(never())).serve_with_incoming(listener).await
                })
            }),
            line("tower-http `TimeoutLayer` with 408 over tonic's server", || {
                served(async |listener| {
                    let layer = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, SOON);
                    Server::builder().layer(layer).add_routes(routes(never())).serve_with_incoming(listener).await
                })
            }),
            line("tower-http `TimeoutLayer` with 504 over tonic's server", || {
                served(async |listener| {
                    let layer = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, SOON);
                    Server::builder().layer(layer).add_routes(routes(never())).serve_with_incoming(listener).await
                })
            }),
            line("tonic `load_shed` over a limit of 1", || {
                served_twice(async |listener| {
                    let server = Server::builder().concurrency_limit_per_connection(1).load_shed(true);
                    { server }.add_routes(routes(never())).serve_with_incoming(listener).await
                })
            }),
            line("`ShedLayer::into_grpc` over a limit of 1", || {
                served_twice(async |listener| {
                    let Ok(layer) = ShedLayer::fixed(1) else { return Ok(()) };
                    Server::builder()
                        .layer(layer.into_grpc())
                        .add_routes(routes(never()))
                        .serve_with_incoming(listener)
                        .await
                })
            }),
            line("bare 408", || bare(408, "")),
            line("bare 429", || bare(429, "")),
            line("bare 502", || bare(502, "")),
            line("bare 503", || bare(503, "")),
            line("bare 504", || bare(504, "")),
            line("429 with a text", || bare(429, "too many")),
            line("503 with a text", || bare(503, "no backend")),
            line("504 with a text", || bare(504, "timed out")),
            line("503 with a text, after `name_status`", || named(503, "no backend")),
        ],
    }
}

/// Answers nothing.
fn never() -> Router {
    Router::new().fallback(async || pending::<()>().await)
}

fn routes(router: Router) -> Routes {
    Routes::from(router)
}

async fn listen() -> Result<(TcpIncoming, Endpoint)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = Endpoint::from_shared(format!("http://{}", listener.local_addr()?))?;
    Ok((listener.into(), endpoint))
}

fn served(serve: impl AsyncFnOnce(TcpIncoming) -> Result<(), Error> + 'static) -> Cells {
    Box::pin(async move {
        let (listener, endpoint) = listen().await?;
        let call = async { judged(endpoint.connect().await?, Request::new(Bytes::new())).await };
        tokio::select! {
            ended = serve(listener) => Ok(vec![format!("{ended:?}")]),
            cells = call => cells,
        }
    })
}

/// With another call in flight.
fn served_twice(serve: impl AsyncFnOnce(TcpIncoming) -> Result<(), Error> + 'static) -> Cells {
    Box::pin(async move {
        let (listener, endpoint) = listen().await?;
        let calls = async {
            let channel = endpoint.connect().await?;
            tokio::select! {
                biased;
                first = judged(channel.clone(), Request::new(Bytes::new())) => first,
                second = async {
                    tokio::time::sleep(SOON).await;
                    judged(channel, Request::new(Bytes::new())).await
                } => second,
            }
        };
        tokio::select! {
            ended = serve(listener) => Ok(vec![format!("{ended:?}")]),
            cells = calls => cells,
        }
    })
}

/// A client that loses patience with a server that knows nothing of gRPC's timeouts.
fn asked(request: Request<Bytes>, with: fn(Endpoint) -> Endpoint) -> Cells {
    Box::pin(async move { judged(with(plain(never()).await?).connect().await?, request).await })
}

/// Nobody has lost patience within a second, though it was to be lost [`SOON`].
const NOTHING: &str = "nothing, in a second";
const LONG: Duration = Duration::from_secs(1);

/// The second call in an hour, where one is allowed.
fn held_back() -> Cells {
    Box::pin(async move {
        let endpoint = plain(proxy(200, "")).await?.rate_limit(1, Duration::from_secs(3600)).timeout(SOON);
        let channel = endpoint.connect().await?;
        judged(channel.clone(), Request::new(Bytes::new())).await?;
        let watch = Watch::new()?;
        let mut calls = Grpc::new(watch.around(channel));
        let second = async {
            calls.ready().await?;
            let codec = ProstCodec::<Bytes, Bytes>::default();
            anyhow::Ok(calls.unary(Request::new(Bytes::new()), PATH, codec).await)
        };
        let outcome = tokio::time::timeout(LONG, second).await.ok().transpose()?;
        Ok(watch.cells(outcome))
    })
}

/// A stream of answers that pauses after its head.
fn begun() -> Cells {
    Box::pin(async move {
        let answer = async || {
            ([("content-type", "application/grpc")], AxumBody::from_stream(stream::pending::<Result<Bytes>>()))
        };
        let endpoint = plain(Router::new().fallback(answer)).await?.timeout(SOON);
        let watch = Watch::new()?;
        let mut calls = Grpc::new(watch.around(endpoint.connect().await?));
        calls.ready().await?;
        let codec = ProstCodec::<Bytes, Bytes>::default();
        let answers = calls.server_streaming(Request::new(Bytes::new()), PATH, codec).await;
        let above = says(GrpcRefusals.judge(&answers));
        let next = tokio::time::timeout(LONG, answers?.into_inner().message()).await;
        let mut cells = watch.cells(next.ok().map(|next| next.map(|_| Response::new(Bytes::new()))));
        cells[2] = above;
        Ok(cells)
    })
}

/// A proxy that answers by itself.
fn bare(status: u16, text: &'static str) -> Cells {
    Box::pin(
        async move { judged(plain(proxy(status, text)).await?.connect().await?, Request::new(Bytes::new())).await },
    )
}

fn named(status: u16, text: &'static str) -> Cells {
    Box::pin(async move {
        let channel = plain(proxy(status, text)).await?.connect().await?;
        let channel = ServiceBuilder::new().map_response(GrpcRefusals::name_status).service(channel);
        judged(channel, Request::new(Bytes::new())).await
    })
}

fn proxy(status: u16, text: &'static str) -> Router {
    Router::new().fallback(async move || (StatusCode::from_u16(status).unwrap_or_default(), text))
}

async fn plain(router: Router) -> Result<Endpoint> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = Endpoint::from_shared(format!("http://{}", listener.local_addr()?))?;
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(endpoint)
}

/// Makes a call, and tells what came of it: for the client, for a judge below it, for one above, and for a limiter.
async fn judged<S>(channel: S, request: Request<Bytes>) -> Result<Vec<String>>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Error> + Clone,
{
    let watch = Watch::new()?;
    let mut calls = Grpc::new(watch.around(channel));
    calls.ready().await?;
    let codec = ProstCodec::<Bytes, Bytes>::default();
    let outcome = calls.unary(request, PATH, codec).await;
    Ok(watch.cells(Some(outcome)))
}

/// Who looks at the answers of a channel.
struct Watch {
    judge: Arc<Mutex<Option<Verdict>>>,
    limiter: ShedLayer,
}

impl Watch {
    fn new() -> Result<Self> {
        Ok(Self { judge: Arc::default(), limiter: ShedLayer::fixed(1)? })
    }

    fn around<S>(
        &self,
        channel: S,
    ) -> impl Service<http::Request<Body>, Response = http::Response<HeldBody<Body>>, Error = Error> + use<S>
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Error> + Clone,
    {
        let judge = Arc::clone(&self.judge);
        self.limiter.clone().into_grpc().layer(channel.map_result(move |outcome: Judged| {
            *judge.lock().unwrap() = Some(GrpcRefusals.judge(&outcome));
            outcome
        }))
    }

    /// What the client sees, and what each of them says of it. Without an outcome the call has come to nothing.
    fn cells(&self, outcome: Option<Result<Response<Bytes>, Status>>) -> Vec<String> {
        let above = outcome.as_ref().map_or_else(|| "–".into(), |outcome| says(GrpcRefusals.judge(outcome)));
        let seen = match outcome {
            None => NOTHING.into(),
            Some(Ok(_)) => "an answer".into(),
            Some(Err(status)) => format!("{:?}, “{}”", status.code(), status.message()),
        };
        let below = self.judge.lock().unwrap().take().map_or_else(|| "–".into(), says);
        vec![seen, below, above, counted(&self.limiter.handle()).into()]
    }
}
