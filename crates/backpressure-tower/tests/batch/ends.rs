use std::time::Duration;

use backpressure_core::{FlushReason, State};
use backpressure_tower::BatchError;
use tokio::time::advance;
use tower::ServiceExt;

use crate::support::{Act, Readiness, Rig, Target, Task, assert_failed, now_or_never, outputs, rig};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn t9_the_last_partial_batch_is_flushed_when_the_handles_go() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.linger(MINUTE));
    let gauge = rig.batch.as_ref().unwrap().gauge();
    let mut calls = rig.calls([1, 2, 3]);
    rig.work();
    let other = rig.handle();
    rig.batch = None;
    assert!(!rig.work() && target.batches().is_empty(), "one is left");
    drop(other);
    assert!(rig.work(), "t6: the worker ends with its work");
    assert_eq!(target.batches(), [[1, 2, 3]]);
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
    assert_eq!(gauge.snapshot().flush.by_reason[FlushReason::End as usize], 1);
    assert_eq!(gauge.state(), State::Draining);
}

#[test]
fn t6_without_handles_and_callers_the_worker_ends_whatever_is_in_flight() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder);
    let calls = rig.calls([1, 2]);
    rig.work();
    rig.batch = None;
    assert!(!rig.work(), "they are waited for");
    drop(calls);
    assert!(rig.work());
    assert_eq!(target.dropped(), [0]);
}

#[test]
fn t6_the_worker_ends_when_the_last_call_is_refused() {
    let target = Target::default();
    let now = std::time::Instant::now();
    let mut rig = rig(&target, |builder| builder.deadline(Duration::ZERO, move |_| Some(now)));
    let mut call = rig.call(1);
    rig.batch = None;
    assert!(rig.work());
    assert!(matches!(call.output(), Err(BatchError::DeadlineExceeded)));
}

#[test]
fn t1_t2_a_drain_answers_everyone_and_takes_nothing_more() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(2));
    let gauge = rig.batch.as_ref().unwrap().gauge();
    let mut calls = rig.calls(1..=4);
    rig.work();
    let mut readied = rig.handle();
    assert!(now_or_never(readied.ready()).is_some());
    let mut drain = Task::new(rig.handle().drain(Duration::MAX));
    assert!(drain.is_pending());
    assert_eq!(gauge.state(), State::Draining);
    let refused = now_or_never(rig.batch.as_mut().unwrap().ready()).expect("at once").map(|_| ());
    assert!(matches!(refused, Err(BatchError::Closed)));
    let mut late = Task::new(tower::Service::call(&mut readied, 9));
    assert!(matches!(late.output(), Err(BatchError::Closed)), "t5: its request was never taken");
    target.let_go(0, Act::Answer);
    rig.work();
    assert!(drain.is_pending() && !drain.is_woken());
    target.let_go(1, Act::Fail("no"));
    rig.work();
    assert!(drain.is_woken());
    let report = drain.output();
    assert_eq!((report.answered, report.failed, report.abandoned), (2, 2, 0));
    assert!(report.is_complete());
    let _ = outputs(&mut calls);
    let counts = gauge.snapshot().counts;
    assert!(counts.balances() && counts.received == 5 && counts.queued + counts.in_flight == 0, "{counts:?}");
    assert!(rig.worker.is_none());
}

#[tokio::test(start_paused = true)]
async fn t7_a_drain_returns_by_its_deadline_even_if_nobody_works() {
    for works in [true, false] {
        let target = Target::default().always(Act::Hold);
        let mut rig = rig(&target, |builder| builder.max_items(2));
        let mut calls = rig.calls(1..=5);
        if works {
            rig.work();
        }
        let mut drain = Task::new(rig.handle().drain(MINUTE));
        assert!(drain.is_pending());
        advance(MINUTE).await;
        assert!(drain.is_woken());
        let report = drain.output();
        assert_eq!((report.answered, report.failed, report.abandoned), (0, 0, 5));
        assert_eq!(report.elapsed, MINUTE);
        assert!(calls.iter().all(|call| call.wakes.get() == 1), "w4");
        assert_failed(outputs(&mut calls), "Closed");
        assert!(rig.work());
        assert_eq!(target.dropped().len(), usize::from(works));
        let counts = rig.batch.as_ref().unwrap().gauge().snapshot().counts;
        assert!(counts.balances() && counts.dropped() == 5, "{counts:?}");
    }
}

#[test]
fn t5_x2_a_drain_that_is_dropped_goes_on_and_may_be_repeated() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder);
    let mut calls = rig.calls([1, 2]);
    drop(rig.handle().drain(Duration::ZERO));
    assert!(rig.work());
    assert!(outputs(&mut calls).iter().all(Result::is_ok), "its deadline is gone with it");
    let report = now_or_never(rig.handle().drain(Duration::ZERO)).expect("nothing is left");
    assert_eq!((report.answered, report.abandoned), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn t7_every_report_is_incomplete_once_calls_were_abandoned() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(2));
    let mut calls = rig.calls(1..=5);
    rig.work();
    let (mut first, mut second) = (Task::new(rig.handle().drain(MINUTE)), Task::new(rig.handle().drain(2 * MINUTE)));
    assert!(first.is_pending() && second.is_pending());
    advance(MINUTE).await;
    let late = |rig: &Rig| now_or_never(rig.handle().drain(MINUTE)).expect("nothing is left");
    for report in [first.output(), second.output(), late(&rig)] {
        assert_eq!((report.answered, report.abandoned, report.is_complete()), (0, 5, false));
    }
    assert_failed(outputs(&mut calls), "Closed");
}

#[test]
fn t7_calls_that_fail_with_the_service_are_failed_and_not_abandoned() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.max_items(2));
    let mut calls = rig.calls([1, 2, 3]);
    let mut drain = Task::new(rig.handle().drain(Duration::MAX));
    assert!(drain.is_pending());
    target.become_(Readiness::Fails("gone"));
    assert!(rig.work());
    assert_failed(outputs(&mut calls), "Unavailable(\"gone\")");
    let report = drain.output();
    assert_eq!((report.answered, report.failed, report.abandoned), (0, 3, 0));
    assert!(report.is_complete(), "each had an answer");
}

#[test]
fn t7_a_drain_after_the_worker_is_gone_tells_of_the_calls_it_left() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(2));
    let mut calls = rig.calls(1..=5);
    rig.work();
    rig.worker = None;
    assert_failed(outputs(&mut calls), "Closed");
    let report = now_or_never(rig.handle().drain(Duration::ZERO)).expect("nothing is left");
    assert_eq!((report.answered, report.abandoned, report.is_complete()), (0, 5, false));
}

#[test]
fn t8_a_drain_flushes_what_lingers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _guard = runtime.enter();
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.linger(MINUTE));
    let mut calls = rig.calls([1, 2]);
    rig.work();
    let mut drain = Task::new(rig.handle().drain(MINUTE));
    assert!(drain.is_pending());
    rig.work();
    assert!(drain.output().is_complete());
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
}

#[test]
fn w4_s8_when_the_worker_is_dropped_everyone_is_told() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.capacity(3).max_items(1));
    let mut calls = rig.calls([1, 2, 3]);
    rig.work();
    calls.extend(rig.calls([4]));
    let mut in_line = Task::new(rig.handle().oneshot(5));
    assert!(in_line.is_pending());
    rig.worker = None;
    assert!(in_line.is_woken() && matches!(in_line.output(), Err(BatchError::Closed)));
    assert!(calls.iter().all(|call| call.wakes.get() == 1));
    assert_failed(outputs(&mut calls), "Closed");
    let counts = rig.batch.as_ref().unwrap().gauge().snapshot().counts;
    assert!(counts.balances() && counts.queued + counts.in_flight == 0, "{counts:?}");
}
