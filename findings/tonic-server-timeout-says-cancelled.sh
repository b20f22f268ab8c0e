#!/usr/bin/env bash
# tonic 0.14.5: a call that the server's own timeout cuts ends with CANCELLED, and so does one that its grpc-timeout cuts there.
#
# Guess before the run: both end with DEADLINE_EXCEEDED, which is the status of gRPC for a deadline that passed before the
# call was over.
# Seen: both end with CANCELLED and the message "Timeout expired", as if the caller had given up. Who counts overloads by
# status, in a proxy or a client, does not see those of tonic's timeouts.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
bytes = "1"
http-body-util = "0.1.5"
hyper = { version = "1.12", features = ["client", "http2"] }
hyper-util = { version = "0.1.21", features = ["tokio"] }
tokio = { version = "1.54", features = ["io-util", "macros", "rt", "time"] }
tokio-stream = "0.1.19"
tonic = { version = "=0.14.5", default-features = false, features = ["router", "server"] }
tower-service = "0.3.3"
TOML
cat > src/main.rs <<'RS'
use std::convert::Infallible;
use std::future::{pending, Pending};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_stream::StreamExt;
use tonic::body::Body;
use tonic::transport::Server;

/// A service that never answers.
#[derive(Clone)]
struct Never;

impl tonic::server::NamedService for Never {
    const NAME: &'static str = "test.Never";
}

impl tower_service::Service<Request<Body>> for Never {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pending<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        pending()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (by, mut server, header) in [
        ("the server's timeout", Server::builder().timeout(Duration::from_millis(50)), "1H"),
        ("its grpc-timeout", Server::builder(), "50m"),
    ] {
        let (here, there) = tokio::io::duplex(1 << 16);
        let incoming = tokio_stream::iter([Ok::<_, io::Error>(there)]).chain(tokio_stream::pending());
        tokio::spawn(server.add_service(Never).serve_with_incoming(incoming));
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(here)).await.unwrap();
        tokio::spawn(async { drop(connection.await) });
        let request = Request::post("http://pipe/test.Never/Call").header("grpc-timeout", header);
        let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        println!("cut by {by}: grpc-status {:?}, {:?}", answer.headers()["grpc-status"], answer.headers()["grpc-message"]);
    }
}
RS
seen=$(cargo run -q)
expected='cut by the server'"'"'s timeout: grpc-status "1", "Timeout%20expired"
cut by its grpc-timeout: grpc-status "1", "Timeout%20expired"'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed. expected:\n%s\n' "$expected" >&2; exit 1; }
echo 'as recorded'
