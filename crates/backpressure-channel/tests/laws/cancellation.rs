//! X: a future may be dropped at any point.

use std::task::Poll;

use backpressure_channel::{Builder, SendError, Sender, Sent};
use backpressure_core::Strategy;

use crate::support::{SinkPolls, Task, Wakes, balanced, blocking, built, config, drained, fill, now};

/// How far a waiter got before it is dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Fresh,
    Queued,
    Served,
    ServedAndClosed,
}

/// One that can wait for a slot.
trait Waiter {
    fn waits(&mut self, wakes: &Wakes) -> bool;
}

impl<F: Future> Waiter for Task<F> {
    fn waits(&mut self, wakes: &Wakes) -> bool {
        self.poll_with(wakes).is_pending()
    }
}

impl Waiter for Sender<u32> {
    fn waits(&mut self, wakes: &Wakes) -> bool {
        self.ready(wakes).is_pending()
    }
}

/// Drops a waiter at a stage of its life, with another one behind it, and sees that nobody is the worse for it.
fn drop_at(stage: Stage, waiter: fn(&Sender<u32>) -> Box<dyn Waiter + '_>) {
    let (tx, mut rx) = blocking(2);
    fill(&tx, [1, 2]);
    let wakes = Wakes::default();
    let mut waiter = waiter(&tx);
    if stage != Stage::Fresh {
        assert!(waiter.waits(&wakes));
    }
    let mut next = Task::pending(tx.send(4));
    if matches!(stage, Stage::Served | Stage::ServedAndClosed) {
        assert_eq!(rx.try_recv(), Some(1));
        assert_eq!((wakes.count(), next.wakes.count()), (1, 0));
    }
    if stage == Stage::ServedAndClosed {
        rx.close();
    }
    drop(waiter);
    if matches!(stage, Stage::Fresh | Stage::Queued) {
        assert!(next.poll().is_pending());
        assert_eq!(rx.try_recv(), Some(1));
    }
    assert_eq!(next.wakes.count(), 1, "{stage:?}");
    let (answer, left) = match stage {
        Stage::ServedAndClosed => (Err(SendError::Closed(4)), vec![2]),
        _ => (Ok(Sent::Accepted), vec![2, 4]),
    };
    assert_eq!(next.poll(), Poll::Ready(answer), "{stage:?}");
    assert_eq!(drained(&mut rx), left, "{stage:?}");
    let snapshot = rx.gauge().snapshot();
    assert_eq!((snapshot.utilization, snapshot.producers_waiting), (0.0, 0), "{stage:?}: something is left behind");
    assert_eq!(balanced(&rx.gauge()).received, 3, "{stage:?}: the item was never accepted");
    if stage != Stage::ServedAndClosed {
        fill(&tx, [5, 6]);
    }
}

fn drop_at_every_stage(waiter: fn(&Sender<u32>) -> Box<dyn Waiter + '_>) {
    for stage in [Stage::Fresh, Stage::Queued, Stage::Served, Stage::ServedAndClosed] {
        drop_at(stage, waiter);
    }
}

#[test]
fn x1_a_send_may_be_dropped_at_any_stage() {
    drop_at_every_stage(|tx| Box::new(Task::new(tx.send(3))));
}

#[test]
fn x1_a_reservation_may_be_dropped_at_any_stage() {
    drop_at_every_stage(|tx| Box::new(Task::new(tx.reserve())));
}

#[test]
fn x1_a_sink_may_be_dropped_at_any_stage() {
    drop_at_every_stage(|tx| Box::new(tx.clone()));
}

#[test]
fn x1_a_permit_may_be_dropped_after_the_end() {
    let (tx, rx) = blocking::<u32>(1);
    let permit = tx.try_reserve().expect("room");
    drop(rx);
    drop(permit);
    assert_eq!(tx.gauge().utilization(), 0.0);
}

#[test]
fn x1_the_weight_a_dropped_waiter_was_given_is_handed_on() {
    let config = built(config(10, Strategy::block_forever()).max_weight(10));
    let (tx, mut rx) = Builder::new(config).weigh_by(|&weight| weight).build();
    assert_eq!(tx.try_send(10), Ok(Sent::Accepted));
    let heavy = Task::pending(tx.send(9));
    let light = [4, 4].map(|weight| Task::pending(tx.send(weight)));
    assert_eq!(rx.try_recv(), Some(10));
    assert!(heavy.is_woken() && !light[0].is_woken());
    drop(heavy);
    assert_eq!(light.map(Task::finish), [Ok(Sent::Accepted), Ok(Sent::Accepted)]);
    assert_eq!(rx.backlog().weight, 8);
}

#[test]
fn x2_a_receive_that_is_dropped_has_taken_nothing() {
    let (tx, mut rx) = blocking(4);
    drop(Task::pending(rx.recv()));
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    let abandoned = Task::new(rx.recv());
    drop(abandoned);
    assert_eq!(now(rx.recv()), Some(1));

    let mut out = vec![0];
    drop(Task::pending(rx.recv_many(&mut out, 3)));
    assert_eq!(tx.try_send(2), Ok(Sent::Accepted));
    assert_eq!(out, [0]);
    assert_eq!(now(rx.recv_many(&mut out, 3)), 1);
    assert_eq!(out, [0, 2]);
}

#[test]
fn x2_a_receive_that_was_woken_and_is_dropped_leaves_the_item_to_the_next() {
    let (tx, mut rx) = blocking(4);
    let woken = Task::pending(rx.recv());
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert!(woken.is_woken());
    drop(woken);
    let mut next = Task::new(rx.recv());
    assert_eq!(next.poll(), Poll::Ready(Some(1)), "it looks before it waits");
}
