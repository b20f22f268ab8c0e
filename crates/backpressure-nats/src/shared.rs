//! What the task of a source shares with those who read and stop it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use backpressure_rt::lock;
use tokio::sync::watch;

use crate::engine::Lag;
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::pull::PullCounts;

#[derive(Debug)]
pub(crate) struct Shared<T> {
    pub(crate) inbox: Inbox<T>,
    pub(crate) outbox: Arc<Outbox>,
    books: Mutex<(PullCounts, Lag)>,
    is_gone: AtomicBool,
    has_ended: watch::Sender<bool>,
}

impl<T> Shared<T> {
    pub(crate) fn new() -> Self {
        Self {
            inbox: Inbox::new(),
            outbox: Arc::default(),
            books: Mutex::default(),
            is_gone: AtomicBool::new(false),
            has_ended: watch::Sender::new(false),
        }
    }

    pub(crate) fn books(&self) -> (PullCounts, Lag) {
        *lock(&self.books)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    pub(crate) fn has_ended(&self) -> watch::Receiver<bool> {
        self.has_ended.subscribe()
    }

    pub(crate) fn publish(&self, counts: PullCounts, lag: Lag) {
        *lock(&self.books) = (counts, lag);
    }

    /// The consumer is gone.
    pub(crate) fn gone(&self) {
        self.is_gone.store(true, Ordering::Release);
    }

    pub(crate) fn end(&self) {
        self.has_ended.send_replace(true);
    }
}
