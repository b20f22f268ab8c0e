//! A paused clock, and what the parts do with it.

use std::time::Duration;

use backpressure_core::{BackpressureConfig, Gauge, Strategy};

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) fn config(capacity: usize) -> BackpressureConfig {
    BackpressureConfig::builder().capacity(capacity).strategy(Strategy::block_forever()).build().unwrap()
}

/// Lets everything happen that can happen up to so long from now, and at that instant.
pub(crate) async fn pass(ms: u32) {
    settle().await;
    tokio::time::advance(ms * MS).await;
    settle().await;
}

pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// Milliseconds spent idle, busy and blocked.
pub(crate) fn spent(gauge: &Gauge) -> [u128; 3] {
    let work = gauge.snapshot().work.expect("the part tells what it does");
    [work.idle, work.busy, work.blocked].map(|time| time.as_millis())
}

pub(crate) fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

/// Takes so long over something.
pub(crate) async fn work_for(ms: u32) {
    tokio::time::sleep(ms * MS).await; // tidy: paused clock
}
