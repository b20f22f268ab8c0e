//! A file copied into a slow writer, with a bound in bytes and without: how much memory does it take?
//!
//! ```text
//!  file ──▶ FramedRead ──▶ a task that reads ahead, up to 1 MiB ──▶ FramedWrite ──▶ a disk that is slower
//! ```
//!
//! Without a bound, whatever the reader is faster by is held in memory: here, nearly the whole file. With one, a MiB
//! waits, however long the file. The difference is measured, not computed: the program runs itself twice, as
//! `--bounded` and as `--unbounded`, and each run reports the peak of its memory (`VmHWM` of `/proc/self/status`, on
//! Linux).
//!
//! `cargo run --example bounded-copy`, which takes about a second; or `-- --bounded FROM TO` on a file of yours.

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

#[path = "../common/fresh.rs"]
mod fresh;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use backpressure::{BackpressureConfig, BackpressureStreamExt};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::fs::File;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};
use tokio_util::codec::{BytesCodec, FramedRead, FramedWrite};

const MIB: usize = 1024 * 1024;
const FILE: usize = 48 * MIB;
const BOUND: usize = MIB;
const CHUNK: usize = 64 * 1024;

/// A writer that rests for 20 ms after every MiB: not 50 MiB a second.
struct Slow {
    file: File,
    left: usize,
    rest: Pin<Box<Sleep>>,
}

impl Slow {
    fn new(file: File) -> Self {
        Self { file, left: 0, rest: Box::pin(sleep(Duration::ZERO)) }
    }
}

impl AsyncWrite for Slow {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            ready!(self.rest.as_mut().poll(cx));
            self.rest = Box::pin(sleep(Duration::from_millis(20)));
            self.left = MIB;
        }
        let most = bytes.len().min(self.left);
        let written = ready!(Pin::new(&mut self.file).poll_write(cx, &bytes[..most]))?;
        self.left -= written;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_shutdown(cx)
    }
}

/// Reads ahead up to the bound.
fn bounded(
    chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> anyhow::Result<impl Stream<Item = io::Result<Bytes>>> {
    let config = BackpressureConfig::builder().max_weight(BOUND).build()?;
    let weigh = |chunk: &io::Result<Bytes>| chunk.as_ref().map_or(1, Bytes::len);
    let ahead = chunks.backpressure(config).weigh_by(weigh).spawn();
    let gauge = ahead.gauge();
    Ok(ahead.inspect(move |_| assert!(gauge.snapshot().weight <= BOUND, "the bound holds whenever one looks")))
}

/// Reads ahead as fast as it goes.
fn unbounded(chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> impl Stream<Item = io::Result<Bytes>> {
    let (tx, rx) = mpsc::unbounded_channel();
    tokio::spawn(chunks.for_each(move |chunk| {
        let _ = tx.send(chunk); // fails once the copy has failed
        std::future::ready(())
    }));
    stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|chunk| (chunk, rx)) })
}

async fn copy(mode: &str, from: &str, to: &str) -> anyhow::Result<()> {
    let from = File::open(from).await.with_context(|| from.to_owned())?;
    let to = File::create(to).await.with_context(|| to.to_owned())?;
    let chunks = FramedRead::with_capacity(from, BytesCodec::new(), CHUNK).map_ok(BytesMut::freeze);
    let writer = FramedWrite::new(Slow::new(to), BytesCodec::new());
    match mode {
        "--bounded" => bounded(chunks)?.forward(writer).await?,
        "--unbounded" => unbounded(chunks).forward(writer).await?,
        _ => bail!("{mode} is neither --bounded nor --unbounded"),
    }
    match peak_memory() {
        Some(kib) => println!("{kib} KiB"),
        None => println!("not measured on this system"),
    }
    Ok(())
}

/// The most memory that this process ever had in use, in KiB.
fn peak_memory() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse().ok()
}

/// Runs both, side by side, and compares.
fn compare(dir: &Path) -> anyhow::Result<()> {
    let original = dir.join("original");
    let mut file = fs::File::create(&original)?;
    for block in 0..FILE / MIB {
        file.write_all(&[block as u8].repeat(MIB))?;
    }
    let run = |mode: &str| {
        let copy = dir.join(mode);
        let mut child = Command::new(std::env::current_exe()?);
        child.arg(mode).args([&original, &copy]).stdout(Stdio::piped());
        Ok::<_, io::Error>((child.spawn()?, copy))
    };
    let mut peaks = Vec::new();
    for (mode, (child, copy)) in [("--bounded", run("--bounded")?), ("--unbounded", run("--unbounded")?)] {
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{mode} failed");
        ensure!(fs::read(&copy)? == fs::read(&original)?, "the copy differs from the original");
        let said = String::from_utf8(output.stdout)?;
        println!("{mode:<12} a file of {} KiB; peak memory: {}", FILE / 1024, said.trim());
        peaks.extend(said.trim().strip_suffix(" KiB").and_then(|kib| kib.parse::<usize>().ok()));
    }
    if let [bounded, unbounded] = peaks[..] {
        println!("the bound of {} KiB saves {} KiB", BOUND / 1024, unbounded.saturating_sub(bounded));
        assert!(bounded < FILE / 1024 / 4, "the bounded copy holds a small part of the file");
        assert!(unbounded > bounded + FILE / 1024 / 4, "the unbounded copy holds a large part of it");
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let dir = fresh::directory(&std::env::temp_dir(), "bounded-copy")?;
            let compared = compare(&dir);
            fs::remove_dir_all(&dir)?;
            compared
        }
        [mode, from, to] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(copy(mode, from, to))
        }
        _ => bail!("usage: bounded-copy [--bounded FROM TO | --unbounded FROM TO]"),
    }
}
