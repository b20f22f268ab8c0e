//! The paths of the batcher's wakers under every interleaving of a few threads.
//!
//! A lost wake shows as a deadlock, which loom reports. Run with
//! `RUSTFLAGS="--cfg backpressure_loom" cargo test --release --target-dir target/loom -p backpressure-tower --test loom_batch`.
#![cfg(backpressure_loom)]

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use backpressure_tower::{Batch, BatchLayer, BatchWorker};
use loom::sync::Notify;
use loom::thread;
use tower::Service;

#[derive(Clone)]
struct Double;

impl Service<Vec<u32>> for Double {
    type Response = Vec<u32>;
    type Error = Infallible;
    type Future = Ready<Result<Vec<u32>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Vec<u32>) -> Self::Future {
        ready(Ok(batch.into_iter().map(|n| 2 * n).collect()))
    }
}

fn pair(capacity: usize) -> (Batch<u32, u32, Infallible>, BatchWorker<Double, u32, u32>) {
    let layer = BatchLayer::builder().capacity(capacity).max_items(1).build().expect("a sound layer");
    Batch::pair(Double, &layer)
}

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(run);
}

struct Wakeup(Notify);

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Waits for a future; loom sees to it that a wait without a wake is a deadlock.
fn block_on<F: Future>(future: F) -> F::Output {
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

async fn call(batch: &mut Batch<u32, u32, Infallible>, request: u32) -> u32 {
    std::future::poll_fn(|cx| batch.poll_ready(cx)).await.expect("open");
    batch.call(request).await.expect("an answer")
}

#[test]
fn w6_an_answer_meets_a_caller_that_is_about_to_wait() {
    model(|| {
        let (mut batch, worker) = pair(2);
        let worker = thread::spawn(move || block_on(worker));
        assert_eq!(block_on(call(&mut batch, 1)), 2);
        drop(batch);
        worker.join().expect("a worker that ends");
    });
}

#[test]
fn w1_a_caller_that_moves_to_another_task_is_woken_there() {
    model(|| {
        let (mut batch, worker) = pair(2);
        let worker = thread::spawn(move || block_on(worker));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(batch.poll_ready(&mut cx).is_ready());
        let mut answer = Box::pin(batch.call(1));
        if answer.as_mut().poll(&mut cx).is_pending() {
            assert!(matches!(block_on(answer), Ok(2)));
        }
        drop(batch);
        worker.join().expect("a worker that ends");
    });
}

#[test]
fn x1_a_caller_that_goes_while_it_is_answered_leaves_nothing_behind() {
    model(|| {
        let (mut batch, worker) = pair(1);
        let gauge = batch.gauge();
        let worker = thread::spawn(move || block_on(worker));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(batch.poll_ready(&mut cx).is_ready());
        drop(batch.call(1));
        drop(batch);
        worker.join().expect("a worker that ends");
        let counts = gauge.snapshot().counts;
        assert!(counts.balances() && counts.received == 1 && counts.queued + counts.in_flight == 0, "{counts:?}");
    });
}

#[test]
fn w2_a_place_that_is_given_back_meets_one_who_is_about_to_wait_for_it() {
    model(|| {
        let (mut batch, _worker) = pair(1);
        let mut other = batch.clone();
        assert!(batch.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
        let waiter = thread::spawn(move || block_on(std::future::poll_fn(|cx| other.poll_ready(cx))).is_ok());
        drop(batch);
        assert!(waiter.join().expect("a place"));
    });
}

#[test]
fn w2_two_in_line_for_one_place_both_get_it() {
    model(|| {
        let (mut batch, _worker) = pair(1);
        let mut other = batch.clone();
        let take = |batch: &mut Batch<_, _, _>| block_on(std::future::poll_fn(|cx| batch.poll_ready(cx))).is_ok();
        let waiter = thread::spawn(move || take(&mut other));
        assert!(take(&mut batch));
        drop(batch);
        assert!(waiter.join().expect("a place"));
    });
}

#[test]
fn w4_a_drain_meets_one_who_is_about_to_wait_for_a_place() {
    model(|| {
        let (mut batch, _worker) = pair(1);
        let mut other = batch.clone();
        assert!(batch.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
        let waiter = thread::spawn(move || block_on(std::future::poll_fn(|cx| other.poll_ready(cx))).is_err());
        drop(batch.drain(std::time::Duration::MAX));
        assert!(waiter.join().expect("an end"), "told that it is over");
    });
}
