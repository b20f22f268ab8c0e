#!/usr/bin/env bash
# tonic 0.14.5, tower 0.5.3: tower's `Timeout` as a layer of a tonic server shows as a broken protocol.
#
# Guess before the run: the error of the layer becomes a status, as tonic's own timeout does; a client sees Unknown with
# the text "request timed out".
# Seen: tonic makes statuses of its own timeout's error (Cancelled), not of tower's. That one resets the stream, and the
# client sees Internal, "h2 protocol error". Clients that count Internal as a bug of the server count each timeout as one.
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
tokio = { version = "=1.54.1", features = ["macros", "net", "rt", "sync", "time"] }
tokio-stream = "=0.1.19"
tonic = { version = "=0.14.5", default-features = false, features = ["channel", "codegen", "router", "server"] }
tonic-prost = "=0.14.5"
tower = { version = "=0.5.3", features = ["timeout", "util"] }
axum = { version = "=0.8.9", default-features = false }
TOML
cat > src/main.rs <<'RS'
use std::time::Duration;

use tonic::codegen::http::{self, uri::PathAndQuery};
use tonic::transport::{server::TcpIncoming, Endpoint, Server};
use tonic::Request;
use tonic_prost::ProstCodec;

async fn call(serve: impl FnOnce(axum::Router, TcpIncoming)) -> String {
    let never = |_: http::Request<axum::body::Body>| std::future::pending::<()>();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    serve(axum::Router::new().fallback(never), incoming);
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/finding.Finding/Never");
    let status = client.unary::<u64, u64, _>(Request::new(1), path, ProstCodec::default()).await.unwrap_err();
    format!("{:?}, {}", status.code(), status.message())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let soon = Duration::from_millis(50);
    let own = call(|router, incoming| {
        tokio::spawn(Server::builder().timeout(soon).add_routes(router.into()).serve_with_incoming(incoming));
    });
    println!("Server::timeout: {}", own.await);
    let layer = tower::timeout::TimeoutLayer::new(soon);
    let towers = call(|router, incoming| {
        tokio::spawn(Server::builder().layer(layer).add_routes(router.into()).serve_with_incoming(incoming));
    });
    println!("tower's TimeoutLayer: {}", towers.await);
}
RS
seen=$(cargo run -q)
expected='Server::timeout: Cancelled, Timeout expired
tower'"'"'s TimeoutLayer: Internal, h2 protocol error: http2 error'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed. expected:\n%s\n' "$expected" >&2; exit 1; }
echo 'as recorded'
