//! A bound in bytes, from a file into a writer that is slow.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use backpressure_sink::BackpressureSinkExt;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::io::AsyncWrite;
use tokio_util::codec::{BytesCodec, FramedWrite};

use crate::kit::{Task, config, poll};

const BOUND: usize = 64 * 1024;
const CHUNK: usize = 4 * 1024;
/// Above this a `FramedWrite` holds items back no longer.
const FRAME: usize = 8 * 1024;

/// Takes a little, then nothing until it is told to go on.
#[derive(Clone, Default)]
struct SlowDisk(Arc<Disk>);

#[derive(Default)]
struct Disk {
    written: Mutex<Vec<u8>>,
    waker: Mutex<Option<Waker>>,
    allowance: AtomicUsize,
}

impl SlowDisk {
    fn allow(&self, bytes: usize) {
        self.0.allowance.fetch_add(bytes, Ordering::SeqCst);
        let waker = self.0.waker.lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl AsyncWrite for SlowDisk {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let taken = data.len().min(self.0.allowance.load(Ordering::SeqCst));
        if taken == 0 {
            *self.0.waker.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.0.allowance.fetch_sub(taken, Ordering::SeqCst);
        self.0.written.lock().unwrap().extend_from_slice(&data[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn d3_d2_a_copy_holds_no_more_bytes_than_its_bound_and_is_true_to_the_last() {
    let file: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let chunks: Vec<_> = file.chunks(CHUNK).map(Bytes::copy_from_slice).collect();
    let source = stream::iter(chunks).inspect(move |chunk| {
        counter.fetch_add(chunk.len(), Ordering::SeqCst);
    });

    let disk = SlowDisk::default();
    let sink = FramedWrite::new(disk.clone(), BytesCodec::new())
        .bounded(config(|c| c.capacity(10_000).max_weight(BOUND)))
        .weigh_bytes();
    let gauge = sink.gauge();
    let mut copy = source.map(Ok).forward(sink);
    let task = Task::new();
    let mut pauses = 0;
    while poll(&mut copy, &task).is_pending() {
        pauses += 1;
        let held = gauge.snapshot().weight;
        assert!(held <= BOUND, "{held} bytes are held");
        let written = disk.0.written.lock().unwrap().len();
        let in_memory = read.load(Ordering::SeqCst) - written;
        assert!(in_memory <= BOUND + FRAME + 3 * CHUNK, "{in_memory} bytes are read and not written");
        task.wakes();
        disk.allow(10_000);
        assert_eq!(task.wakes(), 1, "nothing spins, and nothing is stuck");
    }
    assert!(pauses >= 100, "the disk was not slow: {pauses} pauses");
    assert_eq!(*disk.0.written.lock().unwrap(), file);
    assert_eq!(gauge.snapshot().counts.delivered, 245);
}
