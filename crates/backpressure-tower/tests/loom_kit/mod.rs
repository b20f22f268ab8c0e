//! What the models of the batcher have in common.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use backpressure_core::Gauge;
use loom::sync::Notify;

pub(crate) fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    // Whoever steps back from a lock looks again.
    builder.max_branches = 10_000;
    builder.check(run);
}

struct Wakeup(Notify);

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Waits for a future; loom sees to it that a wait without a wake is a deadlock.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let wakeup = Arc::new(Wakeup(Notify::new()));
    let waker = Waker::from(Arc::clone(&wakeup));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        wakeup.0.wait();
    }
}

/// So many calls were made, and nothing is left of them.
pub(crate) fn assert_over(gauge: &Gauge, calls: u64) {
    let counts = gauge.snapshot().counts;
    assert!(counts.balances() && counts.received == calls && counts.queued + counts.in_flight == 0, "{counts:?}");
}
