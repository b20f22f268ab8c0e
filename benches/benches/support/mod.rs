//! What the benches share: the runtimes that everything is measured on, and the floors under the numbers.
#![allow(dead_code, reason = "each bench takes what it needs")]

mod floor;
mod item;
pub(crate) mod source;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use tokio::runtime::{Builder, Runtime};

#[allow(unused_imports, reason = "each bench takes what it needs")]
pub(crate) use {
    floor::{Floor, floor},
    item::Item,
};

/// A group of the bench being run.
pub(crate) type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// A tokio runtime of one thread, or of two workers.
#[derive(Clone, Copy)]
pub(crate) enum Flavor {
    /// `current_thread`.
    OneThread,
    /// `multi_thread` with two workers.
    TwoWorkers,
}

impl Flavor {
    /// A fresh runtime of this flavor.
    pub(crate) fn runtime(self) -> Runtime {
        let mut builder = match self {
            Self::OneThread => Builder::new_current_thread(),
            Self::TwoWorkers => Builder::new_multi_thread(),
        };
        builder.worker_threads(2).enable_all().build().expect("a runtime")
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneThread => "one thread",
            Self::TwoWorkers => "two workers",
        })
    }
}

/// Measures on both.
pub(crate) fn each_flavor(measure: impl FnMut(Flavor)) {
    [Flavor::OneThread, Flavor::TwoWorkers].into_iter().for_each(measure);
}

/// Runs a future to its end in a task of its own: what `block_on` polls by itself is woken at a price that no task pays.
pub(crate) fn run<F>(runtime: &Runtime, future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    runtime.block_on(async { tokio::spawn(future).await.expect("no panic") })
}

/// Polls a future to its end, again and again: what a scheduler costs is left out. Whoever wants to can be timed, and wakes
/// nobody.
pub(crate) fn run_by_hand<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    struct Idle;

    impl Wake for Idle {
        fn wake(self: Arc<Self>) {}
    }

    let _guard = runtime.enter();
    let waker = Waker::from(Arc::new(Idle));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
    }
}

/// A group named `function/case`, whose numbers are per item.
pub(crate) fn group<'c>(c: &'c mut Criterion, function: &str, case: &str, items: u64) -> Group<'c> {
    let mut group = c.benchmark_group(format!("{function}/{case}"));
    group.throughput(Throughput::Elements(items));
    group
}

/// What the numbers below `items` add up to.
pub(crate) const fn sum_below(items: u64) -> u64 {
    items * (items - 1) / 2
}
