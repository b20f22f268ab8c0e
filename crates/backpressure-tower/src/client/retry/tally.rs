//! How a budget is used, for whoever watches: written under its lock, read without it.

use std::sync::atomic::{AtomicU64, Ordering};

use backpressure_core::{Family, Metric, Reading};

static BALANCE: Family = Family::gauge(
    "backpressure.retry.balance",
    "{retry}",
    "Retries that were affordable after the last call or retry.",
);
static CALLS: Family = Family::counter("backpressure.retry.calls", "{call}", "Calls that were deposited.");
static RETRIES: Family = Family::counter("backpressure.retry.retries", "{retry}", "Retries that were paid for.");
static DENIED: Family = Family::counter("backpressure.retry.denied", "{retry}", "Retries that were not affordable.");

#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: AtomicU64,
    retries: AtomicU64,
    denied: AtomicU64,
    balance: AtomicU64,
}

impl Tally {
    pub(super) fn new(balance: u64) -> Self {
        Self { balance: AtomicU64::new(balance), ..Self::default() }
    }

    /// For whoever has the lock of the budget, as is the next.
    pub(super) fn call(&self, balance: u64) {
        one_more(&self.calls);
        self.balance.store(balance, Ordering::Relaxed);
    }

    pub(super) fn retry(&self, is_affordable: bool, balance: u64) {
        one_more(if is_affordable { &self.retries } else { &self.denied });
        self.balance.store(balance, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Reading {
        let count = |family, cell: &AtomicU64| Metric::count(family, cell.load(Ordering::Relaxed));
        Reading::default()
            .with(count(&BALANCE, &self.balance))
            .with(count(&CALLS, &self.calls))
            .with(count(&RETRIES, &self.retries))
            .with(count(&DENIED, &self.denied))
    }
}

fn one_more(cell: &AtomicU64) {
    cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
