#!/usr/bin/env bash
# hyper 1.12.0: how far ahead an adaptive window lets a sender get depends on what was read before, and has no fixed bound.
#
# Guess before the run: a client with `adaptive_window` lets a sender get 64 KiB ahead at first, and more than 2 MiB (the
# window it has by default) once it has read 64 MiB at full speed over loopback.
# Seen: 64 KiB at first, as guessed. After 64 MiB some hundred KiB: the window has grown, and less than by default. So
# the adaptive window bounds a sender more tightly, and "65 items of 1 KiB" is true of a fresh connection only.
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
axum = { version = "=0.8.9", default-features = false, features = ["http1", "http2", "tokio"] }
bytes = "1"
futures-util = "=0.3.34"
h2 = "=0.4.20"
http-body-util = "=0.1.5"
hyper = { version = "=1.12.0", features = ["client", "http1", "http2"] }
hyper-util = { version = "=0.1.21", features = ["tokio"] }
tokio = { version = "=1.54.1", features = ["macros", "net", "rt", "time"] }
TOML
cat > src/main.rs <<'RS'
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

/// KiB that the server is ahead, once it stands still, of a client that has read so many.
async fn ahead(read: usize) -> usize {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let body = move || async move {
        Body::from_stream(stream::repeat_with(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Bytes::from_static(&[0; 1024]))
        }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TokioIo::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
    tokio::spawn(async { axum::serve(listener, axum::Router::new().route("/", get(body))).await });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let (mut client, connection) = builder.adaptive_window(true).handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://localhost/").body(Empty::<Bytes>::new()).unwrap();
    let mut body = client.send_request(request).await.unwrap().into_body();
    let mut bytes = 0;
    while bytes < read * 1024 {
        bytes += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    let mut seen = 0;
    while seen != made.load(Ordering::SeqCst) {
        seen = made.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    seen - bytes / 1024
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("nothing read: {} KiB ahead", ahead(0).await);
    let after = ahead(64 * 1024).await;
    eprintln!("(this time {after} KiB)");
    let range = if (80..2000).contains(&after) { "between 80 and 2000" } else { "less or more" };
    println!("after 64 MiB: {range} KiB ahead");
}
RS
seen=$(cargo run -q)
expected='nothing read: 65 KiB ahead
after 64 MiB: between 80 and 2000 KiB ahead'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed. expected:\n%s\n' "$expected" >&2; exit 1; }
echo 'as recorded'
