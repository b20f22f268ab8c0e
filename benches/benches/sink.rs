//! `BackpressureSink` under Block, with room for 1024, beside futures' `buffer`.
//!
//! The inner sink adds up what it gets, and the sum is checked. All is polled by hand, so that what is measured is the adapter
//! and not the scheduler.

mod support;

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

use backpressure::BackpressureConfig;
use backpressure::sink::BackpressureSinkExt;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::stream::{self, StreamExt};
use futures_util::{Sink, SinkExt};
use support::{Flavor, group, run_by_hand, sum_below};

const CAPACITY: usize = 1024;
const ITEMS: u64 = 50_000;

/// Adds up what it gets. When it is done it checks the sum.
struct Adder {
    sum: u64,
    /// Whether every other readiness takes another poll.
    restive: bool,
    busy: bool,
}

impl Adder {
    const READY: Self = Self { sum: 0, restive: false, busy: false };
    const RESTIVE: Self = Self { restive: true, ..Self::READY };
}

impl Sink<u64> for Adder {
    type Error = Infallible;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.busy = self.restive && !self.busy;
        if self.busy {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, item: u64) -> Result<(), Infallible> {
        self.sum += black_box(item);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        assert_eq!(self.sum, sum_below(ITEMS));
        Poll::Ready(Ok(()))
    }
}

fn sinks(c: &mut Criterion) {
    let runtime = Flavor::OneThread.runtime();
    let config = BackpressureConfig::builder().capacity(CAPACITY).build().expect("a valid config");
    for (case, adder) in
        [("always ready", || Adder::READY), ("busy every other poll", || Adder::RESTIVE)] as [(&str, fn() -> Adder); 2]
    {
        let mut group = group(c, "sink", case, ITEMS);
        macro_rules! row {
            ($name:literal, $sink:expr) => {
                group.bench_function($name, |b| {
                    b.iter(|| run_by_hand(&runtime, stream::iter(0..ITEMS).map(Ok).forward($sink)).expect("no error"));
                });
            };
        }
        row!("backpressure BackpressureSink", adder().bounded(config.clone()));
        row!("futures buffer", adder().buffer(CAPACITY));
        row!("the bare sink (no buffer)", adder());
    }
}

criterion_group!(benches, sinks);
criterion_main!(benches);
