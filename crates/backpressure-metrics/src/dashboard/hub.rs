//! What all pages share: what is known, and who wants to know more.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Bytes;
use backpressure_channel::{Receiver, Sender, channel};
use backpressure_core::{BackpressureConfig, Strategy};

use super::known::{Frame, Known};
use crate::registry::Registry;

/// What is known of the parts of a registry, and the pages that want to know more.
#[derive(Debug)]
pub(super) struct Hub {
    registry: Registry,
    known: Mutex<Known>,
    pages: Mutex<Pages>,
    newest_only: BackpressureConfig,
}

#[derive(Debug, Default)]
struct Pages {
    open: Vec<Sender<Frame>>,
    recordings: usize,
    /// The number of the sampler that runs, if there is one, and how many there have been.
    sampler: Option<u64>,
    samplers: u64,
    is_closed: bool,
}

/// Whoever gets this has to run a sampler, for there is none.
#[derive(Debug)]
#[must_use]
pub(super) struct Start(u64);

impl Hub {
    /// Of a `registry`. The history begins at `now`.
    pub(super) fn new(registry: Registry, now: Instant) -> Self {
        let config = BackpressureConfig::builder().capacity(1).batch_items(1).strategy(Strategy::DropOldest);
        Self {
            registry,
            known: Mutex::new(Known::new(now)),
            pages: Mutex::default(),
            newest_only: config.build().expect("one slot is a bound"),
        }
    }

    /// A page's frames, of which only the newest waits for a page that is slow. `None` once this is closed.
    pub(super) fn open(&self) -> Option<(Receiver<Frame>, Option<Start>)> {
        let (sender, receiver) = channel(self.newest_only.clone());
        let mut pages = lock(&self.pages);
        if pages.is_closed {
            return None;
        }
        let start = pages.start();
        pages.open.push(sender.clone());
        drop(pages);
        // A page that comes while others are open need not wait for the next second.
        if let Some(frame) = lock(&self.known).newest().filter(|_| start.is_none()) {
            let _ = sender.try_send(frame);
        }
        Some((receiver, start))
    }

    /// Samples from now on even if no page is open.
    pub(super) fn record(&self) -> Option<Start> {
        let mut pages = lock(&self.pages);
        pages.recordings += 1;
        if pages.is_closed { None } else { pages.start() }
    }

    /// The opposite.
    pub(super) fn record_no_more(&self) {
        let mut pages = lock(&self.pages);
        pages.recordings = pages.recordings.saturating_sub(1);
    }

    /// Ends all pages, and the sampler with the next second.
    pub(super) fn close(&self) {
        let mut pages = lock(&self.pages);
        pages.is_closed = true;
        let open = mem::take(&mut pages.open);
        drop(pages);
        drop(open);
    }

    /// A sampler begins: what was known before says nothing about the time between.
    pub(super) fn begin(&self) {
        lock(&self.known).begin();
    }

    /// Looks at all parts at `now`, and tells the pages. Whether to go on.
    pub(super) fn sample(&self, now: Instant) -> bool {
        let seen = self.registry.observe(now);
        let frame = lock(&self.known).take(now, seen);
        // To send wakes pages, which is not done under a lock.
        let mut open = mem::take(&mut lock(&self.pages).open);
        open.retain(|page| page.try_send(frame.clone()).is_ok());
        let mut pages = lock(&self.pages);
        if !pages.is_closed {
            pages.open.append(&mut open);
        }
        let goes_on = !pages.is_closed && (pages.recordings > 0 || !pages.open.is_empty());
        if !goes_on {
            pages.sampler = None;
        }
        drop(pages);
        goes_on
    }

    /// A sampler has ended, for whatever reason. If it was still wanted its pages end, so that they come back and start another.
    pub(super) fn end(&self, sampler: &Start) {
        let mut pages = lock(&self.pages);
        if pages.sampler == Some(sampler.0) {
            pages.sampler = None;
            let open = mem::take(&mut pages.open);
            drop(pages);
            drop(open);
        }
    }

    /// All that is known, with the newest frame.
    pub(super) fn whole(&self) -> Option<(Frame, Bytes)> {
        lock(&self.known).whole()
    }
}

impl Pages {
    fn start(&mut self) -> Option<Start> {
        if self.sampler.is_some() {
            return None;
        }
        self.samplers += 1;
        self.sampler = Some(self.samplers);
        Some(Start(self.samplers))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
