//! Callers that run the runner for their shard.

use super::*;

type Led<F> = BatchWorker<ServiceFn<fn(Vec<usize>) -> F>, usize, usize>;

/// A batcher whose worker sleeps and that expects contention, with callers that run the runner.
fn contended_and_led<F>(capacity: usize, inner: fn(Vec<usize>) -> F) -> (Handle, Led<F>)
where
    F: Future<Output = Result<Vec<usize>, Infallible>> + Send + 'static,
{
    let layer = BatchLayer::builder().capacity(capacity).build().expect("a sound layer");
    let (handle, worker) = Batch::pair(service_fn(inner), &layer);
    let mut worker = worker.led_by_callers();
    assert!(poll(&mut worker, Waker::noop()).is_pending());
    handle.exchange.lock().note_contention();
    (handle, worker)
}

/// Calls until a caller has run, if one does.
fn call_until_led(handle: &mut Handle) -> Vec<Call> {
    let (gauge, mut calls) = (handle.gauge(), Vec::new());
    let before = gauge.snapshot().counts.delivered;
    while calls.len() < 2 * SLOTS && gauge.snapshot().counts.delivered == before {
        calls.push(call(handle, calls.len()));
    }
    calls
}

#[test]
fn w2_whoever_leaves_the_last_call_in_a_shard_runs_for_all_of_them() {
    let (mut handle, mut worker) = contended_and_led(1024, |batch| ready(Ok(batch)));
    for _ in 0..3 {
        let mut calls = call_until_led(&mut handle);
        assert!(calls.len() <= SLOTS + 1 && all_are_answered(&mut calls), "without the worker");
    }
    let mut last = call(&mut handle, 7);
    let wakes = Arc::new(Wakes::default());
    assert!(poll(&mut worker, &Arc::clone(&wakes).into()).is_pending());
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "it comes again: a caller has run");
    assert!(poll(&mut last, Waker::noop()).is_pending());
    run(&mut worker);
    assert!(matches!(poll(&mut last, Waker::noop()), Poll::Ready(Ok(7))));
    let counts = handle.gauge().snapshot().counts;
    assert!(counts.balances() && counts.queued + counts.in_flight == 0, "{counts:?}");
}

#[test]
fn w3_a_caller_that_runs_for_its_shard_is_not_woken_for_its_own_answer() {
    let (mut handle, _worker) = contended_and_led(1024, |batch| ready(Ok(batch)));
    let mut calls = Vec::new();
    let tokens: Vec<_> = (0..=SLOTS).map(|_| Arc::new(Wakes::default())).collect();
    while handle.gauge().snapshot().counts.delivered == 0 {
        calls.push(call_as(&mut handle, calls.len(), &Arc::clone(&tokens[calls.len()]).into()));
    }
    let (leader, others) = tokens[..calls.len()].split_last().expect("somebody");
    assert!(others.iter().all(|token| token.0.load(Ordering::SeqCst) == 1));
    assert_eq!(leader.0.load(Ordering::SeqCst), 0);
    assert!(all_are_answered(&mut calls));
    assert!(tokens.iter().all(|token| Arc::strong_count(token) == 1), "no waker is left behind");
}

#[test]
fn s6_a_call_in_a_shard_where_nobody_runs_is_answered_whoever_runs_elsewhere() {
    let (mut handle, mut worker) = contended_and_led(1024, |batch| ready(Ok(batch)));
    let mut led = call_until_led(&mut handle);
    let (mut other, token) = (handle.clone(), Arc::new(Wakes::default()));
    let waker = Arc::clone(&token).into();
    let _lonely = elsewhere(&mut other, |other| [call(other, 1), call_as(other, 2, &waker)]);
    let mut visits = 0;
    while token.0.load(Ordering::SeqCst) == 0 {
        led.extend(call_until_led(&mut handle));
        assert!(poll(&mut worker, Waker::noop()).is_pending());
        visits += 1;
        assert!(visits < 10, "the worker stays away");
    }
    assert!(visits > 1 && all_are_answered(&mut led), "{visits}");
}

#[test]
fn a_shard_is_opened_again_while_somebody_else_runs() {
    let (mut handle, mut worker) = contended_and_led(1024, |batch| ready(Ok(batch)));
    let _first = call(&mut handle, 0);
    let runner = handle.exchange.lock_uncollected().runner.take().expect("an engine");
    let mut calls: Vec<Call> = (1..3 * SLOTS).map(|request| call(&mut handle, request)).collect();
    handle.exchange.lock_uncollected().put_back(&mut Some(runner));
    assert!(collected(&handle) > SLOTS as u64 && calls.iter_mut().all(|call| poll(call, Waker::noop()).is_pending()));
    calls.extend(call_until_led(&mut handle));
    assert!(all_are_answered(&mut calls), "the next that runs answers everyone who came before");
    run(&mut worker);
}

#[test]
fn s6_the_worker_takes_over_what_is_not_answered_at_once() {
    let (mut handle, mut worker) = contended_and_led(1024, |batch| {
        let mut pauses = 0..4;
        std::future::poll_fn(move |cx| {
            if pauses.next().is_some() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(batch.clone()))
        })
    });
    let mut calls = call_until_led(&mut handle);
    assert!(calls.iter_mut().all(|call| poll(call, Waker::noop()).is_pending()));
    (0..8).for_each(|_| assert!(poll(&mut worker, Waker::noop()).is_pending()));
    assert!(all_are_answered(&mut calls));
}

#[test]
fn s8_a_panic_in_the_batch_of_one_who_runs_fails_that_batch_only() {
    let (mut handle, _worker) = contended_and_led(1024, |batch| {
        assert!(batch.iter().all(|n| *n != 3), "as told");
        ready(Ok(batch))
    });
    let mut calls: Vec<Call> = (0..=SLOTS).map(|request| call(&mut handle, request)).collect();
    let panicked = |call: &mut Call| matches!(poll(call, Waker::noop()), Poll::Ready(Err(BatchError::Panicked)));
    assert!(calls.iter_mut().any(panicked));
    let mut calls: Vec<Call> = (0..3 * SLOTS).map(|_| call(&mut handle, 0)).collect();
    assert!(calls.iter_mut().any(|call| matches!(poll(call, Waker::noop()), Poll::Ready(Ok(0)))));
}

#[test]
fn t6_the_end_meets_one_who_would_run() {
    let (mut handle, worker) = contended_and_led(1024, |batch| ready(Ok(batch)));
    let mut calls = vec![call(&mut handle, 0), call(&mut handle, 1)];
    let mut ready = vec![handle.clone(); SLOTS];
    assert!(ready.iter_mut().all(is_ready));
    drop((handle, worker));
    calls.extend(ready.iter_mut().map(|handle| handle.call(2)));
    assert!(calls.iter_mut().all(|call| matches!(poll(call, Waker::noop()), Poll::Ready(Err(BatchError::Closed)))));
}
