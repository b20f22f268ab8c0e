//! What holders of deliveries say, on its way to the task that sends it.

use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use backpressure_rt::lock;
use tokio::sync::Notify;

use crate::settlement::Settlement;

/// Answers, and orders, for the task of a source. It holds no more than one answer for each delivery.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    answers: Mutex<Vec<(u64, Settlement)>>,
    /// Deliveries that nobody has taken out of the source.
    unread: AtomicUsize,
    stops: AtomicBool,
    changed: Notify,
}

impl Outbox {
    pub(crate) fn settle(&self, id: u64, settlement: Settlement) {
        let was_empty = {
            let mut answers = lock(&self.answers);
            answers.push((id, settlement));
            answers.len() == 1
        };
        if was_empty {
            self.changed.notify_one();
        }
    }

    /// Many answers at once.
    pub(crate) fn settle_all(&self, settled: impl Iterator<Item = (u64, Settlement)>) {
        let is_news = {
            let mut answers = lock(&self.answers);
            let was_empty = answers.is_empty();
            answers.extend(settled);
            was_empty && !answers.is_empty()
        };
        if is_news {
            self.changed.notify_one();
        }
    }

    /// Exchanges the answers for an empty vector.
    pub(crate) fn take(&self, empty: &mut Vec<(u64, Settlement)>) {
        mem::swap(&mut *lock(&self.answers), empty);
    }

    /// This many deliveries are for the reader to take.
    pub(crate) fn put(&self, deliveries: usize) {
        self.unread.fetch_add(deliveries, Ordering::AcqRel);
    }

    /// The reader took this many.
    pub(crate) fn read(&self, deliveries: usize) {
        if self.unread.fetch_sub(deliveries, Ordering::AcqRel) == deliveries {
            self.changed.notify_one();
        }
    }

    /// Whether the reader waits for more.
    pub(crate) fn is_read_up(&self) -> bool {
        self.unread.load(Ordering::Acquire) == 0
    }

    pub(crate) fn stop(&self) {
        self.stops.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stops.load(Ordering::Acquire)
    }

    /// # Cancel safety
    ///
    /// Dropped before it resolves, it has missed nothing.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}
