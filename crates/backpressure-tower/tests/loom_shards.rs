//! Callers at several shards, and behind the lock that they step back from, under every interleaving of a few threads.
//!
//! A lost wake shows as a deadlock, which loom reports. Run with
//! `RUSTFLAGS="--cfg backpressure_loom" cargo test --release --target-dir target/loom -p backpressure-tower --test loom_shards`.
#![cfg(backpressure_loom)]

mod loom_kit;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use backpressure_rt::thread_number;
use backpressure_tower::{Batch, BatchFuture, BatchLayer, BatchWorker};
use loom::thread;
use tower::Service;

use crate::loom_kit::{assert_over, block_on, model};

type Calls = Batch<u32, u32, Infallible>;
type Worker = BatchWorker<Double, u32, u32>;

/// Answers at once, and keeps what it was asked, in order.
#[derive(Clone, Default)]
struct Double(Arc<Mutex<Vec<u32>>>);

impl Service<Vec<u32>> for Double {
    type Response = Vec<u32>;
    type Error = Infallible;
    type Future = Ready<Result<Vec<u32>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Vec<u32>) -> Self::Future {
        self.0.lock().unwrap().extend(&batch);
        ready(Ok(batch.iter().map(|n| 2 * n).collect()))
    }
}

/// A batcher that has two shards: threads that follow each other have different ones.
fn with_two_shards(max_items: usize) -> (Calls, Worker, Double) {
    let layer = BatchLayer::builder().capacity(64).max_items(max_items).build().expect("a sound layer");
    let double = Double::default();
    let (batch, worker) = Batch::pair(double.clone(), &layer);
    (batch, worker, double)
}

/// A call that is made and not waited for.
fn start(batch: &mut Calls, request: u32) -> Option<BatchFuture<u32, u32, Infallible>> {
    let ready = batch.poll_ready(&mut Context::from_waker(Waker::noop()));
    matches!(ready, Poll::Ready(Ok(()))).then(|| batch.call(request))
}

/// Three calls from each of two threads, and a worker that runs where `place` puts it.
fn six_calls(place: impl Fn(Worker) -> Worker + Send + Sync + 'static) {
    model(move || {
        let (mut batch, worker, _) = with_two_shards(2);
        let (mut other, gauge, worker) = (batch.clone(), batch.gauge(), place(worker));
        let second = thread::spawn(move || {
            let calls = [1, 2, 3].map(|request| start(&mut other, request).expect("a place"));
            calls.map(|call| block_on(call).expect("an answer"))
        });
        let calls = [4, 5, 6].map(|request| start(&mut batch, request).expect("a place"));
        drop(batch);
        block_on(worker);
        assert_eq!(calls.map(|call| block_on(call).expect("an answer")), [8, 10, 12]);
        assert_eq!(second.join().expect("answers"), [2, 4, 6]);
        assert_over(&gauge, 6);
    });
}

#[test]
fn w2_callers_at_two_shards_are_all_answered() {
    six_calls(|worker| worker);
}

#[test]
fn w2_callers_that_lead_for_two_shards_are_all_answered() {
    six_calls(Worker::led_by_callers);
}

#[test]
fn x1_callers_that_go_from_two_shards_leave_nothing_behind() {
    model(|| {
        let (mut batch, worker, _) = with_two_shards(2);
        let (mut other, gauge) = (batch.clone(), batch.gauge());
        let second = thread::spawn(move || [1, 2].into_iter().for_each(|request| drop(start(&mut other, request))));
        [3, 4].into_iter().for_each(|request| drop(start(&mut batch, request)));
        drop(batch);
        block_on(worker);
        second.join().expect("nothing to wait for");
        assert_over(&gauge, 4);
    });
}

#[test]
fn t1_a_drain_meets_callers_at_two_shards() {
    model(|| {
        let (mut batch, worker, _) = with_two_shards(2);
        let (mut other, gauge) = (batch.clone(), batch.gauge());
        let second = thread::spawn(move || {
            let calls = [1, 2].map(|request| start(&mut other, request));
            calls.into_iter().flatten().for_each(|call| drop(block_on(call)));
        });
        let calls = [3, 4].map(|request| start(&mut batch, request));
        drop(batch.drain(std::time::Duration::MAX));
        drop((calls, batch));
        block_on(worker);
        second.join().expect("answers, or the news that there are none");
        assert!(gauge.snapshot().counts.balances());
    });
}

/// Its calls may lie at the shard of the thread that it comes from, and the shard of the one that it comes to may be open.
#[test]
fn o1_a_handle_that_moves_to_another_thread_overtakes_none_of_its_calls() {
    model(|| {
        let (mut batch, worker, double) = with_two_shards(1);
        // The worker comes to the shard of this thread first.
        thread::spawn(thread_number).join().expect("a number");
        assert_eq!(thread_number() % 2, 0);
        let mut other = batch.clone();
        let second = thread::spawn(move || {
            let calls = [1, 2].map(|request| start(&mut other, request));
            (other, calls)
        });
        let first = [8, 9].map(|request| start(&mut batch, request));
        let (mut other, calls) = second.join().expect("calls");
        let last = start(&mut other, 3);
        drop((batch, other));
        block_on(worker);
        drop((first, calls, last));
        let seen: Vec<_> = double.0.lock().unwrap().iter().copied().filter(|request| *request < 8).collect();
        assert_eq!(seen, [1, 2, 3]);
    });
}
