//! What a call through a batcher allocates: nothing of its own, only a share of what its batch does.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use backpressure_tower::{Batch, BatchLayer};
use tower::{Service, service_fn};

#[test]
fn c6_a_call_allocates_nothing_but_its_share_of_the_batch() {
    let layer = BatchLayer::<u64, u64>::builder().max_items(64).build().unwrap();
    let inner = service_fn(|batch: Vec<u64>| ready(Ok::<_, Infallible>(batch)));
    let (mut batch, worker) = Batch::pair(inner, &layer);
    let mut worker = pin!(worker);
    let cx = &mut Context::from_waker(Waker::noop());
    let mut calls = Vec::with_capacity(64);
    let mut round = |count: u64| {
        for n in 0..count {
            assert!(batch.poll_ready(cx).is_ready());
            calls.push(batch.call(n));
        }
        (0..3).for_each(|_| assert!(worker.as_mut().poll(cx).is_pending()));
        for (n, mut call) in (0..).zip(calls.drain(..)) {
            assert!(matches!(Pin::new(&mut call).poll(cx), Poll::Ready(Ok(answer)) if answer == n));
        }
    };
    round(64);
    round(64);
    let full = measure(|| round(64)).count_total;
    let lone = measure(|| round(1)).count_total;
    assert!(full <= 6, "{full} allocations for a batch of 64");
    assert!(lone <= 6, "{lone} allocations for a batch of one");
}

#[test]
fn c6_a_caller_that_leads_allocates_no_more() {
    let layer = BatchLayer::<u64, u64>::builder().max_items(64).build().unwrap();
    let inner = service_fn(|batch: Vec<u64>| ready(Ok::<_, Infallible>(batch)));
    let (mut batch, worker) = Batch::pair(inner, &layer);
    let mut worker = pin!(worker.led_by_callers());
    let cx = &mut Context::from_waker(Waker::noop());
    let mut call = |n| {
        assert!(batch.poll_ready(cx).is_ready());
        let mut call = batch.call(n);
        while Pin::new(&mut call).poll(cx).is_pending() {
            assert!(worker.as_mut().poll(cx).is_pending());
        }
    };
    (0..3).for_each(&mut call);
    let led = measure(|| call(3)).count_total;
    assert!(led <= 6, "{led} allocations for a call");
    let many = measure(|| (4..100).for_each(&mut call)).count_total;
    assert_eq!(many, 96 * led, "none of them now and then for many");
}
