use std::sync::Arc;
use std::task::{Context, Waker};

use backpressure_core::DropReason;
use backpressure_tower::{Batch, BatchLayer};
use tower::{Service, service_fn};

use crate::support::{Act, Readiness, Target, outputs, rig};

#[test]
fn x1_a_caller_that_is_gone_is_not_executed_and_its_place_is_free_at_once() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.capacity(3).max_items(3));
    let mut calls = rig.calls([1, 2, 3]);
    drop(calls.remove(1));
    calls.extend(rig.calls([4]));
    rig.work();
    assert_eq!(target.batches(), [[1, 3, 4]]);
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
}

#[test]
fn x1_so_it_is_when_the_worker_has_seen_it() {
    let target = Target::default();
    target.become_(Readiness::Pending);
    let mut rig = rig(&target, |builder| builder.capacity(3).max_items(3));
    let mut calls = rig.calls([1, 2, 3]);
    rig.work();
    drop(calls.remove(1));
    calls.extend(rig.calls([4]));
    target.become_(Readiness::Ready);
    rig.work();
    assert_eq!(target.batches(), [[1, 3, 4]]);
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
}

#[test]
fn x1_a_thousand_callers_that_come_and_go_leave_nothing_behind() {
    let target = Target::default();
    target.become_(Readiness::Pending);
    let mut rig = rig(&target, |builder| builder.capacity(2).max_items(2));
    for round in 0..1_000 {
        let call = rig.call(round);
        if round % 3 == 0 {
            rig.work();
        }
        drop(call);
    }
    target.become_(Readiness::Ready);
    rig.work();
    assert!(target.batches().is_empty());
    let counts = rig.batch.as_ref().unwrap().gauge().snapshot().counts;
    assert!(counts.balances() && counts.lost(DropReason::Cancelled) == 1_000, "{counts:?}");
}

#[test]
fn t6_the_request_of_a_caller_that_is_gone_is_dropped_even_while_the_service_is_stuck() {
    let inner = service_fn(|batch: Vec<Arc<()>>| async move {
        std::future::pending::<()>().await;
        Ok::<_, &str>(batch)
    });
    let layer = BatchLayer::<Arc<()>, Arc<()>>::builder().build().unwrap();
    let (mut batch, worker) = Batch::pair(inner, &layer);
    let mut worker = crate::support::Task::new(worker);
    let request = Arc::new(());
    let mut call = || {
        assert!(batch.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
        batch.call(Arc::clone(&request))
    };
    let in_flight = call();
    while worker.is_pending() && worker.is_woken() {}
    let seen = call();
    let _ = worker.poll();
    let unseen = call();
    assert_eq!(Arc::strong_count(&request), 4);
    drop(unseen);
    assert_eq!(Arc::strong_count(&request), 3);
    drop(seen);
    let _ = worker.poll();
    assert_eq!(Arc::strong_count(&request), 2);
    drop(in_flight);
    let _ = worker.poll();
    assert_eq!(Arc::strong_count(&request), 1, "nobody waits for the inner call, so it is dropped");
}

#[test]
fn x1_when_the_last_caller_of_a_batch_is_gone_the_inner_call_is_dropped_and_its_slot_is_free() {
    let target = Target::default().on(0, Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(2));
    let mut calls = rig.calls(1..=4);
    rig.work();
    calls.remove(0);
    rig.work();
    assert!(target.dropped().is_empty(), "its neighbour waits");
    calls.remove(0);
    rig.work();
    assert_eq!(target.dropped(), [0]);
    assert_eq!(target.batches(), [[1, 2], [3, 4]]);
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
}

#[test]
fn x1_a_number_that_is_used_again_gets_its_own_answer() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(2).concurrency(9));
    let mut calls = rig.calls([1, 2]);
    rig.work();
    calls.remove(0);
    rig.work();
    calls.extend(rig.calls([3, 4]));
    rig.work();
    target.let_go(0, Act::Answer);
    rig.work();
    assert_eq!(calls[0].output().unwrap(), 20);
    assert!(calls[1].is_pending(), "the answer to 1 is nobody's");
    target.let_go(1, Act::Answer);
    rig.work();
    assert_eq!((calls[1].output().unwrap(), calls[2].output().unwrap()), (30, 40));
}

#[test]
fn x1_an_answer_that_nobody_takes_is_dropped_with_its_future() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder);
    let calls = rig.calls([1, 2]);
    rig.work();
    drop(calls);
    let mut next = rig.call(3);
    rig.work();
    assert_eq!(next.output().unwrap(), 30);
}
