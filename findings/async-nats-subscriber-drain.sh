#!/usr/bin/env bash
# async-nats 0.51.0: what becomes of messages that are on their way when a subscription is drained.
#
# Guess before the run: `Subscriber::drain` sends UNSUB and PING, and ends the subscription when the PONG comes. The server
# answers in order, so what it had sent before it heard of the UNSUB is still delivered: "leaves the subscription open to allow
# any in-flight messages on the subscription to be delivered", as its documentation says.
# Seen: the subscription ends as soon as the UNSUB is written, without the PONG. A message that the server sent before it read
# the UNSUB, and that arrives after it was written, is dropped without a word. For a pull from JetStream that means a wait of
# `ack_wait` before somebody else gets it.
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
async-nats = { version = "=0.51.0", default-features = false }
futures-util = "0.3"
tokio = { version = "1", features = ["macros", "rt-multi-thread", "time"] }
TOML
cat > src/main.rs <<'RS'
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use futures_util::StreamExt;

/// A server that sends one message when it hears SUB, and another one on UNSUB, before it answers the PING behind it: as one
/// does whose message and whose reading of the UNSUB crossed.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let info = r#"{"server_id":"x","server_name":"x","version":"2.10.0","proto":1,"host":"127.0.0.1","port":1,"headers":true,"max_payload":1048576}"#;
    write!(stream, "INFO {info}\r\n")?;
    let mut sid = String::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        match line.split_whitespace().next() {
            Some("PING") => write!(stream, "PONG\r\n")?,
            Some("SUB") => {
                sid = line.split_whitespace().last().unwrap_or_default().into();
                write!(stream, "MSG a {sid} 5\r\nfirst\r\n")?;
            }
            Some("UNSUB") => {
                std::thread::sleep(Duration::from_millis(200));
                write!(stream, "MSG a {sid} 6\r\nsecond\r\n")?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), async_nats::Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || listener.accept().and_then(|(stream, _)| serve(stream)));
    let client = async_nats::connect(address.to_string()).await?;
    let mut subscriber = client.subscribe("a").await?;
    let first = subscriber.next().await.map(|message| message.payload);
    println!("before the drain: {first:?}");
    subscriber.drain().await?;
    let rest = tokio::time::timeout(Duration::from_secs(5), subscriber.map(|message| message.payload).collect::<Vec<_>>()).await?;
    println!("after the drain: {rest:?}");
    Ok(())
}
RS
printed=$(cargo run --quiet)
echo "$printed"
expected='before the drain: Some(b"first")
after the drain: []'
[[ $printed == "$expected" ]] || { echo "this has changed" >&2; exit 1; }
