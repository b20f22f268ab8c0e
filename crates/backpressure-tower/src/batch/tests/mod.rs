use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use backpressure_core::State;
use tower::util::{ServiceFn, service_fn};
use tower_service::Service;

use crate::batch::exchange::shards::Shards;
use crate::batch::exchange::slab::{AnswerSlab, SLOTS};
use crate::batch::exchange::{Outlook, Threshold, Updates, WhenAlone};
use crate::batch::plan::QueuedCall;
use crate::batch::{Batch, BatchError, BatchFuture, BatchLayer, BatchWorker};

mod running;

type Handle = Batch<usize, usize, Infallible>;
type Call = BatchFuture<usize, usize, Infallible>;
type Echo = fn(Vec<usize>) -> Ready<Result<Vec<usize>, Infallible>>;
type Worker = BatchWorker<ServiceFn<Echo>, usize, usize>;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A batcher whose worker sleeps and that expects contention. Its first call wakes the worker and opens the shard.
fn contended(capacity: usize) -> (Handle, Worker) {
    let layer = BatchLayer::builder().capacity(capacity).max_items(capacity).build().expect("a sound layer");
    let echo: Echo = |batch| ready(Ok(batch));
    let (handle, mut worker) = Batch::pair(service_fn(echo), &layer);
    assert!(poll(&mut worker, Waker::noop()).is_pending());
    handle.exchange.lock().note_contention();
    (handle, worker)
}

fn all_are_answered(calls: &mut [Call]) -> bool {
    calls.iter_mut().all(|call| matches!(poll(call, Waker::noop()), Poll::Ready(Ok(_))))
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn call(handle: &mut Handle, request: usize) -> Call {
    call_as(handle, request, Waker::noop())
}

fn call_as(handle: &mut Handle, request: usize, waker: &Waker) -> Call {
    assert!(matches!(handle.poll_ready(&mut Context::from_waker(waker)), Poll::Ready(Ok(()))));
    handle.call(request)
}

/// Calls that have been collected so far.
fn collected(handle: &Handle) -> u64 {
    handle.gauge().snapshot().counts.queued
}

fn run(worker: &mut Worker) {
    for _ in 0..3 {
        assert!(poll(worker, Waker::noop()).is_pending());
    }
}

#[test]
fn w2_a_call_left_in_a_shard_is_answered_without_another_wake() {
    let (mut handle, mut worker) = contended(256);
    let wakes = Arc::new(Wakes::default());
    assert!(poll(&mut worker, &Arc::clone(&wakes).into()).is_pending());
    let mut calls: Vec<Call> = (0..20).map(|request| call(&mut handle, request)).collect();
    assert_eq!((collected(&handle), wakes.0.load(Ordering::SeqCst)), (1, 1));
    run(&mut worker);
    for (request, call) in calls.iter_mut().enumerate() {
        assert!(matches!(poll(call, Waker::noop()), Poll::Ready(Ok(answer)) if answer == request));
    }
    let counts = handle.gauge().snapshot().counts;
    assert!(counts.balances() && counts.delivered == 20 && counts.queued + counts.in_flight == 0, "{counts:?}");
}

#[test]
fn w6_a_worker_that_goes_to_sleep_collects_the_shards_first_and_closes_them() {
    let (mut handle, mut worker) = contended(256);
    drop(call(&mut handle, 0));
    let mut left = call(&mut handle, 1);
    assert_eq!(collected(&handle), 0);
    run(&mut worker);
    assert!(matches!(poll(&mut left, Waker::noop()), Poll::Ready(Ok(1))));
    let mut next = call(&mut handle, 2);
    assert_eq!(collected(&handle), 1, "the shard is closed: it wakes the worker");
    run(&mut worker);
    assert!(matches!(poll(&mut next, Waker::noop()), Poll::Ready(Ok(2))));
}

#[test]
fn a_batcher_that_lingers_no_more_uses_its_shards() {
    let layer = BatchLayer::builder().linger(Duration::MAX).build().expect("a sound layer");
    let echo: Echo = |batch| ready(Ok(batch));
    let (mut handle, mut worker) = Batch::pair(service_fn(echo), &layer);
    assert!(poll(&mut worker, Waker::noop()).is_pending());
    let mut config = handle.handle().config();
    config.linger = Duration::ZERO;
    handle.handle().reconfigure(config).expect("a sound configuration");
    run(&mut worker);
    handle.exchange.lock().note_contention();
    let mut calls: Vec<Call> = (0..5).map(|request| call(&mut handle, request)).collect();
    assert_eq!(collected(&handle), 1);
    run(&mut worker);
    assert!(all_are_answered(&mut calls));
}

#[test]
fn x1_a_call_that_is_dropped_in_a_shard_is_not_executed_and_frees_its_place() {
    let (mut handle, mut worker) = contended(256);
    let token = Arc::new(Wakes::default());
    let first = call(&mut handle, 0);
    drop(call_as(&mut handle, 1, &Arc::clone(&token).into()));
    assert_eq!(Arc::strong_count(&token), 1, "no waker is left behind");
    drop(first);
    run(&mut worker);
    let counts = handle.gauge().snapshot().counts;
    assert!(counts.balances() && counts.received == 2 && counts.delivered == 0, "{counts:?}");
    assert_eq!(counts.queued + counts.in_flight, 0, "{counts:?}");
}

#[test]
fn w1_a_caller_in_a_shard_is_woken_as_the_task_that_polled_last() {
    let (mut handle, mut worker) = contended(256);
    let _first = call(&mut handle, 0);
    let (old, new) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    let mut left = call_as(&mut handle, 1, &Arc::clone(&old).into());
    assert!(poll(&mut left, &Arc::clone(&old).into()).is_pending());
    assert_eq!(collected(&handle), 1, "its waker stands, so the lock was not taken");
    assert!(poll(&mut left, &Arc::clone(&new).into()).is_pending());
    run(&mut worker);
    assert_eq!((old.0.load(Ordering::SeqCst), new.0.load(Ordering::SeqCst)), (0, 1));
}

#[test]
fn h1_the_state_is_right_wherever_the_calls_are() {
    let (mut handle, _worker) = contended(100);
    let gauge = handle.gauge();
    let mut calls = Vec::new();
    for request in 0..100 {
        calls.push(call(&mut handle, request));
        let expected = match request + 1 {
            ..50 => State::Normal,
            50..80 => State::Elevated,
            80..100 => State::Critical,
            _ => State::Blocked,
        };
        assert_eq!(gauge.state(), expected, "with {} calls", request + 1);
    }
}

/// Does something on a thread that has the next shard.
fn elsewhere<R: Send>(handle: &mut Handle, mut act: impl FnMut(&mut Handle) -> R + Send) -> R {
    let shards = &handle.exchange.shards;
    let next = shards.mine().map(|mine| (mine + 1) % shards.len());
    loop {
        let mut act = || (handle.exchange.shards.mine() == next).then(|| act(handle));
        let done = thread::scope(|scope| scope.spawn(&mut act).join()).expect("no panic");
        if let Some(done) = done {
            return done;
        }
    }
}

fn is_ready(handle: &mut Handle) -> bool {
    handle.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn d3_permits_of_the_shards_are_there_for_everyone() {
    let (handle, mut worker) = contended(256);
    let mut handles = vec![handle.clone(); 256];
    let first = call(&mut handles[0], 0);
    for handle in &mut handles[1..] {
        assert!(elsewhere(handle, is_ready), "256 places, whoever they were taken for");
    }
    let mut late = handle.clone();
    assert!(!is_ready(&mut late) && !elsewhere(&mut handles[0], is_ready));
    drop(first);
    assert!(is_ready(&mut late), "the one place that is free again");
    run(&mut worker);
}

#[test]
fn w2_a_change_that_is_found_in_a_shard_keeps_the_worker_awake_until_it_is_told() {
    let (mut handle, _worker) = contended(100);
    let (mut other, gauge) = (handle.clone(), handle.gauge());
    let mut calls = vec![call(&mut handle, 0)];
    calls.extend(elsewhere(&mut other, |other| (1..49).map(|request| call(other, request)).collect::<Vec<_>>()));
    calls.extend((49..60).map(|request| call(&mut handle, request)));
    assert_eq!(gauge.state(), State::Normal, "nobody has collected them");
    let mut state = handle.exchange.lock_uncollected();
    assert!(!state.park(Threshold::NEVER, WhenAlone::WakeWorker, Outlook::MoreCalls, &mut Some(Waker::noop().clone())));
    assert_eq!(gauge.state(), State::Elevated);
    let mut updates = Updates::default();
    assert!(state.update(&mut updates, true));
}

#[test]
fn m1_nothing_is_left_in_a_shard_while_the_worker_sleeps() {
    let layer = BatchLayer::builder().build().expect("a sound layer");
    let inner = service_fn(|_: Vec<usize>| std::future::pending::<Result<Vec<usize>, Infallible>>());
    let (mut handle, mut worker) = Batch::pair(inner, &layer);
    let mut calls = Vec::new();
    for request in 0..2 {
        calls.push(call(&mut handle, request));
        (0..3).for_each(|_| assert!(poll(&mut worker, Waker::noop()).is_pending()));
    }
    handle.exchange.lock().note_contention();
    calls.extend((2..5).map(|request| call(&mut handle, request)));
    assert_eq!(handle.gauge().snapshot().counts.queued, 4, "one is with the service, which is busy");
}

#[test]
fn t1_a_drain_answers_what_is_in_the_shards_and_lets_nobody_in() {
    let (mut handle, mut worker) = contended(256);
    let mut ready = handle.clone();
    assert!(is_ready(&mut ready));
    let mut calls: Vec<Call> = (0..3).map(|request| call(&mut handle, request)).collect();
    let mut drain = handle.drain(Duration::MAX);
    assert!(matches!(poll(&mut ready.call(3), Waker::noop()), Poll::Ready(Err(BatchError::Closed))));
    let refused = handle.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(refused, Poll::Ready(Err(BatchError::Closed))));
    assert!(poll(&mut drain, Waker::noop()).is_pending());
    while poll(&mut worker, Waker::noop()).is_pending() {}
    assert!(calls.iter_mut().all(|call| matches!(poll(call, Waker::noop()), Poll::Ready(Ok(_)))));
    assert!(matches!(poll(&mut drain, Waker::noop()), Poll::Ready(report) if report.answered == 3));
}

#[test]
fn t6_calls_left_in_a_shard_do_not_keep_a_dead_batcher_alive() {
    let (mut handle, worker) = contended(256);
    let mut calls: Vec<Call> = (0..3).map(|request| call(&mut handle, request)).collect();
    let shared = Arc::downgrade(&handle.exchange);
    drop(worker);
    assert!(calls.iter_mut().all(|call| matches!(poll(call, Waker::noop()), Poll::Ready(Err(BatchError::Closed)))));
    drop((handle, calls));
    assert!(shared.upgrade().is_none());
}

#[test]
fn o1_a_handle_that_moves_to_another_thread_does_not_overtake_itself() {
    let (mut here, mut worker) = contended(256);
    let mut there = here.clone();
    let mut calls = vec![call(&mut here, 0), elsewhere(&mut there, |there| call(there, 100))];
    calls.push(call(&mut here, 1));
    calls.push(elsewhere(&mut there, |there| call(there, 101)));
    assert_eq!(collected(&here), 2, "both shards are open");
    calls.push(elsewhere(&mut here, |here| call(here, 2)));
    calls.push(call(&mut there, 102));
    let mut updates = Updates::default();
    here.exchange.lock().update(&mut updates, true);
    let (there, here): (Vec<_>, Vec<_>) =
        updates.arrivals.iter().map(|(_, call)| call.request).partition(|n| *n >= 100);
    assert_eq!((here, there), (vec![0, 1, 2], vec![100, 101, 102]));
    run(&mut worker);
}

#[test]
fn a_full_slab_is_not_replaced_before_its_calls_are_fetched() {
    let (handle, _worker) = contended(256);
    let shards: Shards<_, _, usize, Infallible> = Shards::new(1);
    let slab = |key| (key, Arc::new(AnswerSlab::new(Arc::clone(&handle.exchange))));
    shards.open(0, SLOTS, || slab(7), |_| false);
    for n in 0..SLOTS {
        let call = QueuedCall { request: n, weight: 1, deadline: None };
        let left = shards.push(0, &mut None, call, Waker::noop().clone());
        assert!(matches!(left, Ok(left) if left.call.number == 7 * SLOTS + n));
    }
    shards.open(0, SLOTS, || slab(8), |_| false);
    assert!(!shards.is_open(0, None));
    let mut fetched = Vec::new();
    shards.collect(false, |key, calls| fetched.push((key, calls.drain(..).len())));
    assert_eq!(fetched, [(7, SLOTS)]);
    shards.open(0, SLOTS, || slab(8), |_| false);
    assert!(shards.is_open(0, None));
    shards.forget();
}
