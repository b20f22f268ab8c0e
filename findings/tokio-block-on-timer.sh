#!/usr/bin/env bash
# tokio 1.54.1, multi-thread runtime: a timeout in the future given to `block_on` waits for a blocked worker.
#
# Guess before the run: the thread that calls `block_on` is no worker. Its timers fire on time, whatever the workers
# do, so a `timeout` there is a way to give up on a pool that is stuck.
# Seen: the calling thread does not drive timers, only workers do. With one worker that is blocked for 1 s a timeout
# of 50 ms ends after 1 s; with a second worker that is free it ends on time. So a shutdown deadline inside
# `#[tokio::main]` is no deadline where all workers may be blocked; it takes a thread of its own.
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
tokio = { version = "=1.54.1", features = ["rt-multi-thread", "sync", "time"] }
TOML
cat > src/main.rs <<'RS'
use std::time::{Duration, Instant};

fn main() {
    for workers in [1, 2] {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
        let waited = runtime.block_on(async {
            let (is_blocked, blocked) = tokio::sync::oneshot::channel();
            tokio::spawn(async {
                is_blocked.send(()).unwrap();
                std::thread::sleep(Duration::from_secs(1));
            });
            blocked.await.unwrap();
            let start = Instant::now();
            let timed_out = tokio::time::timeout(Duration::from_millis(50), std::future::pending::<()>()).await;
            assert!(timed_out.is_err());
            start.elapsed()
        });
        let when = if waited < Duration::from_millis(500) { "on time" } else { "after the worker" };
        println!("{workers} worker(s), one blocked: a timeout of 50 ms ended {when}");
    }
}
RS
seen=$(cargo run -q)
expected='1 worker(s), one blocked: a timeout of 50 ms ended after the worker
2 worker(s), one blocked: a timeout of 50 ms ended on time'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed. expected:\n%s\n' "$expected" >&2; exit 1; }
echo 'as recorded'
