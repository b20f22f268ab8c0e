//! D: the bound is strict, and Ready reserves.

use std::time::Duration;

use backpressure_channel::{Builder, Demand, SendError, Sent, channel};
use backpressure_core::{BackpressureConfig, Oversize, State, Strategy};

use crate::support::{
    READY, STRATEGIES, SinkPolls, Task, Wakes, balanced, blocking, built, config, drained, now, open,
};

#[test]
fn d3_queued_and_reserved_slots_together_never_exceed_the_capacity() {
    let (tx, mut rx) = blocking(3);
    let gauge = tx.gauge();
    let mut sink = tx.clone();
    let wakes = Wakes::default();

    assert_eq!(sink.ready(&wakes), READY);
    let permit = tx.try_reserve().expect("two slots are free");
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!((gauge.utilization(), gauge.state()), (1.0, State::Blocked));

    assert_eq!(tx.try_send(2), Err(SendError::Full(2)));
    assert!(tx.try_reserve().is_err());
    let mut blocked = Task::pending(tx.send(3));

    assert_eq!(sink.start(4), Ok(()));
    assert_eq!(permit.send(5), Ok(Sent::Accepted));
    assert_eq!((rx.backlog().items, gauge.utilization()), (3, 1.0));
    assert!(blocked.poll().is_pending());
    assert_eq!(rx.try_recv(), Some(1));
    assert_eq!((rx.backlog().items, gauge.utilization()), (2, 1.0), "the freed slot is the blocked sender's");
}

#[test]
fn d3_no_strategy_lets_the_channel_hold_more_than_its_capacity() {
    for strategy in STRATEGIES {
        let (tx, rx) = open(7, strategy);
        let mut most = 0;
        for n in 0..100 {
            let _ = tx.try_send(n);
            most = most.max(rx.backlog().items);
            assert!(tx.gauge().utilization() <= 1.0, "{strategy}");
        }
        assert_eq!(most, 7, "{strategy}");
    }
}

#[test]
fn d3_weight_keeps_its_bound_as_well() {
    for strategy in STRATEGIES {
        let (tx, rx) =
            Builder::new(built(config(100, strategy).max_weight(10))).weigh_by(|&weight: &usize| weight).build();
        for weight in [3, 3, 3, 3, 1, 10, 2, 7, 4, 0, 9] {
            let _ = tx.try_send(weight);
            assert!(rx.backlog().weight <= 10, "{strategy}: {:?} after {weight}", rx.backlog());
            assert!(tx.gauge().utilization() <= 1.0, "{strategy}");
        }
    }
}

#[test]
fn d3_an_oversize_item_is_held_alone_or_refused_as_configured() {
    let alone = Builder::new(built(config(10, Strategy::Reject).max_weight(10))).weigh_by(|&weight| weight);
    let (tx, mut rx) = alone.build();
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(tx.try_send(99), Err(SendError::Full(99)), "not beside another");
    assert_eq!(rx.try_recv(), Some(1));
    assert_eq!(tx.try_send(99), Ok(Sent::Accepted));
    assert_eq!(tx.try_send(0), Err(SendError::Full(0)), "nothing beside it");
    assert_eq!(tx.gauge().state(), State::Blocked);

    let refuse = built(config(10, Strategy::block_forever()).max_weight(10).oversize(Oversize::Refuse));
    let (tx, _rx) = Builder::new(refuse).weigh_by(|&weight| weight).build();
    assert_eq!(tx.try_send(11), Err(SendError::Full(11)));
    assert_eq!(now(tx.send(11)), Err(SendError::Full(11)), "waiting would be of no use");
}

#[test]
fn d3_a_permit_is_for_weight_one_and_a_heavier_item_needs_room_for_the_rest() {
    let (tx, mut rx) =
        Builder::new(built(config(10, Strategy::block_forever()).max_weight(4))).weigh_by(|&w| w).build();
    let permit = tx.try_reserve().expect("empty");
    assert_eq!(tx.try_send(3), Ok(Sent::Accepted));
    assert_eq!(tx.try_send(1), Err(SendError::Full(1)), "three queued and one reserved make four");
    assert_eq!(permit.send(2), Err(SendError::Full(2)));
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted), "the refused permit gave its slot back");
    assert_eq!(drained(&mut rx), [3, 1]);
    assert_eq!(tx.try_reserve().expect("empty").send(4), Ok(Sent::Accepted));
}

#[test]
fn d4_a_ready_sink_holds_exactly_one_slot_however_often_it_is_polled() {
    let (tx, _rx) = blocking(2);
    let mut sink = tx.clone();
    let wakes = Wakes::default();
    for _ in 0..3 {
        assert_eq!(sink.ready(&wakes), READY);
    }
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(tx.try_send(2), Err(SendError::Full(2)));
    assert_eq!(sink.start(3), Ok(()), "nobody can take a reserved slot");
}

#[test]
fn d4_a_ready_sink_that_is_dropped_or_closed_gives_its_slot_to_the_next_in_line() {
    for close in [false, true] {
        let (tx, _rx) = blocking(1);
        let mut sink = tx.clone();
        let wakes = Wakes::default();
        assert_eq!(sink.ready(&wakes), READY);
        let mut blocked = Task::pending(tx.send(1));
        if close {
            assert_eq!(sink.close(&wakes), READY);
        } else {
            drop(sink);
        }
        assert!(blocked.is_woken());
        assert!(blocked.poll().is_ready());
    }
}

#[test]
fn d4_a_permit_holds_exactly_one_slot_and_gives_it_back_when_dropped() {
    let (tx, _rx) = blocking(1);
    let permit = now(tx.reserve()).expect("there is room");
    assert_eq!(tx.try_send(1), Err(SendError::Full(1)));
    let next = Task::pending(tx.reserve());
    drop(permit);
    assert!(next.is_woken());
    let permit = next.finish().expect("its turn has come");
    assert_eq!(tx.try_send(2), Err(SendError::Full(2)), "served, so the slot is held for it");
    assert_eq!(permit.send(3), Ok(Sent::Accepted));
    assert_eq!(tx.try_send(4), Err(SendError::Full(4)));
}

#[test]
fn d4_without_blocking_a_sink_is_ready_whatever_the_depth_and_nothing_is_reserved() {
    for strategy in STRATEGIES.into_iter().skip(1) {
        let (mut tx, mut rx) = open(1, strategy);
        let wakes = Wakes::default();
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        assert_eq!(tx.ready(&wakes), READY, "{strategy}");
        let started = tx.start(2);
        if strategy == Strategy::Reject {
            assert!(started.is_err_and(|error| error.into_inner() == Some(2)));
        } else {
            assert_eq!(started, Ok(()), "{strategy}");
        }
        assert_eq!(rx.backlog().items, 1);
        drained(&mut rx);
        let permit = now(tx.reserve()).expect("a permit that holds nothing is to be had at once");
        assert_eq!(tx.try_send(3).map(Sent::is_accepted), Ok(true), "{strategy}: the permit holds no slot");
        drop(permit);
    }
}

#[test]
fn d5_one_call_takes_no_more_than_it_was_asked_for() {
    let config = built(config(100, Strategy::Reject).max_weight(1000));
    let (tx, mut rx) = Builder::new(config).weigh_by(|&weight: &usize| weight).build();
    (0..50).for_each(|_| assert_eq!(tx.try_send(10), Ok(Sent::Accepted)));
    let mut out = Vec::new();
    assert_eq!(now(rx.recv_many(&mut out, 7)), 7);
    assert_eq!(rx.try_recv_many(&mut out, 7, 50), 5, "five times ten is fifty");
    assert_eq!(rx.try_recv_many(&mut out, 7, 9), 1, "one that alone weighs more goes alone");
    assert_eq!(rx.try_recv_many(&mut out, 0, 50), 0);
    assert_eq!((out.len(), rx.backlog().items), (13, 37));
}

#[test]
fn d6_bounds_and_demands_at_their_maxima_are_just_large() {
    let config = BackpressureConfig::builder().capacity(usize::MAX).max_weight(usize::MAX);
    let (tx, mut rx) = Builder::new(built(config)).weigh_by(|&weight| weight).build();
    assert_eq!(tx.try_send(usize::MAX), Ok(Sent::Accepted));
    assert_eq!(tx.gauge().state(), State::Blocked);
    assert_eq!(tx.try_send(1), Err(SendError::Full(1)), "the weight does not wrap around");
    assert_eq!(tx.try_send(0), Ok(Sent::Accepted));

    let wakes = Wakes::default();
    let most = Demand { items: usize::MAX, weight: usize::MAX };
    assert!(wakes.run(|cx| rx.poll_demand(cx, most)).is_ready(), "the weight is there");
    let mut out = Vec::new();
    assert_eq!(now(rx.recv_many(&mut out, usize::MAX)), 2);
    assert!(wakes.run(|cx| rx.poll_demand(cx, most)).is_pending());
}

#[test]
fn d6_receiving_nothing_is_done_at_once() {
    let (tx, mut rx) = blocking::<u32>(1);
    assert_eq!(now(rx.recv_many(&mut Vec::new(), 0)), 0);
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(now(rx.recv_many(&mut Vec::new(), 0)), 0);
    assert_eq!(rx.backlog().items, 1);
}

#[test]
fn d6_a_demand_of_nothing_is_met_by_one_item_and_not_by_none() {
    let (tx, mut rx) = blocking(4);
    let wakes = Wakes::default();
    let nothing = Demand { items: 0, weight: 0 };
    assert!(wakes.run(|cx| rx.poll_demand(cx, nothing)).is_pending());
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(wakes.count(), 1);
    assert!(wakes.run(|cx| rx.poll_demand(cx, nothing)).is_ready());
}

#[test]
fn d6_a_zero_wait_hands_back_at_once_and_leaves_nothing_behind() {
    let (tx, mut rx) = open(1, Strategy::Block { max_wait: Duration::ZERO });
    assert_eq!(now(tx.send(1)), Ok(Sent::Accepted));
    assert_eq!(now(tx.send(2)), Err(SendError::TimedOut(2)));
    assert_eq!(now(tx.reserve()).err(), Some(SendError::TimedOut(())));
    assert_eq!(tx.gauge().snapshot().producers_waiting, 0);
    assert_eq!(rx.try_recv(), Some(1));
    assert_eq!(tx.try_send(3), Ok(Sent::Accepted), "no slot went to those who left");
    assert_eq!(balanced(&tx.gauge()).rejected, 1, "a reservation has no item that could be rejected");
}

#[test]
fn d7_a_channel_without_room_cannot_be_configured() {
    for config in [config(0, Strategy::Reject), config(1, Strategy::Reject).max_weight(0)] {
        assert!(config.build().is_err());
    }
    let (tx, _rx) = channel(built(config(1, Strategy::Reject).max_weight(1)));
    assert_eq!(tx.try_send(()), Ok(Sent::Accepted), "one is enough");
}
