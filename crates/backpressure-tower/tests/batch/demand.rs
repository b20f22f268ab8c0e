use std::task::{Context, Poll, Waker};

use backpressure_core::State;
use backpressure_tower::{BatchError, BatchLayer};
use tower::Service;

use crate::support::{Act, Builder, Readiness, Target, Task, counting, outputs, rig};

fn poll_ready(batch: &mut impl Service<u32>, waker: &Waker) -> bool {
    match batch.poll_ready(&mut Context::from_waker(waker)) {
        Poll::Ready(Ok(())) => true,
        Poll::Ready(Err(_)) => panic!("closed"),
        Poll::Pending => false,
    }
}

#[test]
fn d7_nothing_of_anything_is_refused() {
    let refusal = |build: fn(Builder) -> Builder| build(BatchLayer::builder()).build().unwrap_err().to_string();
    assert_eq!(refusal(|builder| builder.max_items(0)), "max_items is 0, but must be at least 1");
    assert_eq!(refusal(|builder| builder.max_weight(0, |_| 1)), "max_weight is 0, but must be at least 1");
    assert_eq!(refusal(|builder| builder.capacity(0)), "capacity is 0, but must be at least 1");
    assert_eq!(refusal(|builder| builder.concurrency(0)), "concurrency is 0, but must be at least 1");
    assert_eq!(refusal(|builder| builder.max_keys(0)), "max_keys is 0, but must be at least 1");
    let expected = "max_items is 65, but must be at most the capacity (64)";
    assert_eq!(refusal(|builder| builder.capacity(64).max_items(65)), expected);
}

#[test]
fn d3_d4_ready_reserves_a_place_and_polling_again_none() {
    let target = Target::default().always(Act::Hold);
    let rig = rig(&target, |builder| builder.capacity(2).max_items(1));
    let (mut one, mut two, mut three) = (rig.handle(), rig.handle(), rig.handle());
    assert!(poll_ready(&mut one, Waker::noop()));
    assert!(poll_ready(&mut one, Waker::noop()), "no second place");
    assert!(poll_ready(&mut two, Waker::noop()));
    let (wakes, waker) = counting();
    assert!(!poll_ready(&mut three, &waker));
    let _call = one.call(1);
    assert_eq!(wakes.get(), 0);
    drop(two);
    assert_eq!(wakes.get(), 1, "s2: a ready, uncalled handle gives its place back");
    assert!(poll_ready(&mut three, &waker));
}

#[test]
fn s1_a_clone_is_not_ready_because_its_original_is() {
    let target = Target::default();
    let rig = rig(&target, |builder| builder);
    let mut one = rig.handle();
    assert!(poll_ready(&mut one, Waker::noop()));
    let mut refused = Task::new(one.clone().call(1));
    assert!(matches!(refused.output(), Err(BatchError::NotReady)));
    assert!(one.gauge().snapshot().counts.balances());
}

#[test]
fn d3_a_batch_that_leaves_frees_its_places() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.capacity(2).max_items(2));
    let _calls = rig.calls([1, 2]);
    let gauge = rig.batch.as_ref().unwrap().gauge();
    assert_eq!(gauge.state(), State::Blocked);
    let (wakes, waker) = counting();
    let mut late = rig.handle();
    assert!(!poll_ready(&mut late, &waker));
    assert_eq!(gauge.snapshot().producers_waiting, 1);
    rig.work();
    assert_eq!(wakes.get(), 1);
    assert!(poll_ready(&mut late, &waker));
    assert_eq!(gauge.snapshot().producers_waiting, 0);
    drop(late);
    assert_eq!(gauge.state(), State::Normal);
}

#[test]
fn o4_places_go_to_those_who_wait_first_come_first_served() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.capacity(1).max_items(1));
    let first = rig.call(1);
    let mut line: Vec<_> = (0..3).map(|_| (rig.handle(), counting())).collect();
    for (handle, (_, waker)) in &mut line {
        assert!(!poll_ready(handle, waker));
    }
    drop(first);
    let woken = |line: &[(_, (std::sync::Arc<crate::support::Count>, Waker))]| {
        line.iter().map(|(_, (wakes, _))| wakes.get()).collect::<Vec<_>>()
    };
    assert_eq!(woken(&line), [1, 0, 0]);
    assert!(!poll_ready(&mut rig.handle(), Waker::noop()), "nobody overtakes");
    line.remove(0);
    assert_eq!(woken(&line), [1, 0], "x1: who leaves with a place hands it on");
    assert!(poll_ready(&mut line[0].0, Waker::noop()));
}

#[test]
fn d1_the_service_is_asked_only_when_there_is_a_batch_for_it() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder);
    rig.work();
    assert_eq!(target.asked_for_readiness(), 0, "nothing that it has to give is hoarded");
    let mut calls = rig.calls([1, 2]);
    rig.work();
    assert_eq!(target.asked_for_readiness(), 1);
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
}

#[test]
fn b3_b4_while_the_service_is_not_ready_a_batch_stays_open() {
    let target = Target::default();
    target.become_(Readiness::Pending);
    let mut rig = rig(&target, |builder| builder.max_items(3));
    let mut calls = rig.calls([1, 2]);
    rig.work();
    calls.extend(rig.calls([3, 4]));
    rig.work();
    assert!(target.batches().is_empty());
    target.become_(Readiness::Ready);
    rig.work();
    assert_eq!(target.batches(), [vec![1, 2, 3], vec![4]]);
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
}

#[test]
fn d5_one_poll_of_the_worker_does_a_bounded_amount_of_work() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.max_items(1));
    let mut calls = rig.calls(0..1000);
    let worker = rig.worker.as_mut().unwrap();
    assert!(worker.is_pending());
    let after_one = target.batches().len();
    assert!((1..=100).contains(&after_one), "{after_one}");
    assert!(worker.is_woken());
    rig.work();
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
}
