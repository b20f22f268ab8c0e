//! What the tests of the controller share: a flush target that does as it is told, a list to write to from hooks, and
//! steps on the paused clock.

#![allow(dead_code, unused_imports, reason = "every test uses a part of it")]

mod target;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backpressure_core::{BackpressureConfig, BackpressureConfigBuilder};
use tokio::runtime::{Builder, Runtime};

pub(crate) use self::target::{Act, Call, Error, Flush, Target};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// How long a partial batch waits until a flush was slow.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// How long a flush should take.
pub(crate) const LATENCY: Duration = Duration::from_millis(10);

pub(crate) fn config(capacity: usize, batch_items: usize) -> BackpressureConfigBuilder {
    BackpressureConfig::builder()
        .capacity(capacity)
        .batch_items(batch_items)
        .flush_interval(INTERVAL, 3 * INTERVAL)
        .target_latency(LATENCY)
}

/// Lets everything happen that can happen at this point in time.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// Lets everything happen that can happen up to `time` from now.
pub(crate) async fn advance(time: Duration) {
    settle().await;
    tokio::time::advance(time).await;
    settle().await;
}

/// A runtime with a paused clock, for tests that look at it from outside.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

/// A list that hooks write to and the test reads.
#[derive(Debug)]
pub(crate) struct Log<X>(Arc<Mutex<Vec<X>>>);

impl<X> Log<X> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn push(&self, entry: X) {
        self.0.lock().unwrap().push(entry);
    }

    /// What was written since the last time.
    pub(crate) fn take(&self) -> Vec<X> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl<X> Clone for Log<X> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
