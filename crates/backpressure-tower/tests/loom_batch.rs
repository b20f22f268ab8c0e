//! The paths of the batcher's wakers under every interleaving of a few threads.
//!
//! A lost wake shows as a deadlock, which loom reports. Run with
//! `RUSTFLAGS="--cfg backpressure_loom" cargo test --release --target-dir target/loom -p backpressure-tower --test loom_batch`.
#![cfg(backpressure_loom)]

mod loom_kit;

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use backpressure_tower::{Batch, BatchFuture, BatchLayer, BatchWorker};
use loom::thread;
use tower::Service;

use crate::loom_kit::{assert_over, block_on, model};

#[derive(Clone)]
struct Double {
    /// Whether it answers when polled for the second time.
    slowly: bool,
}

impl Service<Vec<u32>> for Double {
    type Response = Vec<u32>;
    type Error = Infallible;
    type Future = Doubled;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Vec<u32>) -> Self::Future {
        Doubled { batch, waits: self.slowly }
    }
}

struct Doubled {
    batch: Vec<u32>,
    waits: bool,
}

impl Future for Doubled {
    type Output = Result<Vec<u32>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.waits) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(self.batch.iter().map(|n| 2 * n).collect()))
    }
}

fn pair(capacity: usize) -> (Batch<u32, u32, Infallible>, BatchWorker<Double, u32, u32>) {
    let layer = BatchLayer::builder().capacity(capacity).max_items(1).build().expect("a sound layer");
    Batch::pair(Double { slowly: false }, &layer)
}

/// A batcher whose next caller calls the inner service itself.
fn led(slowly: bool) -> (Batch<u32, u32, Infallible>, BatchWorker<Double, u32, u32>) {
    let layer = BatchLayer::builder().capacity(4).max_items(2).build().expect("a sound layer");
    let (mut batch, worker) = Batch::pair(Double { slowly }, &layer);
    let mut worker = worker.led_by_callers();
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(batch.poll_ready(cx).is_ready());
    let mut first = pin!(batch.call(1));
    while first.as_mut().poll(cx).is_pending() {
        assert!(Pin::new(&mut worker).poll(cx).is_pending());
    }
    assert!(Pin::new(&mut worker).poll(cx).is_pending());
    (batch, worker)
}

/// Makes a call, which calls the inner service itself, and polls it once.
fn lead(batch: &mut Batch<u32, u32, Infallible>) -> BatchFuture<u32, u32, Infallible> {
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(batch.poll_ready(cx).is_ready());
    let mut call = batch.call(1);
    drop(Pin::new(&mut call).poll(cx));
    call
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
        assert_over(&gauge, 1);
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
fn r3_w2_more_capacity_meets_one_who_is_about_to_wait_for_a_place() {
    model(|| {
        let (mut batch, _worker) = pair(1);
        let (mut other, handle) = (batch.clone(), batch.handle());
        assert!(batch.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
        let waiter = thread::spawn(move || block_on(std::future::poll_fn(|cx| other.poll_ready(cx))).is_ok());
        let mut config = handle.config();
        config.capacity = 2;
        handle.reconfigure(config).expect("a sound configuration");
        assert!(waiter.join().expect("a place"));
        drop(batch);
    });
}

#[test]
fn r2_w2_less_capacity_meets_a_place_that_is_given_back_and_one_who_is_about_to_wait_for_it() {
    model(|| {
        let (mut batch, _worker) = pair(2);
        let mut second = batch.clone();
        let (mut other, handle) = (batch.clone(), batch.handle());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(batch.poll_ready(cx).is_ready() && second.poll_ready(cx).is_ready());
        let waiter = thread::spawn(move || block_on(std::future::poll_fn(|cx| other.poll_ready(cx))).is_ok());
        let leaver = thread::spawn(move || drop((batch, second)));
        let mut config = handle.config();
        config.capacity = 1;
        handle.reconfigure(config).expect("a sound configuration");
        assert!(waiter.join().expect("a place"));
        leaver.join().expect("two that leave");
    });
}

#[test]
fn w6_another_configuration_meets_a_worker_that_is_about_to_sleep() {
    model(|| {
        let layer = BatchLayer::builder().max_items(4).linger(std::time::Duration::MAX).build().expect("a sound layer");
        let (mut batch, worker) = Batch::pair(Double { slowly: false }, &layer);
        let handle = batch.handle();
        let worker = thread::spawn(move || block_on(worker));
        let call = start(&mut batch, 1).expect("a place");
        let mut config = handle.config();
        config.max_items = 1;
        handle.reconfigure(config).expect("a sound configuration");
        assert!(matches!(block_on(call), Ok(2)));
        drop(batch);
        worker.join().expect("a worker that ends");
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

#[test]
fn a_caller_that_runs_meets_one_that_comes_and_the_worker() {
    for slowly in [false, true] {
        model(move || {
            let (mut batch, worker) = led(slowly);
            let mut other = batch.clone();
            let worker = thread::spawn(move || block_on(worker));
            let second = thread::spawn(move || assert_eq!(block_on(call(&mut other, 2)), 4));
            assert_eq!(block_on(call(&mut batch, 1)), 2);
            drop(batch);
            second.join().expect("an answer");
            worker.join().expect("a worker that ends");
        });
    }
}

#[test]
fn s6_a_caller_that_runs_and_is_not_polled_any_more_meets_one_that_comes() {
    model(|| {
        let (mut batch, worker) = led(true);
        let mut other = batch.clone();
        let worker = thread::spawn(move || block_on(worker));
        let second = thread::spawn(move || assert_eq!(block_on(call(&mut other, 2)), 4));
        let parked = lead(&mut batch);
        second.join().expect("an answer");
        drop((parked, batch));
        worker.join().expect("a worker that ends");
    });
}

#[test]
fn x1_a_caller_that_runs_and_goes_meets_one_that_comes() {
    model(|| {
        let (mut batch, worker) = led(true);
        let (mut other, gauge) = (batch.clone(), batch.gauge());
        let worker = thread::spawn(move || block_on(worker));
        let second = thread::spawn(move || assert_eq!(block_on(call(&mut other, 2)), 4));
        drop(lead(&mut batch));
        drop(batch);
        second.join().expect("an answer");
        worker.join().expect("a worker that ends");
        assert_over(&gauge, 3);
    });
}

#[test]
fn t1_a_caller_that_runs_meets_a_drain() {
    model(|| {
        let (mut batch, worker) = led(true);
        let worker = thread::spawn(move || block_on(worker));
        let other = batch.clone();
        let drain = thread::spawn(move || drop(other.drain(std::time::Duration::MAX)));
        if block_on(std::future::poll_fn(|cx| batch.poll_ready(cx))).is_ok() {
            let _ = block_on(batch.call(1));
        }
        drain.join().expect("a drain");
        drop(batch);
        worker.join().expect("a worker that ends");
    });
}

#[test]
fn t6_a_caller_that_runs_meets_the_end_of_the_worker() {
    model(|| {
        let (mut batch, worker) = led(true);
        let end = thread::spawn(move || drop(worker));
        if block_on(std::future::poll_fn(|cx| batch.poll_ready(cx))).is_ok() {
            let _ = block_on(batch.call(1));
        }
        end.join().expect("an end");
    });
}

/// A call that is made and not waited for.
fn start(batch: &mut Batch<u32, u32, Infallible>, request: u32) -> Option<BatchFuture<u32, u32, Infallible>> {
    let ready = batch.poll_ready(&mut Context::from_waker(Waker::noop()));
    matches!(ready, Poll::Ready(Ok(()))).then(|| batch.call(request))
}

/// Whoever finds the lock taken leaves its next calls in the shard of its thread. With this capacity there is room for one.
#[test]
fn w2_callers_in_contention_are_all_answered() {
    model(|| {
        let (mut batch, worker) = pair(8);
        let mut other = batch.clone();
        let worker = thread::spawn(move || block_on(worker));
        let second = thread::spawn(move || {
            let calls = [1, 2].map(|request| start(&mut other, request).expect("a place"));
            calls.map(|call| block_on(call).expect("an answer"))
        });
        let third = start(&mut batch, 3).expect("a place");
        drop(batch);
        assert_eq!(second.join().expect("answers"), [2, 4]);
        assert!(matches!(block_on(third), Ok(6)));
        worker.join().expect("a worker that ends");
    });
}

/// A slab has two calls here, so whoever leaves the second one in its shard runs the runner.
#[test]
fn w2_a_caller_that_runs_for_its_shard_meets_one_that_comes() {
    for slowly in [false, true] {
        model(move || {
            let layer = BatchLayer::builder().capacity(16).max_items(2).build().expect("a sound layer");
            let (mut batch, worker) = Batch::pair(Double { slowly }, &layer);
            let (mut other, gauge, worker) = (batch.clone(), batch.gauge(), worker.led_by_callers());
            let second = thread::spawn(move || {
                let calls = [1, 2, 3].map(|request| start(&mut other, request).expect("a place"));
                calls.map(|call| block_on(call).expect("an answer"))
            });
            let third = start(&mut batch, 4).expect("a place");
            drop(batch);
            block_on(worker);
            assert!(matches!(block_on(third), Ok(8)));
            assert_eq!(second.join().expect("answers"), [2, 4, 6]);
            assert_over(&gauge, 4);
        });
    }
}

/// Nobody else would wake the one that waits.
#[test]
fn w2_a_caller_that_runs_for_its_shard_wakes_one_that_waits() {
    model(|| {
        let layer = BatchLayer::builder().capacity(16).max_items(2).build().expect("a sound layer");
        let (mut batch, worker) = Batch::pair(Double { slowly: false }, &layer);
        let (mut other, gauge, worker) = (batch.clone(), batch.gauge(), worker.led_by_callers());
        let first = thread::spawn(move || block_on(start(&mut other, 1).expect("a place")).expect("an answer"));
        let calls = [2, 3, 4].map(|request| start(&mut batch, request).expect("a place"));
        drop(batch);
        block_on(worker);
        assert_eq!(first.join().expect("an answer"), 2);
        assert_eq!(calls.map(|call| block_on(call).expect("an answer")), [4, 6, 8]);
        assert_over(&gauge, 4);
    });
}

#[test]
fn x1_a_caller_that_goes_from_a_shard_leaves_nothing_behind() {
    model(|| {
        let (mut batch, worker) = pair(8);
        let (mut other, gauge) = (batch.clone(), batch.gauge());
        let worker = thread::spawn(move || block_on(worker));
        let second = thread::spawn(move || {
            let first = start(&mut other, 1);
            drop(start(&mut other, 2));
            drop(first);
        });
        drop(start(&mut batch, 3));
        drop(batch);
        second.join().expect("answers");
        worker.join().expect("a worker that ends");
        assert_over(&gauge, 3);
    });
}

#[test]
fn t1_a_drain_meets_callers_in_a_shard() {
    model(|| {
        let (mut batch, worker) = pair(16);
        let (mut other, gauge) = (batch.clone(), batch.gauge());
        let worker = thread::spawn(move || block_on(worker));
        let second = thread::spawn(move || {
            let calls = [start(&mut other, 1), start(&mut other, 2)];
            calls.into_iter().flatten().for_each(|call| drop(block_on(call)));
        });
        let first = start(&mut batch, 3);
        drop(batch.drain(std::time::Duration::MAX));
        drop((first, batch));
        second.join().expect("answers, or the news that there are none");
        worker.join().expect("a worker that ends");
        assert!(gauge.snapshot().counts.balances());
    });
}

/// Each thread has a shard, and calls may be in both when the worker goes to sleep.
#[test]
fn w6_calls_in_several_shards_are_all_answered() {
    model(|| {
        let (mut batch, worker) = pair(16);
        let (mut other, gauge) = (batch.clone(), batch.gauge());
        let second = thread::spawn(move || {
            let calls = [1, 2].map(|request| start(&mut other, request).expect("a place"));
            calls.map(|call| block_on(call).expect("an answer"))
        });
        let calls = [3, 4].map(|request| start(&mut batch, request).expect("a place"));
        drop(batch);
        block_on(worker);
        assert_eq!(calls.map(|call| block_on(call).expect("an answer")), [6, 8]);
        assert_eq!(second.join().expect("answers"), [2, 4]);
        assert_over(&gauge, 4);
    });
}
