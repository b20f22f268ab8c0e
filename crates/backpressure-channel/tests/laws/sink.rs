//! A sender as a sink, where items are weighed: readiness is one slot, and a heavy item may have to wait outside.

use std::task::Poll;

use backpressure_channel::{Builder, Receiver, SendError, Sender, Sent, SinkError};
use backpressure_core::{DropReason, Oversize, Strategy};

use crate::support::{Losses, READY, SinkPolls, Task, Wakes, balanced, blocking, built, config, drained};

/// A channel for a weight of ten, whose items are their weights.
fn weighed() -> (Sender<u32>, Receiver<u32>, Losses<u32>) {
    let losses = Losses::new();
    let (tx, rx) = Builder::new(built(config(100, Strategy::block_forever()).max_weight(10)))
        .weigh_by(|&weight| weight as usize)
        .on_drop(losses.hook())
        .build();
    (tx, rx, losses)
}

/// A sink that holds a seven outside a channel in which there is a six.
fn stuck() -> (Sender<u32>, Receiver<u32>, Losses<u32>) {
    let (mut tx, rx, losses) = weighed();
    for weight in [6, 7] {
        assert_eq!(tx.ready(&Wakes::default()), READY);
        assert_eq!(tx.start(weight), Ok(()));
    }
    assert_eq!(rx.backlog().items, 1);
    (tx, rx, losses)
}

#[test]
fn d3_a_heavy_item_is_held_outside_until_there_is_room() {
    let (mut tx, mut rx, _losses) = stuck();
    let wakes = Wakes::default();
    assert!(tx.flush(&wakes).is_pending());
    assert!(tx.ready(&wakes).is_pending(), "one item outside is enough");
    assert_eq!((rx.backlog().weight, balanced(&rx.gauge()).received), (6, 1));
    assert_eq!(rx.try_recv(), Some(6));
    assert_eq!(wakes.count(), 1);
    assert_eq!(rx.gauge().utilization(), 0.7, "its room is kept for it");
    assert_eq!(tx.flush(&wakes), READY);
    assert_eq!((rx.backlog().weight, balanced(&rx.gauge()).received), (7, 2));
    assert_eq!(tx.ready(&wakes), READY);
    assert_eq!(tx.start(3), Ok(()));
    assert_eq!(drained(&mut rx), [7, 3]);
    assert_eq!(wakes.count(), 1);
}

#[test]
fn o1_nothing_sent_through_the_same_sink_overtakes_a_heavy_item() {
    let (mut tx, mut rx, _losses) = stuck();
    let wakes = Wakes::default();
    assert_eq!(tx.start(1), Err(SinkError::Full(1)), "it was not ready");
    assert!(tx.ready(&wakes).is_pending());
    assert_eq!(tx.start(1), Err(SinkError::Full(1)), "nor is it now");
    assert_eq!(rx.try_recv(), Some(6));
    assert_eq!(tx.ready(&wakes), READY);
    assert_eq!(tx.start(1), Ok(()));
    assert_eq!(drained(&mut rx), [7, 1]);
    assert_eq!(balanced(&rx.gauge()).rejected, 2);
    assert_eq!(rx.gauge().utilization(), 0.0, "the books on what is reserved are in order");
}

#[test]
fn t1_a_close_waits_for_the_heavy_item() {
    let (mut tx, mut rx, _losses) = stuck();
    let wakes = Wakes::default();
    assert!(tx.close(&wakes).is_pending());
    assert!(!rx.is_closed());
    assert_eq!(rx.try_recv(), Some(6));
    assert_eq!(wakes.count(), 1);
    assert_eq!(tx.close(&wakes), READY);
    assert_eq!(drained(&mut rx), [7]);
    assert!(rx.is_closed());
}

#[test]
fn c3_a_heavy_item_whose_sender_is_dropped_is_lost_and_said_to_be() {
    for waiting in [false, true] {
        let (mut tx, mut rx, losses) = stuck();
        if waiting {
            assert!(tx.flush(&Wakes::default()).is_pending());
        }
        drop(tx);
        assert_eq!(losses.take(), [(7, DropReason::Closed)]);
        assert_eq!(drained(&mut rx), [6]);
        let counts = balanced(&rx.gauge());
        assert_eq!((counts.received, counts.lost(DropReason::Closed)), (2, 1));
        assert_eq!(rx.gauge().utilization(), 0.0);
    }
}

#[test]
fn x1_room_given_to_a_heavy_item_goes_to_the_next_if_its_sender_is_dropped() {
    let (mut tx, mut rx, losses) = stuck();
    let other = tx.clone();
    assert!(tx.flush(&Wakes::default()).is_pending());
    let mut next = Task::pending(other.send(8));
    assert_eq!(rx.try_recv(), Some(6));
    assert!(!next.is_woken());
    drop(tx);
    assert!(next.is_woken());
    assert_eq!(next.poll(), Poll::Ready(Ok(Sent::Accepted)));
    assert_eq!(losses.take(), [(7, DropReason::Closed)]);
}

#[test]
fn t5_a_heavy_item_comes_back_when_the_channel_ends() {
    for polled in [false, true] {
        let (mut tx, rx, losses) = stuck();
        let wakes = Wakes::default();
        if polled {
            assert!(tx.flush(&wakes).is_pending());
        }
        drop(rx);
        assert_eq!(wakes.count(), usize::from(polled));
        assert_eq!(tx.flush(&wakes), Poll::Ready(Err(SinkError::Closed(Some(7)))));
        assert_eq!(tx.flush(&wakes), READY, "there is nothing left to flush");
        assert_eq!(losses.take(), [(6, DropReason::Closed)]);
        assert_eq!(balanced(&tx.gauge()).rejected, 1);
    }
}

#[test]
fn o4_a_heavy_item_waits_in_line_with_the_others() {
    let (mut tx, mut rx, _losses) = stuck();
    let other = tx.clone();
    let mut before = Task::pending(other.send(5));
    assert!(tx.flush(&Wakes::default()).is_pending());
    let mut after = Task::pending(other.send(1));
    assert_eq!(rx.try_recv(), Some(6));
    assert!(before.is_woken() && !after.is_woken(), "seven do not fit beside five, and nobody overtakes");
    assert!(before.poll().is_ready());
    assert_eq!(rx.try_recv(), Some(5));
    assert_eq!(tx.flush(&Wakes::default()), READY);
    assert!(after.poll().is_ready());
    assert_eq!(drained(&mut rx), [7, 1]);
}

#[test]
fn d3_an_oversize_item_goes_alone_or_comes_back() {
    let (mut tx, mut rx, _losses) = weighed();
    let wakes = Wakes::default();
    assert_eq!(tx.ready(&wakes), READY);
    assert_eq!(tx.start(99), Ok(()));
    assert_eq!(rx.backlog().weight, 99, "the slot it held was the only thing in its way");
    assert_eq!(tx.try_send(0), Err(SendError::Full(0)));
    assert_eq!(drained(&mut rx), [99]);

    let refuse = built(config(100, Strategy::block_forever()).max_weight(10).oversize(Oversize::Refuse));
    let (mut tx, rx) = Builder::new(refuse).weigh_by(|&weight| weight as usize).build();
    assert_eq!(tx.ready(&wakes), READY);
    assert_eq!(tx.start(11_u32), Err(SinkError::Full(11)));
    assert_eq!(rx.gauge().utilization(), 0.0);
    assert_eq!(tx.flush(&wakes), READY);
}

#[test]
fn w2_two_sinks_with_heavy_items_do_not_block_one_another() {
    let (mut a, mut rx, _losses) = weighed();
    let mut b = a.clone();
    let wakes = [Wakes::default(), Wakes::default()];
    assert_eq!((a.ready(&wakes[0]), b.ready(&wakes[1])), (READY, READY));
    assert_eq!((a.start(50), b.start(60)), (Ok(()), Ok(())), "both are oversize, and neither is alone yet");
    let mut received = Vec::new();
    for _ in 0..4 {
        let _ = (a.flush(&wakes[0]), b.flush(&wakes[1]));
        assert!(rx.backlog().items <= 1);
        received.extend(rx.try_recv());
    }
    assert_eq!(received, [60, 50]);
    assert_eq!((a.flush(&wakes[0]), b.flush(&wakes[1])), (READY, READY));
}

#[test]
fn d4_a_clone_has_no_part_in_what_its_original_holds() {
    let (mut tx, rx) = blocking(1);
    let wakes = Wakes::default();
    assert_eq!(tx.ready(&wakes), READY);
    let mut clone = tx.clone();
    assert!(clone.ready(&wakes).is_pending());
    drop(clone);
    assert_eq!(tx.start(1), Ok(()), "the original's slot is untouched");
    assert_eq!(rx.backlog().items, 1);
}

#[test]
fn d1_a_start_without_readiness_comes_back_or_is_accepted_and_never_blocks_the_others() {
    let (tx, mut rx) = blocking(1);
    let mut sink = tx.clone();
    assert_eq!(sink.start(1), Ok(()), "there was room");
    assert_eq!(sink.start(2), Err(SinkError::Full(2)));
    assert!(sink.ready(&Wakes::default()).is_pending());
    assert_eq!(sink.start(3), Err(SinkError::Full(3)), "its turn has not come");
    let mut blocked = Task::pending(tx.send(4));
    assert_eq!(rx.try_recv(), Some(1));
    drop(sink);
    assert!(blocked.is_woken(), "it left no place behind in the line");
    assert!(blocked.poll().is_ready());
    assert_eq!(drained(&mut rx), [4]);
    assert_eq!(rx.gauge().snapshot().producers_waiting, 0);
}
