#!/usr/bin/env bash
# tokio-util 0.7.20: who waits for a `FramedWrite` whose writer is stuck may wait although there is room.
#
# Guess before the run: `feed` takes items until the buffer holds its boundary of 8 KiB. With a pipe of 64 KiB that nobody
# reads, that are 2048 items of 36 bytes: 64 KiB in the pipe and 8 KiB in the buffer.
# Seen: 1824. A full buffer has to be written to its end before the next item: here 128 bytes are left of it when the pipe is
# full, and `poll_ready` waits for the writer. Asked once more, with nothing changed, it says that there is room, and takes a
# boundary more. So how far ahead a producer gets depends on whether something else wakes its task, such as a timer.
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
futures-util = { version = "=0.3.34", features = ["sink"] }
tokio = { version = "=1.54.1", features = ["io-util"] }
tokio-util = { version = "=0.7.20", features = ["codec"] }
TOML
cat > src/main.rs <<'RS'
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::Sink;
use tokio_util::codec::{FramedWrite, LengthDelimitedCodec};

fn main() {
    let (writer, _reader) = tokio::io::duplex(64 * 1024);
    let mut sink = FramedWrite::new(writer, LengthDelimitedCodec::new());
    let mut taken = 0;
    for poll in ["at first", "asked again"] {
        let mut cx = Context::from_waker(Waker::noop());
        // 36 bytes each, with their length.
        while let Poll::Ready(Ok(())) = Sink::<Bytes>::poll_ready(Pin::new(&mut sink), &mut cx) {
            Pin::new(&mut sink).start_send(Bytes::from_static(&[0; 32])).unwrap();
            taken += 1;
        }
        println!("{poll}: {taken} items taken, {} bytes in the buffer", sink.write_buffer().len());
    }
}
RS
seen=$(cargo run -q)
expected='at first: 1824 items taken, 128 bytes in the buffer
asked again: 2048 items taken, 8192 bytes in the buffer'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed. expected:\n%s\n' "$expected" >&2; exit 1; }
echo 'as recorded'
