//! A batcher that is given other numbers while it is in use.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backpressure_core::State;
use backpressure_core::limit::Fixed;
use backpressure_tower::{Batch, BatcherConfig};
use tower::Service;

use crate::support::{Act, Error, Rig, Target, Task, counting, led, outputs, rig};

const MS: Duration = Duration::from_millis(1);

fn poll_ready(batch: &mut Batch<u32, u32, Error>, waker: &Waker) -> bool {
    matches!(batch.poll_ready(&mut Context::from_waker(waker)), Poll::Ready(Ok(())))
}

fn try_reconfigure(rig: &Rig, change: impl FnOnce(&mut BatcherConfig)) -> Result<(), String> {
    let handle = rig.handle().handle();
    let mut config = handle.config();
    change(&mut config);
    handle.reconfigure(config).map_err(|error| error.to_string())
}

fn reconfigure(rig: &Rig, change: impl FnOnce(&mut BatcherConfig)) {
    try_reconfigure(rig, change).expect("a sound configuration");
}

#[test]
fn r3_o4_growth_wakes_as_many_as_now_fit_first_come_first_served() {
    let rig = rig(&Target::default(), |builder| builder.capacity(1).max_items(1));
    let mut held = rig.handle();
    assert!(poll_ready(&mut held, Waker::noop()));
    let mut line: Vec<_> = (0..4).map(|_| (rig.handle(), counting())).collect();
    assert!(line.iter_mut().all(|(batch, (_, waker))| !poll_ready(batch, waker)));
    let woken = |capacity| {
        reconfigure(&rig, |config| config.capacity = capacity);
        line.iter().map(|(_, (wakes, _))| wakes.get()).collect::<Vec<_>>()
    };
    assert_eq!(woken(3), [1, 1, 0, 0]);
    assert_eq!(woken(3), [1, 1, 0, 0]);
    assert_eq!(woken(4), [1, 1, 1, 0]);
    let ready: Vec<_> = line.iter_mut().map(|(batch, (_, waker))| poll_ready(batch, waker)).collect();
    assert_eq!(ready, [true, true, true, false]);
    line.remove(0);
    assert_eq!(line[2].1.0.get(), 1, "w2: a place that is given back goes to the next");
}

#[test]
fn r2_r4_fewer_places_take_none_away_and_let_nobody_in_until_it_fits() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.capacity(4).max_items(1));
    let mut calls = rig.calls(1..=3);
    let mut reserved = rig.handle();
    assert!(poll_ready(&mut reserved, Waker::noop()));
    reconfigure(&rig, |config| config.capacity = 1);
    let gauge = reserved.gauge();
    assert_eq!((gauge.state(), gauge.utilization()), (State::Blocked, 3.0), "r1: seen at once");

    calls.push(Task::new(reserved.call(4)));
    assert_eq!(gauge.snapshot().counts.queued, 4, "the place was promised");
    let (wakes, waker) = counting();
    let mut late = rig.handle();
    assert!(!poll_ready(&mut late, &waker));
    for (batch, queued) in (0..4).zip([3, 2, 1, 0]) {
        rig.work();
        assert_eq!(gauge.snapshot().counts.queued, queued);
        assert_eq!(wakes.get(), usize::from(queued == 0), "with {queued} queued");
        assert_eq!(gauge.state() == State::Blocked, queued > 0);
        target.let_go(batch, Act::Answer);
    }
    assert!(poll_ready(&mut late, &waker));
    assert!(!poll_ready(&mut rig.handle(), Waker::noop()), "d3: one place");
    rig.work();
    assert_eq!(outputs(&mut calls).into_iter().map(Result::unwrap).collect::<Vec<_>>(), [10, 20, 30, 40]);
    assert!(gauge.snapshot().counts.balances());
}

#[test]
fn a_batch_that_gathers_follows_the_new_size() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.linger(Duration::MAX).max_items(10).capacity(50));
    let mut calls = rig.calls(1..=5);
    rig.work();
    assert!(target.batches().is_empty());
    reconfigure(&rig, |config| config.max_items = 2);
    rig.work();
    assert_eq!(target.batches(), [vec![1, 2], vec![3, 4]]);
    reconfigure(&rig, |config| config.max_items = 3);
    calls.extend(rig.calls(6..=6));
    rig.work();
    assert_eq!(target.batches().len(), 2);
    calls.extend(rig.calls(7..=7));
    rig.work();
    assert_eq!(target.batches()[2], [5, 6, 7]);
    assert_eq!(rig.handle().gauge().snapshot().flush.batch_items, 3);
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
}

#[test]
fn a_batch_that_gathers_follows_the_new_weight() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.linger(Duration::MAX).max_weight(100, |request| *request as usize));
    let _calls = rig.calls([5, 6, 7]);
    rig.work();
    assert!(target.batches().is_empty());
    reconfigure(&rig, |config| config.max_weight = Some(11));
    rig.work();
    assert_eq!(target.batches(), [[5, 6]]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_gathers_follows_the_new_linger_and_quiet() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.linger(100 * MS));
    let step = async |rig: &mut Rig, time: Duration| {
        tokio::time::advance(time).await;
        rig.work();
        target.batches().len()
    };
    let _calls = rig.calls([1]);
    assert_eq!(step(&mut rig, 10 * MS).await, 0);
    reconfigure(&rig, |config| config.linger = 30 * MS);
    assert_eq!(step(&mut rig, 19 * MS).await, 0);
    assert_eq!(step(&mut rig, MS).await, 1, "30 ms after its first request");

    let _calls = rig.calls([2]);
    assert_eq!(step(&mut rig, 10 * MS).await, 1);
    reconfigure(&rig, |config| config.linger = 10 * MS);
    assert_eq!(step(&mut rig, Duration::ZERO).await, 2, "it has waited for long enough");

    reconfigure(&rig, |config| (config.linger, config.quiet) = (100 * MS, None));
    let _calls = rig.calls([3]);
    assert_eq!(step(&mut rig, Duration::ZERO).await, 2);
    assert_eq!(step(&mut rig, 10 * MS).await, 2);
    reconfigure(&rig, |config| config.quiet = Some(15 * MS));
    assert_eq!(step(&mut rig, 4 * MS).await, 2);
    assert_eq!(step(&mut rig, MS).await, 3, "15 ms after its last request");

    let _calls = rig.calls([4]);
    assert_eq!(step(&mut rig, 10 * MS).await, 3);
    reconfigure(&rig, |config| config.quiet = None);
    assert_eq!(step(&mut rig, 89 * MS).await, 3);
    assert_eq!(step(&mut rig, MS).await, 4);
}

#[tokio::test(start_paused = true)]
async fn b6_a_linger_that_comes_and_goes_keeps_the_order() {
    let target = Target::default().on(0, Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(4));
    let mut calls = rig.calls([1]);
    rig.work();
    calls.extend(rig.calls([2, 3]));
    reconfigure(&rig, |config| config.linger = 10 * MS);
    calls.extend(rig.calls([4]));
    target.let_go(0, Act::Answer);
    rig.work();
    assert_eq!(target.batches(), [[1]], "the others linger now");
    reconfigure(&rig, |config| config.linger = Duration::ZERO);
    calls.extend(rig.calls([5, 6]));
    rig.work();
    assert_eq!(target.batches(), [vec![1], vec![2, 3, 4, 5], vec![6]]);
    calls.extend(rig.calls([7, 8]));
    rig.work();
    assert_eq!(target.batches()[3], [7, 8]);
    assert!(outputs(&mut calls).iter().all(Result::is_ok));
}

#[test]
fn s4_concurrency_holds_from_the_next_turn_on() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(1));
    let _calls = rig.calls(0..6);
    rig.work();
    assert_eq!(target.batches().len(), 1);
    reconfigure(&rig, |config| config.concurrency = 3);
    rig.work();
    assert_eq!(target.batches().len(), 3);
    reconfigure(&rig, |config| config.concurrency = 2);
    for (batch, sent) in [(0, 3), (1, 4), (2, 5)] {
        target.let_go(batch, Act::Answer);
        rig.work();
        assert_eq!(target.batches().len(), sent);
    }
}

#[test]
fn r1_what_is_refused_changes_nothing_and_wakes_nobody() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.capacity(8).max_items(4));
    rig.work();
    let before = rig.handle().handle().config();
    let refusal = |change: fn(&mut BatcherConfig)| {
        try_reconfigure(&rig, |config| {
            config.capacity = 100;
            change(config);
        })
        .expect_err("a refusal")
    };
    assert_eq!(refusal(|config| config.capacity = 0), "capacity is 0, but must be at least 1");
    assert_eq!(refusal(|config| config.max_items = 0), "max_items is 0, but must be at least 1");
    assert_eq!(refusal(|config| config.concurrency = 0), "concurrency is 0, but must be at least 1");
    assert_eq!(refusal(|config| config.max_items = 101), "max_items is 101, but must be at most the capacity (100)");
    let expected = "max_weight is 7, but must be unset, as it was when the batcher was built";
    assert_eq!(refusal(|config| config.max_weight = Some(7)), expected);
    let expected = "low_watermark is 0.9, but must be below high_watermark (0.8)";
    assert_eq!(refusal(|config| config.low_watermark = 0.9), expected);
    assert_eq!(rig.handle().handle().config(), before);
    assert!(!rig.worker.as_ref().expect("at work").is_woken());
}

#[test]
fn r1_what_is_learned_or_weighed_stays_so() {
    let refusal = |build: fn(crate::support::Builder) -> crate::support::Builder, change: fn(&mut BatcherConfig)| {
        try_reconfigure(&rig(&Target::default(), build), change).expect_err("a refusal")
    };
    assert_eq!(
        refusal(|builder| builder.max_weight(9, |_| 1), |config| config.max_weight = None),
        "max_weight is unset, but must be set, as it was when the batcher was built"
    );
    assert_eq!(
        refusal(|builder| builder.adaptive_size(10, MS), |config| config.max_items = 9),
        "max_items is 9, but must be at least batch_size_min (10)"
    );
    assert_eq!(
        refusal(|builder| builder.adaptive_linger(MS, 2 * MS, MS), |config| config.linger = MS),
        "linger is 1ms, but must be 0ns, as when the batcher was built, since another one is learned"
    );
    assert_eq!(
        refusal(
            |builder| builder.adaptive_concurrency(|| Fixed::new(3).expect("a limit")),
            |config| config.concurrency = 2
        ),
        "concurrency is 2, but must be 1, as when the batcher was built, since another one is learned"
    );
}

#[tokio::test(start_paused = true)]
async fn a_size_that_is_learned_moves_into_the_new_bounds() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder.max_items(640).adaptive_size(1, MS).capacity(2_000));
    let limit = |rig: &Rig| rig.handle().gauge().snapshot().flush.batch_items;
    for _ in 0..10 {
        let _calls = rig.calls(0..200);
        rig.work();
    }
    assert!(limit(&rig) > 20, "{:?}", limit(&rig));
    reconfigure(&rig, |config| config.max_items = 20);
    rig.work();
    assert_eq!(limit(&rig), 20);
}

#[test]
fn a_caller_that_leads_is_answered_whatever_is_reconfigured() {
    let target = Target::default().on(1, Act::Hold);
    let mut rig = led(&target, |builder| builder);
    let mut call = rig.call(1);
    assert_eq!(target.batches().len(), 2, "it leads");
    reconfigure(&rig, |config| (config.capacity, config.max_items, config.concurrency) = (1, 1, 2));
    rig.work();
    target.let_go(1, Act::Answer);
    rig.work();
    assert!(matches!(call.output(), Ok(10)));
    let mut call = rig.unpolled(2);
    rig.work();
    assert!(matches!(call.output(), Ok(20)));
}

#[test]
fn t6_a_handle_keeps_nothing_at_work() {
    let target = Target::default();
    let mut rig = rig(&target, |builder| builder);
    let handle = rig.handle().handle();
    let mut config = handle.config();
    rig.batch = None;
    assert!(rig.work(), "the worker ends");
    config.capacity = 500;
    assert!(handle.reconfigure(config).is_ok());
    assert!(handle.gauge().snapshot().counts.balances());
}

#[test]
fn t7_a_drain_is_done_sooner_with_more_concurrency() {
    let target = Target::default().always(Act::Hold);
    let mut rig = rig(&target, |builder| builder.max_items(1).capacity(8));
    let _calls = rig.calls(0..3);
    rig.work();
    let mut late = rig.handle();
    let _drain = late.drain(Duration::MAX);
    reconfigure(&rig, |config| (config.concurrency, config.capacity) = (3, 100));
    rig.work();
    assert_eq!(target.batches().len(), 3);
    assert!(late.poll_ready(&mut Context::from_waker(Waker::noop())).map(|ready| ready.is_err()) == Poll::Ready(true));
    assert_eq!(late.gauge().state(), State::Draining);
}
