//! W5: a waker that panics keeps no other from being woken, and its panic goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use backpressure_channel::{Builder, Receiver, SendError, Sender, Sent};
use backpressure_core::{DropReason, Priority, State, Strategy};

use crate::kept::weighed;
use crate::support::{Losses, SinkPolls, Task, Wakes, balanced, blocking, built, config, drained, ignore, now};

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker");
    }
}

/// Polls with a waker that panics.
fn poll_badly<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::new(Panics))))
}

fn panics(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

/// A channel of three that is full.
fn full() -> (Sender<u32>, Receiver<u32>) {
    let (tx, rx) = blocking(3);
    (0..3).for_each(|n| assert_eq!(tx.try_send(n), Ok(Sent::Accepted)));
    (tx, rx)
}

#[test]
fn w5_receiving_many_wakes_all_who_get_a_place_even_if_the_first_panics() {
    let (tx, mut rx) = full();
    let mut bad = Box::pin(tx.send(3));
    assert!(poll_badly(bad.as_mut()).is_pending());
    let mut good = [4, 5].map(|n| Task::pending(tx.send(n)));
    let mut out = Vec::new();
    assert!(panics(|| {
        rx.try_recv_many(&mut out, usize::MAX, usize::MAX);
    }));
    assert_eq!(out, [0, 1, 2], "what was received is there");
    assert!(good.iter().all(Task::is_woken));
    assert!(good.iter_mut().all(|send| send.poll() == Poll::Ready(Ok(Sent::Accepted))));
    assert_eq!(poll_badly(bad.as_mut()), Poll::Ready(Ok(Sent::Accepted)));
    assert_eq!(drained(&mut rx), [4, 5, 3]);
    balanced(&tx.gauge());
}

#[test]
fn w5_closing_wakes_all_who_wait_even_if_one_panics() {
    let (tx, mut rx) = full();
    let before = Task::pending(tx.send(3));
    let mut bad = Box::pin(tx.send(4));
    assert!(poll_badly(bad.as_mut()).is_pending());
    let after = Task::pending(tx.send(5));
    assert!(panics(|| rx.close()));
    assert!(before.is_woken() && after.is_woken());
    assert_eq!(before.finish(), Err(SendError::Closed(3)));
    assert_eq!(poll_badly(bad.as_mut()), Poll::Ready(Err(SendError::Closed(4))));
    drop(after);
    assert_eq!(drained(&mut rx), [0, 1, 2]);
    balanced(&tx.gauge());
}

#[test]
fn w5_a_watcher_that_panics_keeps_no_producer_waiting() {
    let acts: [fn(&mut Receiver<u32>); 2] = [|rx| drop(drained(rx)), Receiver::close];
    for act in acts {
        let (tx, mut rx) = full();
        let waits = Task::pending(tx.send(3));
        let mut changed = Box::pin(tx.gauge().changed());
        assert!(poll_badly(changed.as_mut()).is_pending());
        assert!(panics(|| act(&mut rx)));
        assert!(waits.is_woken());
    }
}

/// Waits, with a waker that panics, for the state to change.
fn watch_badly(tx: &Sender<u32>) -> Pin<Box<impl Future<Output = State> + use<>>> {
    let mut changed = Box::pin(tx.gauge().changed());
    assert!(poll_badly(changed.as_mut()).is_pending());
    changed
}

/// A channel of two with one item, so that the state changes with the next.
fn half_full() -> (Sender<u32>, Receiver<u32>) {
    let (tx, rx) = blocking(2);
    assert_eq!(tx.try_send(0), Ok(Sent::Accepted));
    (tx, rx)
}

#[test]
fn x1_a_slot_that_nobody_hears_of_is_free_again() {
    let acts: [fn(&mut Sender<u32>); 3] =
        [|tx| drop(tx.try_reserve()), |tx| drop(now(tx.reserve())), |tx| ignore(tx.ready(&Wakes::default()))];
    for act in acts {
        let (mut tx, mut rx) = half_full();
        let _changed = watch_badly(&tx);
        assert!(panics(|| act(&mut tx)));
        assert_eq!(tx.gauge().utilization(), 0.5, "the slot is free");
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        assert_eq!(drained(&mut rx), [0, 1]);
        balanced(&tx.gauge());
    }
}

#[test]
fn x1_a_slot_that_was_waited_for_and_nobody_hears_of_is_free_again() {
    let (tx, mut rx) = weighed();
    assert_eq!(tx.try_send(10), Ok(Sent::Accepted));
    let mut permit = Task::pending(tx.reserve());
    let heavy = Task::pending(tx.send(20));
    let mut light = Box::pin(tx.send(1));
    assert!(poll_badly(light.as_mut()).is_pending());
    assert_eq!(rx.try_recv(), Some(10));
    assert!(permit.is_woken());
    assert!(panics(|| drop(permit.poll())), "with the slot it passes the heavy one over, and the light one is served");
    assert_eq!(poll_badly(light.as_mut()), Poll::Ready(Ok(Sent::Accepted)));
    assert_eq!(rx.try_recv(), Some(1));
    assert!(heavy.is_woken(), "no slot is kept");
    assert_eq!(heavy.finish(), Ok(Sent::Accepted));
    drop(permit);
    assert_eq!(tx.gauge().snapshot().producers_waiting, 0);
}

#[test]
fn w4_a_sender_that_is_dropped_closes_the_channel_even_if_a_waker_panics() {
    let (mut tx, mut rx) = half_full();
    assert!(tx.ready(&Wakes::default()).is_ready(), "it holds the other slot");
    let _changed = watch_badly(&tx);
    assert!(panics(|| drop(tx)));
    assert_eq!(drained(&mut rx), [0]);
    assert_eq!(now(rx.recv()), None, "nobody is left to send");
}

#[test]
fn c3_a_receiver_that_is_dropped_gives_what_is_queued_to_the_hook_even_if_a_waker_panics() {
    let losses = Losses::new();
    let (tx, rx) = Builder::new(built(config(2, Strategy::block()))).on_drop(losses.hook()).build();
    assert_eq!([0, 1].map(|n| tx.try_send(n)), [Ok(Sent::Accepted); 2]);
    let mut bad = Box::pin(tx.send(2));
    assert!(poll_badly(bad.as_mut()).is_pending());
    assert!(panics(|| drop(rx)));
    assert_eq!(losses.take(), [(0, DropReason::Closed), (1, DropReason::Closed)]);
    assert_eq!(poll_badly(bad.as_mut()), Poll::Ready(Err(SendError::Closed(2))));
    balanced(&tx.gauge());
}

#[test]
fn c3_what_is_evicted_or_evacuated_goes_to_the_hook_even_if_a_waker_panics() {
    let losses = Losses::new();
    let limits = built(config(4, Strategy::DropLowest).max_weight(4));
    let (tx, mut rx) = Builder::new(limits)
        .weigh_by(|n: &u32| *n as usize)
        .rank_by(|n| Priority::new(*n as u8))
        .on_drop(losses.hook())
        .build();
    assert_eq!([1, 1].map(|n| tx.try_send(n)), [Ok(Sent::Accepted); 2]);
    let changed = watch_badly(&tx);
    assert!(panics(|| ignore(tx.try_send(4))));
    assert_eq!(losses.take(), [(1, DropReason::Evicted); 2]);
    drop(changed);
    let _changed = watch_badly(&tx);
    assert!(panics(|| drop(rx.evacuate(DropReason::Failed))));
    assert_eq!(losses.take(), [(4, DropReason::Failed)]);
    balanced(&tx.gauge());
}
