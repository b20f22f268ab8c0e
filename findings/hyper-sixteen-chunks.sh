#!/usr/bin/env bash
# hyper 1.12.0, HTTP/1.1: it is not `max_buf_size` that bounds a body of small chunks, but their number, 16.
#
# Guess before the run: with nothing in the way (a pipe instead of a socket, which holds 1 KiB and is not read) a server
# takes chunks until its write buffer is full: some 400 chunks of 1 KiB, and some 16 with a `max_buf_size` of 16 KiB.
# Seen: 16 either way. Chunks are queued as they are, to be written in one system call, and 16 are enough for one. So a
# smaller `max_buf_size` spares memory only where chunks are large, and small chunks are a small reach.
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
hyper = { version = "=1.12.0", features = ["client", "http1", "http2", "server"] }
hyper-util = { version = "=0.1.21", features = ["tokio"] }
tokio = { version = "=1.54.1", features = ["io-util", "macros", "net", "rt", "time"] }
TOML
cat > src/main.rs <<'RS'
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::Response;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

/// Chunks of this size that a server takes from its body when nobody reads.
async fn taken(chunk: usize, buffer: Option<usize>) -> usize {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let service = service_fn(move |_| {
        let count = Arc::clone(&count);
        async move {
            Ok::<_, Infallible>(Response::new(StreamBody::new(stream::repeat_with(move || {
                count.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; chunk])))
            }))))
        }
    });
    let (mut client, server) = tokio::io::duplex(1024);
    let mut builder = http1::Builder::new();
    if let Some(bytes) = buffer {
        builder.max_buf_size(bytes);
    }
    tokio::spawn(builder.serve_connection(TokioIo::new(server), service));
    client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut seen = 0;
    while seen == 0 || seen != taken.load(Ordering::SeqCst) {
        seen = taken.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    seen
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (chunk, name) in [(1024, "1 KiB"), (64 * 1024, "64 KiB")] {
        let (by_default, small) = (taken(chunk, None).await, taken(chunk, Some(16 * 1024)).await);
        println!("chunks of {name}: {by_default}, and {small} with a max_buf_size of 16 KiB");
    }
}
RS
seen=$(cargo run -q)
expected='chunks of 1 KiB: 16, and 16 with a max_buf_size of 16 KiB
chunks of 64 KiB: 7, and 1 with a max_buf_size of 16 KiB'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed. expected:\n%s\n' "$expected" >&2; exit 1; }
echo 'as recorded'
