//! Bounds and strategy of a channel that is in use.

use std::task::Poll;

use backpressure_channel::{Builder, SendError, Sent, SinkError};
use backpressure_core::{BackpressureConfig, DropReason, Oversize, State, Strategy};

use crate::support::{Losses, READY, SinkPolls, Task, Wakes, balanced, blocking, built, config, drained, fill, open};

fn bounds(capacity: usize, strategy: Strategy) -> BackpressureConfig {
    built(config(capacity, strategy))
}

#[test]
fn r3_growing_wakes_as_many_senders_as_now_fit() {
    let (tx, mut rx) = blocking(1);
    fill(&tx, [0]);
    let mut senders = [1, 2, 3, 4].map(|n| Task::pending(tx.send(n)));
    tx.handle().reconfigure(bounds(3, Strategy::block_forever())).unwrap();
    assert_eq!(senders.each_ref().map(Task::is_woken), [true, true, false, false]);
    assert_eq!((tx.gauge().state(), tx.gauge().snapshot().capacity), (State::Blocked, 3));
    assert!(senders[..2].iter_mut().all(|sender| sender.poll() == Poll::Ready(Ok(Sent::Accepted))));
    assert_eq!(drained(&mut rx), [0, 1, 2]);
    assert!(senders[2..].iter_mut().all(|sender| sender.poll() == Poll::Ready(Ok(Sent::Accepted))));
    assert_eq!(drained(&mut rx), [3, 4]);
}

#[test]
fn r2_shrinking_loses_nothing_and_admits_nothing_until_it_fits() {
    let (tx, mut rx) = blocking(4);
    fill(&tx, 0..4);
    let handle = rx.handle();
    handle.reconfigure(bounds(2, Strategy::block_forever())).unwrap();
    assert_eq!((tx.gauge().state(), tx.gauge().utilization()), (State::Blocked, 2.0));
    let mut sender = Task::pending(tx.send(9));
    for n in 0..3 {
        assert_eq!((rx.try_recv(), sender.is_woken()), (Some(n), n == 2), "two are left, then one");
        assert_eq!(tx.try_send(7), Err(SendError::Full(7)));
        assert_eq!(tx.gauge().state(), State::Blocked);
    }
    assert_eq!(sender.poll(), Poll::Ready(Ok(Sent::Accepted)));
    assert_eq!(drained(&mut rx), [3, 9]);
    assert_eq!(balanced(&tx.gauge()).rejected, 3);
}

#[test]
fn r2_an_offer_that_evicts_makes_all_the_room_that_the_smaller_bound_asks_for() {
    let losses = Losses::new();
    let (tx, mut rx) = Builder::new(bounds(4, Strategy::DropOldest)).on_drop(losses.hook()).build();
    fill(&tx, 0..4);
    tx.handle().reconfigure(bounds(2, Strategy::DropOldest)).unwrap();
    assert_eq!((losses.take(), rx.backlog().items), (vec![], 4));
    assert!(matches!(tx.try_send(4), Ok(Sent::Evicting(items)) if items.get() == 3));
    assert_eq!(losses.take(), [0, 1, 2].map(|n| (n, DropReason::Evicted)));
    assert_eq!(drained(&mut rx), [3, 4]);
    balanced(&tx.gauge());
}

#[test]
fn r3_senders_that_wait_are_offered_again_under_a_strategy_that_does_not_wait() {
    for (strategy, answer) in [
        (Strategy::DropNewest, Ok(Sent::Dropped(DropReason::Overflow))),
        (Strategy::Reject, Err(SendError::Full(2))),
        (Strategy::DropOldest, Ok(Sent::Evicting(std::num::NonZeroUsize::MIN))),
    ] {
        let (tx, mut rx) = blocking(1);
        fill(&tx, [1]);
        let mut sender = Task::pending(tx.send(2));
        let mut reserve = Task::pending(tx.reserve());
        tx.handle().reconfigure(bounds(1, strategy)).unwrap();
        assert!(sender.is_woken() && reserve.is_woken());
        assert_eq!(sender.poll(), Poll::Ready(answer), "{strategy}");
        assert!(reserve.poll().is_ready(), "it holds nothing");
        assert_eq!(tx.gauge().snapshot().producers_waiting, 0);
        assert_eq!(drained(&mut rx).len(), 1);
        balanced(&tx.gauge());
    }
}

#[test]
fn r3_one_that_was_sent_away_waits_again_if_it_is_to_wait_by_then() {
    let (tx, mut rx) = blocking(1);
    fill(&tx, [1]);
    let mut sender = Task::pending(tx.send(2));
    let handle = tx.handle();
    handle.reconfigure(bounds(1, Strategy::Reject)).unwrap();
    handle.reconfigure(bounds(1, Strategy::block_forever())).unwrap();
    assert!(sender.poll().is_pending());
    assert_eq!(tx.gauge().snapshot().producers_waiting, 1);
    assert_eq!(rx.try_recv(), Some(1));
    assert_eq!(sender.poll(), Poll::Ready(Ok(Sent::Accepted)));
}

#[test]
fn r3_an_item_that_can_never_be_admitted_any_more_comes_back() {
    let weighed = |max| built(config(9, Strategy::block_forever()).max_weight(max).oversize(Oversize::Refuse));
    let (tx, _rx) = Builder::new(weighed(8)).weigh_by(|n: &usize| *n).build();
    fill(&tx, [5]);
    let mut heavy = Task::pending(tx.send(6));
    let mut light = Task::pending(tx.send(4));
    let mut sink = tx.clone();
    let wakes = Wakes::default();
    tx.handle().reconfigure(weighed(5)).unwrap();
    assert_eq!((heavy.is_woken(), light.is_woken()), (true, false));
    assert_eq!(heavy.poll(), Poll::Ready(Err(SendError::Full(6))));
    assert!(sink.ready(&wakes).is_pending(), "the line is not empty");
    assert!(light.poll().is_pending());
}

#[test]
fn r3_a_sink_that_waits_is_ready_under_a_strategy_that_does_not_wait() {
    let (tx, _rx) = blocking(1);
    fill(&tx, [1]);
    let (mut sink, wakes) = (tx.clone(), Wakes::default());
    assert!(sink.ready(&wakes).is_pending());
    tx.handle().reconfigure(bounds(1, Strategy::Reject)).unwrap();
    assert_eq!((wakes.count(), sink.ready(&wakes)), (1, READY));
    assert_eq!(sink.start(2), Err(SinkError::Full(2)));
}

#[test]
fn r3_an_item_that_a_sink_holds_outside_is_offered_again() {
    let weighed = |strategy| built(config(9, strategy).max_weight(4));
    let losses = Losses::new();
    let (tx, _rx) =
        Builder::new(weighed(Strategy::block_forever())).weigh_by(|n: &u32| *n as usize).on_drop(losses.hook()).build();
    fill(&tx, [3]);
    let (mut sink, wakes) = (tx.clone(), Wakes::default());
    assert_eq!(sink.ready(&wakes), READY);
    assert_eq!(sink.start(2), Ok(()));
    assert!(sink.flush(&wakes).is_pending(), "too heavy beside the other");
    tx.handle().reconfigure(weighed(Strategy::DropNewest)).unwrap();
    assert_eq!((wakes.count(), sink.flush(&wakes)), (1, READY));
    assert_eq!(losses.take(), [(2, DropReason::Overflow)]);
    balanced(&tx.gauge());
}

#[test]
fn r4_permits_and_ready_sinks_are_good_in_a_channel_that_became_smaller() {
    let (tx, mut rx) = blocking(3);
    let (permit, other) = (tx.try_reserve().unwrap(), tx.try_reserve().unwrap());
    let (mut sink, wakes) = (tx.clone(), Wakes::default());
    assert_eq!(sink.ready(&wakes), READY);
    tx.handle().reconfigure(bounds(1, Strategy::DropNewest)).unwrap();
    assert_eq!(permit.send(1), Ok(Sent::Accepted));
    assert_eq!(sink.start(2), Ok(()));
    assert_eq!(tx.try_send(9), Ok(Sent::Dropped(DropReason::Overflow)));
    drop(other);
    assert_eq!(drained(&mut rx), [1, 2]);
    assert_eq!(tx.try_send(3), Ok(Sent::Accepted));
}

#[test]
fn r1_what_is_refused_changes_nothing() {
    let (tx, _rx) = open::<u32>(2, Strategy::Reject);
    let handle = tx.handle();
    let error = handle.reconfigure(built(config(5, Strategy::block()).max_weight(9))).unwrap_err();
    assert_eq!(error.field(), "max_weight");
    assert_eq!(handle.config(), bounds(2, Strategy::Reject));
    let snapshot = tx.gauge().snapshot();
    assert_eq!((snapshot.capacity, snapshot.max_weight, snapshot.strategy), (2, None, Strategy::Reject));
}

#[test]
fn t6_a_handle_keeps_no_channel_open() {
    let (tx, mut rx) = blocking::<u32>(1);
    let handle = tx.handle();
    drop(tx);
    assert!(Task::new(rx.recv()).finish().is_none());
    handle.reconfigure(bounds(7, Strategy::Reject)).unwrap();
    assert_eq!(handle.gauge().state(), State::Draining);
}

#[test]
fn w5_a_waker_may_reconfigure() {
    let (tx, mut rx) = blocking(1);
    fill(&tx, [1]);
    let handle = tx.handle();
    let mut sender = Task::pending(tx.send(2));
    let nested = handle.clone();
    let waker = std::sync::Arc::new(Calls(move || nested.reconfigure(bounds(5, Strategy::block_forever())).unwrap()));
    let mut other = Task::new(tx.send(3));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(other.poll_by(&std::task::Waker::from(waker)).is_pending());
    assert_eq!(rx.poll_recv(&mut cx), Poll::Ready(Some(1)));
    assert_eq!(sender.poll(), Poll::Ready(Ok(Sent::Accepted)));
    handle.reconfigure(bounds(2, Strategy::block_forever())).unwrap();
    assert_eq!(tx.gauge().snapshot().capacity, 5);
}

struct Calls<F>(F);

impl<F: Fn() + Send + Sync> std::task::Wake for Calls<F> {
    fn wake(self: std::sync::Arc<Self>) {
        (self.0)();
    }
}
