//! What the parts of one measurement share: the items, how many of them left the producer, and what went wrong.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use backpressure_core::Gauge;
use bytes::Bytes;
use futures_util::Stream;

/// A producer that got this far has no bound: it is stopped.
pub const LIMIT: usize = 400_000;

/// One measurement.
#[derive(Debug, Clone)]
pub struct Reach {
    item: Bytes,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    made: AtomicUsize,
    lost: Mutex<Option<String>>,
    ports: Mutex<Vec<u16>>,
    gauge: Mutex<Option<Gauge>>,
}

impl Reach {
    pub fn of(size: usize) -> Self {
        Self { item: Bytes::from(vec![b'x'; size]), shared: Arc::default() }
    }

    pub fn item(&self) -> Bytes {
        self.item.clone()
    }

    /// Notes that an item has left the producer. True if there have been enough.
    pub fn count(&self) -> bool {
        self.shared.made.fetch_add(1, Ordering::Relaxed) + 1 >= LIMIT
    }

    pub fn made(&self) -> usize {
        self.shared.made.load(Ordering::Relaxed)
    }

    /// Notes that the transport gave up, and why. The first reason counts.
    pub fn lose(&self, why: impl ToString) {
        self.shared.lost.lock().unwrap().get_or_insert_with(|| why.to_string());
    }

    pub fn lost(&self) -> Option<String> {
        self.shared.lost.lock().unwrap().clone()
    }

    /// Notes a port whose connections belong to this measurement.
    pub fn uses(&self, port: u16) {
        self.shared.ports.lock().unwrap().push(port);
    }

    pub fn ports(&self) -> Vec<u16> {
        self.shared.ports.lock().unwrap().clone()
    }

    /// Notes the gauge of the part that stands before the transport.
    pub fn shows(&self, gauge: Gauge) {
        *self.shared.gauge.lock().unwrap() = Some(gauge);
    }

    pub fn gauge(&self) -> Option<Gauge> {
        self.shared.gauge.lock().unwrap().clone()
    }

    /// A producer that always has another item.
    pub fn ready(&self) -> Source {
        Source { reach: self.clone(), rests: false, has_rested: false }
    }

    /// A producer whose next item comes a moment after the last: whoever takes them one by one finds nothing in between.
    pub fn singly(&self) -> Source {
        Source { reach: self.clone(), rests: true, has_rested: false }
    }

    /// Hands over items by `send` until that fails or there have been enough.
    pub async fn feed<F, E>(&self, mut send: impl FnMut(Bytes) -> F)
    where
        F: Future<Output = Result<(), E>>,
        E: ToString,
    {
        loop {
            if let Err(error) = send(self.item()).await {
                return self.lose(error);
            }
            if self.count() {
                return;
            }
            if self.made().is_multiple_of(64) {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Counts its items as they leave. After [`LIMIT`] of them there is nothing more, and no end either.
#[derive(Debug)]
pub struct Source {
    reach: Reach,
    rests: bool,
    has_rested: bool,
}

impl Stream for Source {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.reach.made() >= LIMIT {
            return Poll::Pending;
        }
        if self.rests && !self.has_rested {
            self.has_rested = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.has_rested = false;
        self.reach.count();
        Poll::Ready(Some(self.reach.item()))
    }
}

/// A transport that drops its producer has given up.
impl Drop for Source {
    fn drop(&mut self) {
        self.reach.lose("the transport has dropped the producer");
    }
}
