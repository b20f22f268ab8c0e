//! Slots that are kept without an item: by a permit, for however long, or by a sink that is ready and sends nothing.

use std::task::Poll;

use backpressure_channel::{Receiver, Sender, Sent, channel};
use backpressure_core::{BackpressureConfig, Strategy};

use crate::support::{READY, SinkPolls, Task, Wakes, balanced, drained, now};

const ACCEPTED: Poll<Result<Sent, backpressure_channel::SendError<usize>>> = Poll::Ready(Ok(Sent::Accepted));

/// Items weigh what they say, up to 10 together; one that weighs more is admitted alone. Blocks for as long as it takes.
pub(crate) fn weighed() -> (Sender<usize>, Receiver<usize>) {
    let config = BackpressureConfig::builder().capacity(100).max_weight(10).strategy(Strategy::block_forever());
    backpressure_channel::Builder::new(config.build().unwrap()).weigh_by(|weight: &usize| *weight).build()
}

#[test]
fn w4_a_permit_that_was_forgotten_stops_only_the_item_that_it_leaves_no_room_for() {
    for heavy in [20, 10] {
        let (tx, mut rx) = weighed();
        std::mem::forget(tx.try_reserve().unwrap());
        let mut waits = Task::pending(tx.send(heavy));
        for _ in 0..9 {
            assert_eq!(now(tx.send(1)), Ok(Sent::Accepted), "there is room");
        }
        let mut next = Task::pending(tx.send(1));
        assert_eq!(rx.try_recv(), Some(1));
        assert!(next.is_woken());
        assert_eq!(next.poll(), ACCEPTED);
        assert_eq!(drained(&mut rx).len(), 9);
        assert_eq!(tx.try_send(3), Ok(Sent::Accepted));
        assert_eq!(now(tx.reserve()).map(drop), Ok(()));
        assert_eq!(now(tx.send_many(&mut vec![1, 2])).map(|sent| sent.accepted), Ok(2));
        assert!(waits.poll().is_pending() && !waits.is_woken());
        drop(waits);
        balanced(&tx.gauge());
    }
}

#[test]
fn o4_once_the_permit_is_back_nobody_passes_the_heavy_item_any_more() {
    for use_it in [true, false] {
        let (tx, mut rx) = weighed();
        let permit = tx.try_reserve().unwrap();
        let mut waits = Task::pending(tx.send(20));
        assert_eq!(now(tx.send(2)), Ok(Sent::Accepted));
        if use_it {
            assert_eq!(permit.send(1), Ok(Sent::Accepted));
        } else {
            drop(permit);
        }
        let mut late = Task::pending(tx.send(1));
        assert!(tx.try_send(1).is_err() && tx.try_reserve().is_err());
        assert_eq!(drained(&mut rx), if use_it { vec![2, 1] } else { vec![2] });
        assert!(waits.is_woken() && !late.is_woken());
        assert_eq!(waits.poll(), ACCEPTED);
        assert_eq!(drained(&mut rx), [20]);
        assert_eq!(late.poll(), ACCEPTED);
    }
}

#[test]
fn o4_an_item_that_a_permit_leaves_room_for_is_passed_by_nobody() {
    let (tx, mut rx) = weighed();
    let permit = tx.try_reserve().unwrap();
    assert_eq!(now(tx.send(5)), Ok(Sent::Accepted));
    let mut waits = Task::pending(tx.send(9));
    let late = Task::pending(tx.send(1));
    assert_eq!(rx.try_recv(), Some(5));
    assert!(waits.is_woken() && !late.is_woken());
    assert_eq!(waits.poll(), ACCEPTED);
    drop(permit);
    assert!(late.is_woken());
}

#[test]
fn w4_who_came_before_the_permit_was_granted_is_served_when_it_bars_the_one_in_front() {
    let (tx, mut rx) = weighed();
    assert_eq!(tx.try_send(10), Ok(Sent::Accepted));
    let mut permit = Task::pending(tx.reserve());
    let heavy = Task::pending(tx.send(20));
    let mut light = Task::pending(tx.send(1));
    assert_eq!(rx.try_recv(), Some(10));
    assert!(permit.is_woken() && !light.is_woken());
    let Poll::Ready(Ok(permit)) = permit.poll() else { panic!("it was served") };
    assert!(light.is_woken() && !heavy.is_woken(), "now it is known that the slot is kept");
    assert_eq!(light.poll(), ACCEPTED);
    drop(permit);
    assert_eq!(rx.try_recv(), Some(1));
    assert!(heavy.is_woken());
}

#[test]
fn w4_a_sink_that_is_ready_and_sends_nothing_stops_nobody_but_the_oversize_item() {
    let (mut sink, mut rx) = weighed();
    let tx = sink.clone();
    assert_eq!(sink.ready(&Wakes::default()), Poll::Ready(Ok(())));
    let waits = Task::pending(tx.send(20));
    assert_eq!(now(tx.send(10)), Ok(Sent::Accepted), "a slot without weight");
    assert_eq!(drained(&mut rx), [10]);
    drop(sink);
    assert!(waits.is_woken());
}

#[test]
fn d3_a_permit_that_was_forgotten_costs_one_slot() {
    let config = BackpressureConfig::builder().capacity(2).strategy(Strategy::block_forever()).build().unwrap();
    let (mut tx, mut rx) = channel::<u32>(config);
    std::mem::forget(tx.try_reserve().unwrap());
    for n in 0..5 {
        assert_eq!(now(tx.send(n)), Ok(Sent::Accepted));
        let mut next = Task::pending(tx.send(9));
        assert_eq!(rx.try_recv(), Some(n));
        assert_eq!(next.poll(), Poll::Ready(Ok(Sent::Accepted)));
        assert_eq!(rx.try_recv(), Some(9));
    }
    assert_eq!(tx.ready(&Wakes::default()), READY);
    assert_eq!(balanced(&tx.gauge()).delivered, 10);
}

#[test]
fn w4_a_send_that_was_given_a_slot_and_is_not_polled_costs_that_slot_until_it_is_dropped() {
    let (tx, mut rx) = weighed();
    assert_eq!(tx.try_send(10), Ok(Sent::Accepted));
    let lazy = Task::pending(tx.send(1));
    let mut heavy = Task::pending(tx.send(10));
    let late = Task::pending(tx.send(1));
    assert_eq!(rx.try_recv(), Some(10));
    assert!(lazy.is_woken() && !heavy.is_woken() && !late.is_woken(), "first come, first served");
    drop(lazy);
    assert!(heavy.is_woken());
    assert_eq!(heavy.poll(), ACCEPTED);
    assert_eq!(drained(&mut rx), [10]);
    assert!(late.is_woken());
}
