//! W: whoever waits is woken by what it waits for, once, and by nothing else.

use std::task::Poll;

use backpressure_channel::{Builder, Demand, Receiver, SendError, Sender, Sent, SinkError};
use backpressure_core::{DropReason, State, Strategy};

use crate::support::{STRATEGIES, SinkPolls, Task, Wakes, blocking, built, config, drained, fill, ignore, now, open};

#[test]
fn w1_a_blocked_producer_is_woken_by_its_latest_waker_only() {
    let (tx, mut rx) = blocking(1);
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    let mut sink = tx.clone();
    let (old, new) = (Wakes::default(), Wakes::default());
    let mut send = Task::new(tx.send(2));
    let mut reserve = Task::new(tx.reserve());
    for wakes in [&old, &new] {
        assert!(send.poll_with(wakes).is_pending());
        assert!(reserve.poll_with(wakes).is_pending());
        assert!(sink.ready(wakes).is_pending());
    }
    assert_eq!((old.kept(), new.kept()), (0, 3));
    assert_eq!(rx.try_recv(), Some(1));
    assert!(send.poll_with(&new).is_ready());
    assert_eq!(rx.try_recv(), Some(2));
    drop(reserve);
    assert!(sink.ready(&new).is_ready());
    assert_eq!((old.count(), new.count()), (0, 3));
}

#[test]
fn w1_a_waiting_receiver_is_woken_by_its_latest_waker_only() {
    let (tx, mut rx) = blocking(1);
    let (old, new) = (Wakes::default(), Wakes::default());
    assert!(old.run(|cx| rx.poll_recv(cx)).is_pending());
    assert!(new.run(|cx| rx.poll_demand(cx, Demand::ANY)).is_pending());
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!((old.count(), new.count(), old.kept()), (0, 1, 0));
}

#[test]
fn w2_one_freed_slot_wakes_one_producer() {
    let (tx, mut rx) = blocking(2);
    fill(&tx, [1, 2]);
    let blocked: Vec<_> = (3..8).map(|n| Task::pending(tx.send(n))).collect();
    assert!(rx.try_recv().is_some());
    let woken = blocked.iter().filter(|task| task.is_woken()).count();
    assert_eq!(woken, 1);
    assert_eq!(rx.try_recv_many(&mut Vec::new(), 1, usize::MAX), 1);
    assert_eq!(blocked.iter().filter(|task| task.is_woken()).count(), 2);
}

#[test]
fn w2_as_many_producers_are_woken_as_slots_were_freed_at_once() {
    let (tx, mut rx) = blocking(4);
    fill(&tx, 0..4);
    let blocked: Vec<_> = (4..10).map(|n| Task::pending(tx.send(n))).collect();
    assert_eq!(now(rx.recv_many(&mut Vec::new(), 3)), 3);
    let woken: Vec<_> = blocked.iter().map(|task| task.wakes.count()).collect();
    assert_eq!(woken, [1, 1, 1, 0, 0, 0]);
}

#[test]
fn w2_every_way_of_freeing_a_slot_wakes_the_next_in_line() {
    type Free = fn(&Sender<u32>, &mut Receiver<u32>);
    let ways: [Free; 5] = [
        |_, rx| ignore(rx.try_recv()),
        |_, rx| ignore(now(rx.recv())),
        |_, rx| ignore(now(rx.recv_many(&mut Vec::new(), 9))),
        |_, rx| drop(drained(rx)),
        |_, rx| drop(rx.evacuate(DropReason::DrainDeadline)),
    ];
    for free in ways {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let mut blocked = Task::pending(tx.send(2));
        free(&tx, &mut rx);
        assert_eq!(blocked.wakes.count(), 1);
        assert!(blocked.poll().is_ready());
    }
}

#[test]
fn w2_one_that_was_given_a_slot_and_is_cancelled_hands_it_on() {
    let (tx, mut rx) = blocking(1);
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    let send = Task::pending(tx.send(2));
    let reserve = Task::pending(tx.reserve());
    let mut sink = tx.clone();
    let sink_wakes = Wakes::default();
    assert!(sink.ready(&sink_wakes).is_pending());
    let mut last = Task::pending(tx.send(3));
    assert_eq!(rx.try_recv(), Some(1));
    assert!(send.is_woken());
    drop(send);
    assert!(reserve.is_woken());
    drop(reserve);
    assert_eq!(sink_wakes.count(), 1);
    drop(sink);
    assert!(last.is_woken());
    assert_eq!(last.poll(), Poll::Ready(Ok(Sent::Accepted)));
}

#[test]
fn w2_a_heavy_waiter_that_leaves_lets_the_lighter_ones_behind_it_in() {
    let config = built(config(10, Strategy::block_forever()).max_weight(10));
    let (tx, _rx) = Builder::new(config).weigh_by(|&weight| weight).build();
    assert_eq!(tx.try_send(6), Ok(Sent::Accepted));
    let heavy = Task::pending(tx.send(9));
    let light: Vec<_> = [2, 2, 2].map(|weight| Task::pending(tx.send(weight))).into();
    drop(heavy);
    assert_eq!(light.iter().map(|task| task.wakes.count()).collect::<Vec<_>>(), [1, 1, 0]);
}

#[test]
fn w2_what_an_item_does_not_need_of_its_slot_goes_to_the_next_in_line() {
    let config = built(config(10, Strategy::block_forever()).max_weight(10));
    let (tx, _rx) = Builder::new(config).weigh_by(|&weight| weight).build();
    fill(&tx, [9]);
    let permit = tx.try_reserve().expect("there is room for one");
    let mut blocked = Task::pending(tx.send(1));
    assert_eq!(permit.send(0), Ok(Sent::Accepted));
    assert_eq!(blocked.wakes.count(), 1);
    assert_eq!(blocked.poll(), Poll::Ready(Ok(Sent::Accepted)));
}

#[test]
fn w3_nothing_is_woken_while_nothing_happens() {
    let (tx, mut rx) = blocking(1);
    let receiver = Wakes::default();
    for _ in 0..3 {
        assert!(receiver.run(|cx| rx.poll_recv(cx)).is_pending());
    }
    assert_eq!(receiver.count(), 0);

    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(receiver.count(), 1);
    let mut sink = tx.clone();
    let sink_wakes = Wakes::default();
    let mut blocked = Task::pending(tx.send(2));
    for _ in 0..3 {
        assert!(blocked.poll().is_pending());
        assert!(sink.ready(&sink_wakes).is_pending());
        assert_eq!(tx.try_send(9), Err(SendError::Full(9)));
    }
    assert_eq!((receiver.count(), sink_wakes.count(), blocked.wakes.count()), (1, 0, 0));
}

#[test]
fn w3_a_receiver_is_woken_once_and_not_for_every_item() {
    let (tx, mut rx) = blocking(100);
    let wakes = Wakes::default();
    assert!(wakes.run(|cx| rx.poll_recv(cx)).is_pending());
    fill(&tx, 0..50);
    assert_eq!(wakes.count(), 1);
}

#[test]
fn w3_a_receiver_that_asks_for_a_batch_is_woken_by_a_whole_one() {
    let (tx, mut rx) = blocking(200);
    let wakes = Wakes::default();
    let batch = Demand { items: 100, weight: usize::MAX };
    assert!(wakes.run(|cx| rx.poll_demand(cx, batch)).is_pending());
    for n in 0..99 {
        assert_eq!(tx.try_send(n), Ok(Sent::Accepted));
        assert_eq!(wakes.count(), 0, "after item {n}");
    }
    fill(&tx, 99..150);
    assert_eq!(wakes.count(), 1);
    assert!(wakes.run(|cx| rx.poll_demand(cx, batch)).is_ready());
    assert_eq!(rx.backlog().items, 150, "asking takes nothing");
}

#[test]
fn w3_a_demand_may_be_a_weight() {
    let config = built(config(100, Strategy::Reject).max_weight(100));
    let (tx, mut rx) = Builder::new(config).weigh_by(|&weight| weight).build();
    let wakes = Wakes::default();
    assert!(wakes.run(|cx| rx.poll_demand(cx, Demand { items: 50, weight: 10 })).is_pending());
    assert_eq!(tx.try_send(9), Ok(Sent::Accepted));
    assert_eq!(wakes.count(), 0);
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(wakes.count(), 1);
}

#[test]
fn w2_a_producer_that_has_to_wait_meets_any_demand_for_what_is_there() {
    let config = built(config(100, Strategy::block_forever()).max_weight(10));
    let (tx, mut rx) = Builder::new(config).weigh_by(|&weight| weight).build();
    let (wakes, batch) = (Wakes::default(), Demand { items: 50, weight: usize::MAX });
    assert!(wakes.run(|cx| rx.poll_demand(cx, batch)).is_pending());
    fill(&tx, [6]);
    assert_eq!(wakes.count(), 0);
    let blocked = Task::pending(tx.send(5));
    assert_eq!(wakes.count(), 1, "or each would wait for the other for ever");
    assert!(rx.backlog().producers_wait);
    assert!(wakes.run(|cx| rx.poll_demand(cx, batch)).is_ready());
    drop(blocked);
    assert!(!rx.backlog().producers_wait);
    assert!(wakes.run(|cx| rx.poll_demand(cx, batch)).is_pending());

    drained(&mut rx);
    let permit = [(); 10].map(|()| tx.try_reserve().expect("there is room for ten"));
    let blocked = Task::pending(tx.send(5));
    assert_eq!(wakes.count(), 1, "there is nothing to take: the producer waits for other producers");
    drop((permit, blocked));
}

#[test]
fn w3_the_latest_demand_counts() {
    let (tx, mut rx) = blocking(10);
    let wakes = Wakes::default();
    assert!(wakes.run(|cx| rx.poll_demand(cx, Demand { items: 5, weight: usize::MAX })).is_pending());
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert!(wakes.run(|cx| rx.poll_demand(cx, Demand { items: 2, weight: usize::MAX })).is_pending());
    assert_eq!(tx.try_send(2), Ok(Sent::Accepted));
    assert_eq!(wakes.count(), 1);
}

#[test]
fn w4_closing_or_dropping_the_receiver_wakes_every_producer_once() {
    for close in [true, false] {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(0), Ok(Sent::Accepted));
        let mut sends: Vec<_> = (1..4).map(|n| Task::pending(tx.send(n))).collect();
        let mut reserve = Task::pending(tx.reserve());
        let mut sink = tx.clone();
        let sink_wakes = Wakes::default();
        assert!(sink.ready(&sink_wakes).is_pending());
        if close {
            rx.close();
        } else {
            drop(rx);
        }
        for (n, task) in (1..).zip(&mut sends) {
            assert_eq!(task.wakes.count(), 1);
            assert_eq!(task.poll(), Poll::Ready(Err(SendError::Closed(n))));
        }
        assert_eq!((reserve.wakes.count(), sink_wakes.count()), (1, 1));
        assert!(matches!(reserve.poll(), Poll::Ready(Err(SendError::Closed(())))));
        assert_eq!(sink.ready(&sink_wakes), Poll::Ready(Err(SinkError::Closed(None))));
        assert_eq!(tx.gauge().snapshot().producers_waiting, 0);
    }
}

#[test]
fn w4_the_end_wakes_a_receiver_whatever_it_asked_for() {
    let (tx, mut rx) = blocking::<u32>(100);
    let wakes = Wakes::default();
    let batch = Demand { items: 100, weight: usize::MAX };
    assert!(wakes.run(|cx| rx.poll_demand(cx, batch)).is_pending());
    let other = tx.clone();
    drop(tx);
    assert_eq!(wakes.count(), 0, "there is another sender");
    drop(other);
    assert_eq!(wakes.count(), 1);
    assert!(wakes.run(|cx| rx.poll_demand(cx, batch)).is_ready());
}

#[test]
fn w4_whoever_watches_the_state_is_woken_by_every_edge_and_by_the_end() {
    for strategy in STRATEGIES {
        let (tx, mut rx) = open(2, strategy);
        let gauge = tx.gauge();
        let mut edge = Task::pending(gauge.changed());
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        assert_eq!(edge.poll(), Poll::Ready(State::Elevated), "{strategy}");
        let mut edge = Task::pending(gauge.changed());
        ignore(rx.try_recv());
        assert_eq!((edge.wakes.count(), edge.poll()), (1, Poll::Ready(State::Normal)));
        let mut edge = Task::pending(gauge.changed());
        drop(rx);
        assert_eq!((edge.wakes.count(), edge.poll()), (1, Poll::Ready(State::Draining)));
    }
}
