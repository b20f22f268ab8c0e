#!/usr/bin/env bash
# tonic 0.14.5: a client stream that the client gives up looks to the server like one that is complete.
#
# Guess before the run: where a client drops its call in the middle of its messages, the server's stream yields an error,
# Cancelled. A stream that the client has ended yields `None`.
# Seen: both yield `None`. A server that reads in a task of its own, or goes on to work with what it has read, cannot
# tell an upload that was given up from one that is complete; the end has to be a message of its own.
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
use tokio_stream::StreamExt;
use tonic::codec::Streaming;
use tonic::codegen::http::{self, uri::PathAndQuery};
use tonic::transport::{server::TcpIncoming, Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for gives_up in [false, true] {
        let (end, mut ended) = tokio::sync::mpsc::unbounded_channel();
        let (read, mut is_read) = tokio::sync::mpsc::unbounded_channel();
        // Reads in a task of its own, and answers nothing meanwhile.
        let method = tower::service_fn(move |request: Request<Streaming<u64>>| {
            let (end, read) = (end.clone(), read.clone());
            tokio::spawn(async move {
                let mut messages = request.into_inner();
                loop {
                    match messages.message().await {
                        Ok(Some(_)) => read.send(()).unwrap(),
                        last => return end.send(last.map_err(|status| status.code())).unwrap(),
                    }
                }
            });
            std::future::pending::<Result<Response<u64>, Status>>()
        });
        let router = axum::Router::new().fallback(move |request: http::Request<axum::body::Body>| async move {
            tonic::server::Grpc::new(ProstCodec::<u64, u64>::default()).client_streaming(method, request).await
        });
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        tokio::spawn(Server::builder().add_routes(router.into()).serve_with_incoming(incoming));

        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let call = tokio::spawn(async move {
            let two = tokio_stream::iter([1u64, 2]);
            let codec = ProstCodec::<u64, u64>::default();
            let path = PathAndQuery::from_static("/finding.Finding/Upload");
            if gives_up {
                let _ = client.client_streaming(Request::new(two.chain(tokio_stream::pending())), path, codec).await;
            } else {
                let _ = client.client_streaming(Request::new(two), path, codec).await;
            }
        });
        is_read.recv().await.unwrap();
        is_read.recv().await.unwrap();
        if gives_up {
            call.abort();
        }
        let what = if gives_up { "given up after two messages" } else { "ended after two messages" };
        println!("{what}: the server reads {:?}", ended.recv().await.unwrap());
    }
}
RS
seen=$(cargo run -q)
expected='ended after two messages: the server reads Ok(None)
given up after two messages: the server reads Ok(None)'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed. expected:\n%s\n' "$expected" >&2; exit 1; }
echo 'as recorded'
