use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use backpressure_tower::{Batch, BatchError, BatchLayer, Fallback};
use tower::{Service, ServiceExt};

use crate::support::{Act, Readiness, Rig, Target, Task, assert_failed, now_or_never, outputs, rig};

#[test]
fn s8_t3_a_failure_costs_only_its_own_batch_and_says_which() {
    for (act, error) in [
        (Act::Fail("disk full"), "Batch(\"disk full\")"),
        (Act::PanicInCall, "Panicked"),
        (Act::PanicInFuture, "Panicked"),
        (Act::Give(1), "WrongLength { expected: 2, got: 1 }"),
        (Act::Give(3), "WrongLength { expected: 2, got: 3 }"),
        (Act::Give(0), "WrongLength { expected: 2, got: 0 }"),
    ] {
        let target = Target::default().on(0, act);
        let mut rig = rig(&target, |builder| builder.max_items(2));
        let mut calls = rig.calls([1, 2, 3, 4]);
        rig.work();
        assert_failed(outputs(&mut calls[..2]), error);
        assert!(outputs(&mut calls[2..]).iter().all(Result::is_ok), "the next batch works after {act:?}");
        let mut again = rig.call(5);
        rig.work();
        assert_eq!(again.output().unwrap(), 50);
    }
}

#[test]
fn ready_twice_after_a_failure_is_ready() {
    let target = Target::default().on(0, Act::Fail("no"));
    let mut rig = rig(&target, |builder| builder);
    let mut call = rig.call(1);
    rig.work();
    assert!(call.output().is_err());
    let mut handle = rig.handle();
    for _ in 0..2 {
        assert!(now_or_never(handle.ready()).is_some_and(|ready| ready.is_ok()));
    }
    let mut next = Task::new(handle.call(2));
    assert!(next.is_pending());
    rig.work();
    assert_eq!(next.output().unwrap(), 20);
}

#[test]
fn t3_w4_a_service_that_cannot_become_ready_fails_everyone_and_all_to_come() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.max_items(2));
    let mut calls = rig.calls([1, 2, 3]);
    target.become_(Readiness::Fails("gone"));
    assert!(rig.work(), "the worker has ended");
    assert!(calls.iter().all(|call| call.wakes.get() == 1));
    assert_failed(outputs(&mut calls), "Unavailable(\"gone\")");
    for _ in 0..2 {
        let refused = now_or_never(rig.batch.as_mut().unwrap().ready()).expect("at once").map(|_| ());
        assert!(matches!(refused, Err(BatchError::Unavailable(error)) if *error == "gone"));
    }
}

#[test]
fn s8_a_readiness_that_panics_fails_the_batch_that_asked() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.max_items(2));
    let mut calls = rig.calls([1, 2]);
    target.become_(Readiness::Panics);
    rig.work();
    assert_failed(outputs(&mut calls), "Panicked");
    target.become_(Readiness::Ready);
    let mut next = rig.call(3);
    rig.work();
    assert_eq!(next.output().unwrap(), 30);
}

/// Fails every batch that holds one of these, and counts the calls.
fn poisoned(
    poison: &'static [u32],
    calls: &Arc<AtomicUsize>,
) -> impl Service<Vec<u32>, Response = Vec<u32>, Error = &'static str> + use<> {
    let calls = Arc::clone(calls);
    tower::service_fn(move |batch: Vec<u32>| {
        calls.fetch_add(1, Ordering::SeqCst);
        std::future::ready(if batch.iter().any(|request| poison.contains(request)) { Err("poison") } else { Ok(batch) })
    })
}

#[test]
fn s8_a_bad_request_fails_alone_if_the_batch_is_sent_again_in_parts() {
    for fallback in [Fallback::OneByOne, Fallback::Bisect] {
        for dedup in [false, true] {
            let mut rig = Rig::over(poisoned(&[3, 7], &Arc::default()), |builder| {
                let builder = builder.fallback(fallback);
                if dedup { builder.deduplicate() } else { builder }
            });
            let mut calls = rig.calls([0, 1, 2, 3, 4, 3, 5, 6, 7, 8, 9]);
            rig.work();
            let answers = outputs(&mut calls);
            let failed: Vec<_> = (0..).zip(&answers).filter(|(_, answer)| answer.is_err()).map(|(n, _)| n).collect();
            assert_eq!(failed, [3, 5, 8], "{fallback:?}");
        }
    }
}

#[test]
fn bisection_takes_two_calls_a_level() {
    for poison in [&[0], &[31], &[63]] {
        let made = Arc::default();
        let mut rig = Rig::over(poisoned(poison, &made), |builder| builder.max_items(64).fallback(Fallback::Bisect));
        let mut calls = rig.calls(0..64);
        rig.work();
        assert_eq!(outputs(&mut calls).iter().filter(|answer| answer.is_err()).count(), 1);
        assert_eq!(made.load(Ordering::SeqCst), 1 + 2 * 6);
    }
}

#[test]
fn x1_a_request_whose_caller_is_gone_is_not_sent_again() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.fallback(Fallback::OneByOne));
    let mut calls = rig.calls([1, 2, 3, 4]);
    rig.work();
    drop(calls.remove(1));
    target.let_go(0, Act::Fail("no"));
    rig.work();
    drop(calls.remove(1));
    target.let_go(1, Act::Answer);
    rig.work();
    assert_eq!(target.batches(), [vec![1, 2, 3, 4], vec![1], vec![4]]);
    assert_eq!(calls[0].output().unwrap(), 10);
}

#[test]
fn s8_equal_requests_that_panic_when_compared_fail_their_batch() {
    #[derive(Clone, PartialEq)]
    struct Touchy;
    impl Eq for Touchy {}
    impl std::hash::Hash for Touchy {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {
            panic!("do not touch");
        }
    }
    let inner = tower::service_fn(|batch: Vec<Touchy>| async move { Ok::<_, &str>(vec![(); batch.len()]) });
    let layer = BatchLayer::builder().deduplicate().build().unwrap();
    let (batch, worker) = Batch::pair(inner, &layer);
    let mut worker = Task::new(worker);
    let mut calls = [batch.clone(), batch].map(|batch| Task::new(batch.oneshot(Touchy)));
    assert!(calls.iter_mut().all(|call| call.is_pending()));
    while worker.is_pending() && worker.is_woken() {}
    for mut call in calls {
        assert!(matches!(call.output(), Err(BatchError::Panicked)));
    }
}

/// Panics where it is dropped, if it is a 1.
struct Touchy(u32);

impl Drop for Touchy {
    fn drop(&mut self) {
        assert!(self.0 != 1 || std::thread::panicking(), "as told");
    }
}

#[test]
fn s8_an_answer_that_nobody_wants_and_that_panics_where_it_is_dropped_concerns_nobody_else() {
    for knows in [true, false] {
        // Who leaves while the inner service is polled, and the waker of that.
        let shared = Arc::new(Mutex::new((None, None)));
        let inner = {
            let shared = Arc::clone(&shared);
            tower::service_fn(move |batch: Vec<u32>| {
                let shared = Arc::clone(&shared);
                poll_fn(move |cx| {
                    let (leaver, waker) = &mut *shared.lock().unwrap();
                    if waker.replace(cx.waker().clone()).is_none() {
                        return Poll::Pending;
                    }
                    drop(Option::take(leaver));
                    Poll::Ready(Ok::<_, &str>(batch.iter().copied().map(Touchy).collect::<Vec<_>>()))
                })
            })
        };
        let layer = BatchLayer::<u32, Touchy>::builder().max_items(2).build().unwrap();
        let (mut batch, worker) = Batch::pair(inner, &layer);
        let mut worker = Task::new(worker);
        let mut call = |request| {
            assert!(now_or_never(batch.ready()).is_some());
            Task::new(batch.call(request))
        };
        let (gone, mut stays) = (call(1), call(2));
        assert!(worker.is_pending() && stays.is_pending());
        if knows {
            drop(gone);
        } else {
            shared.lock().unwrap().0 = Some(gone);
        }
        let waker: Option<Waker> = shared.lock().unwrap().1.clone();
        waker.expect("it was polled").wake();
        assert!(worker.is_pending());
        assert_eq!(stays.output().unwrap().0, 2);
        let mut next = call(3);
        (0..4).for_each(|_| assert!(worker.is_pending()));
        assert_eq!(next.output().unwrap().0, 3);
    }
}

#[test]
fn s8_a_request_that_panics_where_it_is_dropped_concerns_nobody_else() {
    let held = Arc::new(AtomicUsize::new(1));
    let inner = {
        let held = Arc::clone(&held);
        tower::service_fn(move |batch: Vec<Touchy>| {
            let held = Arc::clone(&held);
            poll_fn(move |cx| {
                cx.waker().wake_by_ref();
                let answers = || batch.iter().map(|request| request.0).collect::<Vec<_>>();
                if held.load(Ordering::SeqCst) > 0 { Poll::Pending } else { Poll::Ready(Ok::<_, &str>(answers())) }
            })
        })
    };
    let layer = BatchLayer::builder().key(|_| 0).build().unwrap();
    let (mut batch, worker) = Batch::pair(inner, &layer);
    let mut worker = Task::new(worker);
    let mut call = |request| {
        assert!(now_or_never(batch.ready()).is_some());
        Task::new(batch.call(Touchy(request)))
    };
    let _first = call(0);
    (0..2).for_each(|_| assert!(worker.is_pending()));
    let (gone, mut stays) = (call(1), call(2));
    assert!(worker.is_pending(), "it has their requests");
    drop(gone);
    assert!(worker.is_pending());
    held.store(0, Ordering::SeqCst);
    (0..6).for_each(|_| assert!(worker.is_pending()));
    assert_eq!(stays.output().unwrap(), 2);
}
