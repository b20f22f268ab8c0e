//! Bounds and strategy of a sink that is in use.

use std::sync::{Arc, Mutex};
use std::task::Poll;

use backpressure_core::{BackpressureConfig, DropReason, Oversize, State, Strategy};
use backpressure_sink::{BackpressureSinkError, BackpressureSinkExt};

use crate::kit::{Poke, Probe, Task, config, poll};

fn bounds(capacity: usize, strategy: Strategy) -> BackpressureConfig {
    config(|c| c.capacity(capacity).batch_items(1).strategy(strategy))
}

fn weighed(max: usize, strategy: Strategy, oversize: Oversize) -> BackpressureConfig {
    config(|c| c.capacity(9).max_weight(max).strategy(strategy).oversize(oversize))
}

#[test]
fn r3_a_producer_that_waits_is_woken_once_and_let_in_by_a_larger_bound() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = probe.clone().bounded(bounds(1, Strategy::block()));
    let handle = sink.handle();
    assert!(sink.offer(1, &task).is_ready());
    assert!(sink.ready(&task).is_pending());
    handle.reconfigure(bounds(2, Strategy::block())).unwrap();
    assert_eq!(task.wakes(), 1);
    assert!(sink.offer(2, &task).is_ready() && sink.ready(&task).is_pending());
    assert_eq!((handle.gauge().snapshot().capacity, handle.gauge().snapshot().counts.queued), (2, 2));
    probe.assert_lawful();
}

#[test]
fn r2_a_smaller_bound_takes_nothing_until_what_is_queued_fits() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = probe.clone().bounded(bounds(3, Strategy::block()));
    let handle = sink.handle();
    (0..3).for_each(|n| assert!(sink.offer(n, &task).is_ready()));
    handle.reconfigure(bounds(1, Strategy::block())).unwrap();
    for _ in 0..2 {
        assert!(sink.ready(&task).is_pending());
        assert_eq!(handle.gauge().state(), State::Blocked);
        probe.make_room(1);
    }
    assert!(sink.ready(&task).is_pending(), "one is queued");
    probe.make_room(1);
    assert!(sink.offer(3, &task).is_ready());
    assert_eq!(sink.take_remainder(), [3]);
    assert_eq!(probe.got(), [0, 1, 2]);
}

#[test]
fn r3_a_strategy_that_does_not_wait_is_ready_at_once() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let mut sink = probe.bounded(bounds(1, Strategy::block()));
    let handle = sink.handle();
    assert!(sink.offer(1, &task).is_ready() && sink.ready(&task).is_pending());
    handle.reconfigure(bounds(1, Strategy::Reject)).unwrap();
    assert!(matches!(sink.offer(2, &task), Poll::Ready(Err(BackpressureSinkError::Full(2)))));
    let counts = handle.gauge().snapshot().counts;
    assert_eq!((counts.rejected, handle.gauge().snapshot().producers_waiting), (1, 0));
}

#[test]
fn r4_an_item_that_is_held_outside_keeps_its_claim_under_any_strategy() {
    for strategy in [Strategy::DropOldest, Strategy::DropNewest, Strategy::Sample { one_in: 2 }, Strategy::Reject] {
        let (probe, task) = (Probe::with_room(0), Task::new());
        let block = weighed(4, Strategy::block(), Oversize::AdmitAlone);
        let mut sink = probe.clone().bounded(block).weigh_by(|n: &usize| *n);
        let handle = sink.handle();
        assert!(sink.offer(3, &task).is_ready() && sink.offer(4, &task).is_ready());
        handle.reconfigure(weighed(5, strategy, Oversize::AdmitAlone)).unwrap();
        assert!(sink.ready(&task).is_pending(), "{strategy}: it is still outside");
        probe.make_room(1);
        assert!(sink.ready(&task).is_ready());
        assert_eq!((probe.got(), sink.take_remainder()), (vec![3], vec![4]));
        let counts = handle.gauge().snapshot().counts;
        assert!(counts.balances() && counts.evicted() == 0, "{counts:?}");
    }
}

#[test]
fn c3_an_item_that_is_held_outside_and_can_never_enter_any_more_goes_to_the_hook() {
    let (probe, task) = (Probe::with_room(0), Task::new());
    let lost = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&lost);
    let mut sink = probe
        .bounded(weighed(4, Strategy::block(), Oversize::Refuse))
        .weigh_by(|n: &usize| *n)
        .on_drop(move |item, reason| hook.lock().unwrap().push((item, reason)));
    let handle = sink.handle();
    assert!(sink.offer(3, &task).is_ready() && sink.offer(4, &task).is_ready());
    handle.reconfigure(weighed(3, Strategy::block(), Oversize::Refuse)).unwrap();
    assert!(sink.ready(&task).is_pending(), "full by weight");
    assert_eq!(*lost.lock().unwrap(), [(4, DropReason::Overflow)]);
    let counts = handle.gauge().snapshot().counts;
    assert!(counts.balances() && counts.received == 2, "{counts:?}");
}

#[test]
fn r3_a_driven_sink_is_woken_and_let_in_too() {
    let (probe, task, drives) = (Probe::with_room(0), Task::new(), Task::new());
    let mut sink = probe.clone().bounded(bounds(1, Strategy::block()));
    let handle = sink.handle();
    let (mut driven, mut driver) = sink.drive();
    assert!(driven.offer(1, &task).is_ready() && poll(&mut driver, &drives).is_pending());
    assert!(driven.ready(&task).is_pending());
    handle.reconfigure(bounds(2, Strategy::block())).unwrap();
    assert_eq!(task.wakes(), 1);
    assert!(driven.offer(2, &task).is_ready() && driven.ready(&task).is_pending());
    handle.reconfigure(bounds(1, Strategy::block())).unwrap();
    assert!(driven.ready(&task).is_pending());
    probe.make_room(1);
    assert!(poll(&mut driver, &drives).is_pending() && driven.ready(&task).is_pending(), "one is queued");
    probe.make_room(1);
    assert!(poll(&mut driver, &drives).is_pending() && driven.ready(&task).is_ready());
    assert_eq!(probe.got(), [1, 2]);
}

#[cfg(feature = "time")]
mod timed {
    use std::time::Duration;

    use backpressure_core::Capacity;
    use tokio::time::advance;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn timed(strategy: Strategy) -> BackpressureConfig {
        let capacity = Capacity::within(100 * MS).floor(4).ceiling(1_000);
        config(|c| c.capacity_within(capacity).batch_items(1).strategy(strategy))
    }

    #[tokio::test(start_paused = true)]
    async fn q1_the_capacity_follows_what_the_inner_sink_takes() {
        let (probe, task) = (Probe::with_room(0), Task::new());
        let mut sink = probe.clone().bounded(timed(Strategy::block()));
        let gauge = sink.gauge();
        for (pace, items) in [(MS, 100), (MS / 5, 500), (10 * MS, 10)] {
            for _ in 0..2 * gauge.snapshot().capacity + 4 * items {
                while sink.offer(1, &task).is_ready() {}
                advance(pace).await;
                probe.make_room(1);
            }
            let capacity = gauge.snapshot().capacity;
            assert!(capacity.abs_diff(items) <= items / 10, "{capacity} at {pace:?}");
        }
        probe.assert_lawful();
    }

    #[tokio::test(start_paused = true)]
    async fn q1_r3_a_driven_sink_lets_its_producer_in_as_the_capacity_grows() {
        let (probe, task, drives) = (Probe::with_room(0), Task::new(), Task::new());
        let (mut driven, mut driver) = probe.clone().bounded(timed(Strategy::block())).drive();
        for _ in 0..200 {
            while driven.offer(1, &task).is_ready() {}
            task.wakes();
            advance(MS).await;
            probe.make_room(1);
            assert!(poll(&mut driver, &drives).is_pending());
            let room = driven.gauge().utilization() < 1.0;
            assert_eq!(task.wakes() > 0, room, "woken when there is room, and only then");
        }
        assert!(driven.gauge().snapshot().capacity >= 90);
    }
}
