//! A caller that is alone calls the inner service itself, and whatever becomes of it, nobody else is held up.

use std::future::Future;
use std::mem;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backpressure_core::FlushReason;
use backpressure_tower::{Batch, BatchError, BatchLayer};
use tokio::time::advance;
use tower::{Service, ServiceExt, service_fn};

use crate::support::{Act, Readiness, Rig, Target, Task, assert_failed, counting, led};

const MINUTE: Duration = Duration::from_secs(60);

fn is_woken(rig: &Rig) -> bool {
    rig.worker.as_ref().is_some_and(Task::is_woken)
}

fn assert_rests(rig: &Rig) {
    assert!(!is_woken(rig), "the worker has nothing to do with it");
    let counts = rig.batch.as_ref().expect("a handle").gauge().snapshot().counts;
    assert!(counts.balances() && counts.queued + counts.in_flight == 0, "{counts:?}");
}

/// The batcher does what it did before.
fn assert_works(rig: &mut Rig) {
    rig.work();
    let mut call = rig.unpolled(7);
    rig.work();
    assert_eq!(call.output().unwrap(), 70);
}

#[test]
fn a_lone_call_is_answered_without_the_worker() {
    let target = Target::default();
    let mut rig = led(&target, |builder| builder);
    let mut call = rig.unpolled(1);
    assert_eq!(target.batches(), [[0], [1]], "sent by the call itself");
    assert_eq!(call.output().unwrap(), 10);
    assert_rests(&rig);
    assert_eq!(rig.batch.as_ref().unwrap().gauge().snapshot().flush.by_reason[FlushReason::Linger as usize], 2);
}

#[test]
fn the_service_wakes_the_caller_that_leads() {
    let target = Target::default().on(1, Act::Hold);
    let mut rig = led(&target, |builder| builder);
    let mut call = rig.call(1);
    assert_eq!(rig.batch.as_ref().unwrap().gauge().snapshot().counts.in_flight, 1);
    for _ in 0..3 {
        assert!(call.is_pending());
    }
    target.let_go(1, Act::Answer);
    assert_eq!((call.wakes.get(), is_woken(&rig)), (1, false));
    assert_eq!(call.output().unwrap(), 10);
    assert_eq!(call.wakes.get(), 1, "w3: it has the answer, and is not woken for it");
    assert_rests(&rig);
    assert_works(&mut rig);
}

#[test]
fn w1_the_latest_waker_of_a_caller_that_leads_is_woken_and_not_kept() {
    let target = Target::default().on(1, Act::Hold);
    let mut rig = led(&target, |builder| builder);
    let mut call = rig.call(1);
    let (latest, waker) = counting();
    assert!(call.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    target.let_go(1, Act::Answer);
    assert_eq!((call.wakes.get(), latest.get()), (0, 1));
    assert_eq!(call.output().unwrap(), 10);
    drop(call);
    assert_eq!(Arc::strong_count(&latest), 1, "t6");
}

#[test]
fn with_keys_equal_requests_deadlines_or_an_eager_linger_it_is_the_same() {
    let target = Target::default();
    let start = std::time::Instant::now();
    let mut rig = led(&target, |builder| {
        let builder = builder.key(|request| request % 2).deduplicate().max_weight(1, |_| 3);
        let builder = builder.linger(MINUTE).eager_when_idle(true);
        builder.deadline(MINUTE, move |&request| (request == 2).then_some(start))
    });
    for (request, sent) in [(1, true), (2, false), (3, true)] {
        let before = target.batches().len();
        let answer = rig.unpolled(request).output();
        assert_eq!(target.batches().len() - before, usize::from(sent));
        match answer {
            Ok(answer) => assert_eq!(answer, request * 10),
            Err(error) => assert!(!sent && matches!(error, BatchError::DeadlineExceeded), "{error}"),
        }
        assert_rests(&rig);
    }
}

#[test]
fn nobody_leads_where_batches_linger_or_where_there_were_others() {
    let target = Target::default();
    let mut rig = led(&target, |builder| builder);
    let calls = |rig: &mut Rig| (rig.unpolled(1), rig.unpolled(2));
    assert_works(&mut rig);
    target.become_(Readiness::Pending);
    let _others = calls(&mut rig);
    target.become_(Readiness::Ready);
    rig.work();
    assert_eq!(target.batches().last().map(Vec::len), Some(2));
    let mut call = rig.call(3);
    assert!(is_woken(&rig), "there may be others again");
    rig.work();
    assert_eq!(call.output().unwrap(), 30);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _guard = runtime.enter();
    let layer = BatchLayer::builder().linger(MINUTE).build().unwrap();
    let (mut batch, worker) = Batch::<u32, u32, _>::pair(target.clone(), &layer);
    let mut worker = Task::new(worker.led_by_callers());
    assert!(worker.is_pending());
    let before = target.batches().len();
    assert!(batch.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
    let _call = batch.call(4);
    assert!(worker.is_woken() && target.batches().len() == before);
}

#[test]
fn a_caller_that_never_waits_lets_others_have_their_turn() {
    let target = Target::default();
    let mut rig = led(&target, |builder| builder);
    let mut calls = (1..=100).map(|request| rig.unpolled(request));
    let led = calls.position(|mut call| call.is_pending()).expect("an end");
    assert!((1..=32).contains(&led), "{led} calls in a row");
    assert!(is_woken(&rig));
    let mut others = rig.calls([201, 202]);
    rig.work();
    assert_eq!(target.batches().last().map(Vec::len), Some(2), "they share a batch");
    assert!(others.iter_mut().all(|call| call.output().is_ok()));
}

#[test]
fn two_that_always_call_together_share_their_batches_again() {
    let target = Target::default().always(Act::Hold).on(0, Act::Answer);
    let mut rig = led(&target, |builder| builder);
    for _ in 0..3 {
        let mut calls = rig.calls([1, 2]);
        while !calls.is_empty() {
            rig.work();
            target.let_go(target.batches().len() - 1, Act::Answer);
            calls.retain_mut(|call| call.is_pending());
        }
    }
    assert_eq!(target.batches()[1..], [vec![1], vec![2], vec![1, 2], vec![1, 2]]);
}

#[test]
fn x1_when_the_caller_that_leads_is_gone_its_inner_call_is_dropped() {
    for polls in [false, true] {
        let target = Target::default().on(1, Act::Hold);
        let mut rig = led(&target, |builder| builder);
        let call = if polls { rig.call(1) } else { rig.unpolled(1) };
        drop(call);
        assert!(is_woken(&rig));
        rig.work();
        assert_eq!(target.dropped(), [1]);
        assert_rests(&rig);
        assert_works(&mut rig);
    }
}

#[test]
fn x1_so_it_is_when_the_service_has_answered_already() {
    let target = Target::default().on(1, Act::Hold);
    let mut rig = led(&target, |builder| builder);
    let call = rig.call(1);
    target.let_go(1, Act::Answer);
    drop(call);
    rig.work();
    assert_rests(&rig);
    assert_works(&mut rig);
}

#[test]
fn s6_a_caller_that_leads_and_is_not_polled_any_more_holds_up_nobody() {
    for (answers_first, forgotten) in [(false, false), (true, false), (false, true), (true, true)] {
        let target = Target::default().on(1, Act::Hold);
        let mut rig = led(&target, |builder| builder);
        let leader = rig.call(1);
        if answers_first {
            target.let_go(1, Act::Answer);
            assert!(leader.is_woken());
        }
        let mut second = rig.call(2);
        assert!(is_woken(&rig), "the worker takes over");
        rig.work();
        if !answers_first {
            assert_eq!(target.batches(), [[0], [1]]);
            target.let_go(1, Act::Answer);
            assert!(is_woken(&rig), "by the inner call that it has taken over");
            rig.work();
        }
        assert_eq!(target.batches(), [[0], [1], [2]]);
        assert_eq!(second.output().unwrap(), 20);
        let mut leader = leader;
        if forgotten {
            mem::forget(leader);
        } else {
            assert!(leader.is_woken());
            assert_eq!(leader.output().unwrap(), 10);
        }
        assert_rests(&rig);
        assert_works(&mut rig);
    }
}

#[test]
fn s6_a_leader_that_is_answered_and_polled_late_takes_nothing_from_one_that_leads_since() {
    // Numbers of calls are used again after a while, so the two may have the same.
    for between in 0..150 {
        let target = Target::default().on(1, Act::Hold).on(3 + between, Act::Hold);
        let mut rig = led(&target, |builder| builder);
        let mut first = rig.call(1);
        let mut second = rig.call(2);
        rig.work();
        target.let_go(1, Act::Answer);
        rig.work();
        assert_eq!(second.output().unwrap(), 20);
        for _ in 0..between {
            let mut call = rig.unpolled(3);
            rig.work();
            assert_eq!(call.output().unwrap(), 30);
        }
        let mut late = rig.call(4);
        rig.work();
        assert_eq!(first.output().unwrap(), 10);
        assert!(late.is_pending());
        target.let_go(3 + between, Act::Answer);
        rig.work();
        assert_eq!(late.output().unwrap(), 40, "after {between} calls");
    }
}

#[test]
fn a_leader_that_is_polled_after_the_worker_was_woken_gives_way() {
    for meanwhile in [false, true] {
        let target = Target::default().on(1, Act::Hold);
        let mut rig = led(&target, |builder| builder);
        let mut leader = rig.call(1);
        let mut second = rig.call(2);
        assert!(!meanwhile || leader.is_pending());
        rig.work();
        assert!(leader.is_pending() && !is_woken(&rig), "the worker has it");
        target.let_go(1, Act::Answer);
        assert!(is_woken(&rig) && !leader.is_woken());
        rig.work();
        assert_eq!((leader.output().unwrap(), second.output().unwrap()), (10, 20));
    }
}

#[test]
fn s8_t3_a_batch_that_fails_costs_its_leader_alone() {
    for (act, error) in [
        (Act::Fail("disk full"), "Batch(\"disk full\")"),
        (Act::PanicInCall, "Panicked"),
        (Act::PanicInFuture, "Panicked"),
        (Act::Give(0), "WrongLength { expected: 1, got: 0 }"),
        (Act::Give(2), "WrongLength { expected: 1, got: 2 }"),
    ] {
        let target = Target::default().on(1, act);
        let mut rig = led(&target, |builder| builder);
        assert_failed(vec![rig.unpolled(1).output()], error);
        assert_rests(&rig);
        assert_works(&mut rig);
    }
    let target = Target::default().on(1, Act::Hold);
    let mut rig = led(&target, |builder| builder);
    let mut call = rig.call(1);
    target.let_go(1, Act::PanicInFuture);
    assert_failed(vec![call.output()], "Panicked");
    assert_works(&mut rig);
}

#[test]
fn a_service_that_is_not_ready_is_left_to_the_worker() {
    let target = Target::default();
    let mut rig = led(&target, |builder| builder);
    target.become_(Readiness::Pending);
    let mut call = rig.call(1);
    assert!(is_woken(&rig));
    rig.work();
    target.become_(Readiness::Ready);
    assert!(is_woken(&rig) && !call.is_woken());
    rig.work();
    assert_eq!(call.output().unwrap(), 10);
    assert_works(&mut rig);
}

#[test]
fn s8_a_readiness_that_panics_or_fails_is_told_to_the_leader() {
    let target = Target::default();
    let mut rig = led(&target, |builder| builder);
    target.become_(Readiness::Panics);
    assert_failed(vec![rig.unpolled(1).output()], "Panicked");
    target.become_(Readiness::Ready);
    assert_works(&mut rig);
    target.become_(Readiness::Fails("gone"));
    assert_failed(vec![rig.unpolled(2).output()], "Unavailable(\"gone\")");
    assert!(rig.work(), "t6: the worker ends");
    let mut late = Task::new(rig.handle().oneshot(3));
    assert!(matches!(late.output(), Err(BatchError::Unavailable(_))));
}

#[test]
fn t1_a_drain_takes_over_what_a_caller_leads() {
    let target = Target::default().on(1, Act::Hold);
    let mut rig = led(&target, |builder| builder);
    let mut leader = rig.call(1);
    let mut drain = Task::new(rig.handle().drain(Duration::MAX));
    assert!(drain.is_pending() && is_woken(&rig));
    rig.work();
    target.let_go(1, Act::Answer);
    assert!(rig.work(), "t6: the worker ends, whether the leader is polled or not");
    assert!(drain.output().is_complete());
    assert_eq!(leader.output().unwrap(), 10);
}

#[tokio::test(start_paused = true)]
async fn t7_a_drain_ends_what_a_caller_leads_by_its_deadline() {
    for takes_over in [false, true] {
        let target = Target::default().on(1, Act::Hold);
        let mut rig = led(&target, |builder| builder);
        let mut leader = rig.call(1);
        let mut drain = Task::new(rig.handle().drain(MINUTE));
        assert!(drain.is_pending());
        if takes_over {
            rig.work();
        }
        advance(MINUTE).await;
        assert_eq!(drain.output().abandoned, 1);
        assert!(leader.is_woken());
        assert_failed(vec![leader.output()], "Closed");
        assert!(rig.work(), "t6: the worker is told, and ends");
        assert_eq!(target.dropped(), [1]);
    }
}

#[test]
fn t9_when_the_last_handle_goes_the_worker_sees_the_leader_out() {
    let target = Target::default().on(1, Act::Hold);
    let mut rig = led(&target, |builder| builder);
    let mut leader = rig.call(1);
    rig.batch = None;
    assert!(!rig.work());
    target.let_go(1, Act::Answer);
    assert!(rig.work());
    assert_eq!(leader.output().unwrap(), 10);
}

#[test]
fn t6_when_the_worker_is_dropped_the_leader_is_told_and_nothing_is_left() {
    let target = Target::default().on(1, Act::Hold);
    let mut rig = led(&target, |builder| builder);
    let mut leader = rig.call(1);
    rig.worker = None;
    assert_eq!(target.dropped(), [1]);
    assert!(leader.is_woken());
    assert_failed(vec![leader.output()], "Closed");
}

#[test]
fn w5_the_service_may_call_back_in() {
    type Handle = Arc<Mutex<Option<Batch<u32, u32, &'static str>>>>;
    let handle = Handle::default();
    let inner = {
        let handle = Arc::clone(&handle);
        service_fn(move |batch: Vec<u32>| {
            let inner = handle.lock().unwrap().clone().filter(|_| batch == [1]);
            let mut nested = inner.map(|batch| Box::pin(batch.oneshot(2)));
            if let Some(nested) = &mut nested {
                assert!(nested.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            std::future::ready(Ok(batch))
        })
    };
    let layer = BatchLayer::builder().build().unwrap();
    let (batch, worker) = Batch::pair(inner, &layer);
    let mut worker = Task::new(worker.led_by_callers());
    let mut work = || while worker.is_pending() && worker.is_woken() {};
    for request in [0, 1, 3] {
        let mut call = Task::new(batch.clone().oneshot(request));
        let answered = call.poll();
        work();
        match answered {
            Poll::Ready(answer) => assert_eq!(answer.unwrap(), request),
            Poll::Pending => assert_eq!(call.output().unwrap(), request),
        }
        *handle.lock().unwrap() = Some(batch.clone());
    }
    handle.lock().unwrap().take();
}
