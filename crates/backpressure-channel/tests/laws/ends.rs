//! T: the end comes once, after everything that was accepted, and keeps nothing alive.

use std::sync::Arc;
use std::task::Poll;

use backpressure_channel::{Builder, Demand, SendError, Sent, SinkError};
use backpressure_core::{DropReason, State, Strategy};
use futures_core::FusedStream;
use futures_util::StreamExt;

use crate::support::{
    Losses, READY, STRATEGIES, SinkPolls, Task, Wakes, balanced, blocking, built, config, drained, fill, ignore, now,
    open,
};

#[test]
fn t1_what_was_accepted_before_the_end_is_delivered_before_it() {
    for close in [true, false] {
        let (tx, mut rx) = blocking(10);
        let gauge = tx.gauge();
        fill(&tx, 0..3);
        assert_eq!(tx.try_reserve().expect("room").send(3), Ok(Sent::Accepted));
        if close {
            rx.close();
        } else {
            drop(tx);
        }
        assert_eq!(gauge.state(), State::Draining);
        assert_eq!(now(rx.by_ref().collect::<Vec<_>>()), [0, 1, 2, 3]);
    }
}

#[test]
fn t1_closing_the_last_sender_as_a_sink_ends_the_stream() {
    let (mut tx, mut rx) = blocking(10);
    let mut other = tx.clone();
    assert_eq!(now(futures_util::SinkExt::send_all(&mut tx, &mut futures_util::stream::iter((0..3).map(Ok)))), Ok(()));
    let wakes = Wakes::default();
    assert_eq!(tx.close(&wakes), READY);
    assert_eq!(drained(&mut rx), [0, 1, 2]);
    let mut end = Task::pending(rx.recv());
    assert_eq!(now(futures_util::SinkExt::close(&mut other)), Ok(()));
    assert_eq!((end.wakes.count(), end.poll()), (1, Poll::Ready(None)));
}

#[test]
fn t1_a_sender_may_close_the_channel_for_all() {
    let (tx, mut rx) = blocking(1);
    let other = tx.clone();
    fill(&tx, [1]);
    let blocked = Task::pending(other.send(2));
    let watcher = Task::pending(rx.gauge().changed());
    tx.close_channel();
    tx.close_channel();
    assert_eq!((blocked.wakes.count(), blocked.finish()), (1, Err(SendError::Closed(2))));
    assert_eq!(watcher.finish(), State::Draining);
    assert_eq!(other.try_send(3), Err(SendError::Closed(3)));
    assert_eq!((now(rx.recv()), now(rx.recv())), (Some(1), None));
}

#[test]
fn t2_after_the_end_a_receiver_stays_at_its_end() {
    let (tx, mut rx) = blocking(10);
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    drop(tx);
    assert!(!rx.is_terminated());
    assert_eq!(now(rx.recv()), Some(1));
    assert!(rx.is_terminated());
    for _ in 0..3 {
        assert_eq!(now(rx.next()), None);
        assert_eq!(now(rx.recv()), None);
        assert_eq!(now(rx.recv_many(&mut Vec::new(), 5)), 0);
        assert!(Wakes::default().run(|cx| rx.poll_demand(cx, Demand::ANY)).is_ready());
    }
}

#[test]
fn t2_after_its_close_a_sink_takes_nothing_more() {
    for strategy in STRATEGIES {
        let (mut tx, mut rx) = open(10, strategy);
        let _other = tx.clone();
        let wakes = Wakes::default();
        for _ in 0..2 {
            assert_eq!(tx.close(&wakes), READY, "{strategy}");
            assert_eq!(tx.flush(&wakes), READY, "{strategy}");
        }
        assert_eq!(tx.ready(&wakes), Poll::Ready(Err(SinkError::Closed(None))), "{strategy}");
        assert_eq!(tx.start(1), Err(SinkError::Closed(Some(1))), "{strategy}");
        assert_eq!(drained(&mut rx), []);
        assert_eq!(balanced(&rx.gauge()).rejected, 1);
    }
}

#[test]
fn t4_the_end_is_told_to_those_who_have_no_room_and_to_those_who_have_no_demand() {
    let (tx, mut rx) = blocking(2);
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(tx.try_send(2), Ok(Sent::Accepted));
    let blocked = Task::pending(tx.send(3));
    rx.close();
    assert_eq!(blocked.finish(), Err(SendError::Closed(3)), "although the channel is still full");
    let more = Demand { items: 9, weight: usize::MAX };
    assert!(Wakes::default().run(|cx| rx.poll_demand(cx, more)).is_ready(), "although there are only two");
}

#[test]
fn t5_close_and_drop_are_idempotent_and_an_offer_afterwards_comes_back() {
    for strategy in STRATEGIES {
        let losses = Losses::new();
        let (tx, mut rx) = Builder::new(built(config(4, strategy))).on_drop(losses.hook()).build();
        let mut sink = tx.clone();
        let early = tx.try_reserve().expect("room");
        assert_eq!(tx.try_send(0), Ok(Sent::Accepted));
        rx.close();
        rx.close();
        let refused = |n| {
            assert_eq!(tx.try_send(n), Err(SendError::Closed(n)), "{strategy}");
            assert_eq!(now(tx.send(n)), Err(SendError::Closed(n)), "{strategy}");
            assert_eq!(tx.try_reserve().err(), Some(SendError::Closed(())), "{strategy}");
            assert_eq!(now(tx.reserve()).err(), Some(SendError::Closed(())), "{strategy}");
            assert!(tx.is_closed());
        };
        refused(1);
        assert_eq!(early.send(2), Err(SendError::Closed(2)), "{strategy}");
        assert_eq!(sink.ready(&Wakes::default()), Poll::Ready(Err(SinkError::Closed(None))), "{strategy}");
        assert_eq!(sink.start(3), Err(SinkError::Closed(Some(3))), "{strategy}");
        assert_eq!(drained(&mut rx), [0]);
        assert!(rx.is_closed());
        drop(rx);
        refused(4);
        assert_eq!(losses.take(), [], "{strategy}: what comes back is not lost");
        assert_eq!(tx.gauge().state(), State::Draining);
    }
}

#[test]
fn t5_a_sink_whose_channel_ends_while_it_is_ready_gets_its_item_back() {
    let (mut tx, rx) = blocking(1);
    let wakes = Wakes::default();
    assert_eq!(tx.ready(&wakes), READY);
    drop(rx);
    assert_eq!(tx.start(1), Err(SinkError::Closed(Some(1))));
    assert_eq!(tx.ready(&wakes), Poll::Ready(Err(SinkError::Closed(None))));
    assert_eq!(tx.close(&wakes), READY);
}

#[test]
fn t6_what_is_queued_goes_with_the_receiver_and_the_hooks_with_the_last_end() {
    let (item, hook) = (Arc::new(()), Arc::new(()));
    let held = Arc::clone(&hook);
    let (tx, rx) = Builder::new(built(config(4, Strategy::block_forever())))
        .on_drop(move |item, reason| {
            assert_eq!((Arc::strong_count(&held), reason), (2, DropReason::Closed));
            drop(item);
        })
        .build();
    (0..4).for_each(|_| assert_eq!(tx.try_send(Arc::clone(&item)), Ok(Sent::Accepted)));
    let blocked = Task::pending(tx.send(Arc::clone(&item)));
    let gauge = tx.gauge();
    let reporter = rx.reporter();
    assert_eq!(Arc::strong_count(&item), 6);
    drop(rx);
    assert_eq!(Arc::strong_count(&item), 2, "the blocked one is its producer's");
    drop(blocked);
    assert_eq!((Arc::strong_count(&item), Arc::strong_count(&hook)), (1, 2));
    drop(tx);
    assert_eq!(Arc::strong_count(&hook), 1, "neither a gauge nor a reporter keeps the channel alive");
    assert_eq!(balanced(&gauge).received, 4);
    reporter.notify();
}

#[test]
fn t6_no_waker_outlives_its_waiter() {
    let (tx, mut rx) = blocking(1);
    let wakes = Wakes::default();
    assert!(wakes.run(|cx| rx.poll_recv(cx)).is_pending());
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(wakes.kept(), 0, "woken and gone");

    let mut send = Task::new(tx.send(2));
    let mut reserve = Task::new(tx.reserve());
    let mut sink = tx.clone();
    assert!(send.poll_with(&wakes).is_pending());
    assert!(reserve.poll_with(&wakes).is_pending());
    assert!(sink.ready(&wakes).is_pending());
    assert_eq!(wakes.kept(), 3);
    drop((send, reserve, sink));
    assert_eq!(wakes.kept(), 0);

    ignore(rx.try_recv());
    assert!(wakes.run(|cx| rx.poll_recv(cx)).is_pending());
    assert_eq!(wakes.kept(), 1);
    drop(rx);
    assert_eq!(wakes.kept(), 0);
}

#[test]
fn t6_a_watcher_of_the_state_that_is_dropped_leaves_no_waker() {
    let (tx, _rx) = blocking::<u32>(1);
    let wakes = Wakes::default();
    let gauge = tx.gauge();
    let mut changed = Task::new(gauge.changed());
    assert!(changed.poll_with(&wakes).is_pending());
    assert_eq!(wakes.kept(), 1);
    drop(changed);
    assert_eq!(wakes.kept(), 0);
}
