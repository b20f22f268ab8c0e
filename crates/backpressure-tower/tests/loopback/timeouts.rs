//! tonic servers whose calls are all cut by a timeout, over a pipe, on a paused clock.

use std::io;
use std::time::Duration;

use backpressure_core::DropReason;
use backpressure_tower::{RequestHeaders, ShedHandle, ShedLayer};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep};
use tonic::client::Grpc as Calls;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::kit::Stage;
use crate::play::Play;

const MS: Duration = Duration::from_millis(1);

/// The two ends of a connection: what the server takes in, and the client.
fn pipe() -> (impl stream::Stream<Item = io::Result<DuplexStream>>, impl Future<Output = Channel>) {
    let (here, there) = tokio::io::duplex(1 << 16);
    let mut here = Some(TokioIo::new(here));
    let connect = service_fn(move |_| {
        std::future::ready(here.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    });
    let channel = async { Endpoint::from_static("http://pipe").connect_with_connector(connect).await.unwrap() };
    (stream::iter([Ok(there)]).chain(stream::pending()), channel)
}

/// Thirty callers for five seconds, to a service that answers none.
async fn besiege(channel: Channel, timeout: Option<Duration>) {
    let end = Instant::now() + 5000 * MS;
    let caller = async |mut calls: Calls<Channel>| {
        while Instant::now() < end {
            let mut request = Request::new(0_u64);
            timeout.into_iter().for_each(|timeout| request.set_timeout(timeout));
            calls.ready().await.unwrap();
            let method = PathAndQuery::from_static("/test.Play/Act");
            let answer: Result<tonic::Response<u64>, Status> =
                calls.unary(request, method, ProstCodec::default()).await;
            match answer.unwrap_err().code() {
                Code::ResourceExhausted => sleep(250 * MS).await, // tidy: paused clock
                code => assert!(matches!(code, Code::Cancelled | Code::DeadlineExceeded), "{code:?}"),
            }
        }
    };
    join_all((0..30).map(|_| caller(Calls::new(channel.clone())))).await;
}

fn assert_overload(handle: &ShedHandle) {
    let counts = handle.gauge().snapshot().counts;
    assert!(handle.limit() < 8, "the limit is {}", handle.limit());
    let (timed_out, cancelled) = (counts.lost(DropReason::TimedOut), counts.lost(DropReason::Cancelled));
    assert!(timed_out > 0 && (cancelled, counts.delivered, counts.failed()) == (0, 0, 0), "{counts:?}");
    assert!(counts.balances() && timed_out + counts.rejected == counts.received, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn every_call_cut_by_the_timeout_of_a_tonic_server_is_an_overload() {
    let layer = ShedLayer::builder().timeout(200 * MS).build();
    let handle = layer.handle();
    let (incoming, channel) = pipe();
    let server = Server::builder().timeout(200 * MS).layer(layer.into_grpc()).add_service(Play(Stage::new().0));
    tokio::spawn(server.serve_with_incoming(incoming));
    besiege(channel.await, None).await;
    assert_overload(&handle);
}

#[tokio::test(start_paused = true)]
async fn every_call_cut_by_its_grpc_timeout_is_an_overload_with_and_without_a_classifier() {
    let layer = ShedLayer::adaptive();
    let handle = layer.handle();
    let (incoming, channel) = pipe();
    let server = Server::builder().layer(layer.into_grpc()).add_service(Play(Stage::new().0));
    tokio::spawn(server.serve_with_incoming(incoming));
    besiege(channel.await, Some(200 * MS)).await;
    assert_overload(&handle);

    let layer = ShedLayer::adaptive();
    let handle = layer.handle();
    let (incoming, channel) = pipe();
    let layer = layer.classify(RequestHeaders::new()).into_grpc();
    let server = Server::builder().layer(layer).add_service(Play(Stage::new().0));
    tokio::spawn(server.serve_with_incoming(incoming));
    besiege(channel.await, Some(200 * MS)).await;
    assert_overload(&handle);
}
