//! I: nothing is changed but the pace.

use std::fmt::Debug;
use std::marker::PhantomPinned;
use std::rc::Rc;
use std::task::Poll;

use backpressure_channel::{
    Backlog, Builder, Demand, Permit, Receiver, Recv, RecvMany, Reserve, Send as SendFuture, SendError, SendMany,
    Sender, Sent, SentMany, SinkError,
};
use backpressure_core::DropReason;
use futures_core::Stream;
use proptest::prelude::*;

use crate::support::{READY, SinkPolls, Task, Wakes, blocking, drained, fill, now};

proptest! {
    /// Each step is a bit for the producer's turn and a number of items the consumer asks for.
    #[test]
    fn i1_under_block_the_output_is_the_input_whatever_the_schedule_of_polls(
        capacity in 1_usize..5,
        as_sink in any::<bool>(),
        steps in prop::collection::vec((any::<bool>(), 0_usize..4), 0..200),
    ) {
        let (tx, mut rx) = blocking(capacity);
        let (wakes, mut sent, mut received) = (Wakes::default(), 0, Vec::new());
        let mut sink = tx.clone();
        let mut send = Task::new(tx.send(0));
        for (produce, receive) in steps {
            if produce && as_sink {
                if sink.ready(&wakes) == READY {
                    prop_assert_eq!(sink.start(sent), Ok(()));
                    sent += 1;
                }
            } else if produce && let Poll::Ready(answer) = send.poll() {
                prop_assert_eq!(answer, Ok(Sent::Accepted));
                sent += 1;
                send = Task::new(tx.send(sent));
            }
            let mut out = Vec::new();
            if let Poll::Ready(taken) = wakes.run(|cx| rx.poll_recv_many(cx, &mut out, receive)) {
                prop_assert_eq!(taken, out.len());
                received.append(&mut out);
            }
            prop_assert_eq!(received.len() + rx.backlog().items, sent as usize);
        }
        received.extend(drained(&mut rx));
        prop_assert!(received.into_iter().eq(0..sent));
    }

    #[test]
    fn i2_the_size_hint_is_true_at_every_step(items in 0_usize..10, before_close in 0_usize..12) {
        let (tx, mut rx) = blocking(10);
        fill(&tx, 0..items);
        let mut hints = Vec::new();
        for received in 0..=items {
            if received == before_close {
                rx.close();
            }
            hints.push((items - received, rx.size_hint()));
            let _ = Wakes::default().run(|cx| rx.poll_recv(cx));
        }
        for (left, (lower, upper)) in hints {
            prop_assert_eq!(lower, left);
            prop_assert!(upper.is_none_or(|upper| upper == left));
        }
        prop_assert_eq!(rx.size_hint().1, rx.is_closed().then_some(0));
    }
}

#[test]
fn i2_a_reserved_slot_promises_no_item() {
    let (tx, rx) = blocking::<u32>(3);
    let permit = tx.try_reserve().expect("room");
    assert_eq!(rx.size_hint(), (0, None));
    drop(permit);
}

#[test]
fn i3_a_flush_with_nothing_to_flush_is_ready() {
    let (mut tx, _rx) = blocking(1);
    let wakes = Wakes::default();
    assert_eq!(tx.flush(&wakes), READY);
    assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
    assert_eq!(tx.flush(&wakes), READY, "what is in the channel has arrived as far as a sender can see to it");
    assert_eq!((wakes.count(), wakes.kept()), (0, 0));
}

/// An item that may go to another thread, and that is all.
type SendOnly = (std::cell::Cell<u32>, PhantomPinned);

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}
const fn is_unpin<T: Unpin>() {}
const fn is_debug<T: Debug>() {}

#[test]
fn i4_send_sync_and_unpin() {
    is_send::<Sender<SendOnly>>();
    is_sync::<Sender<SendOnly>>();
    is_unpin::<Sender<SendOnly>>();
    is_send::<Receiver<SendOnly>>();
    is_sync::<Receiver<SendOnly>>();
    is_unpin::<Receiver<SendOnly>>();
    is_unpin::<Receiver<Rc<()>>>();
    is_send::<Builder<Rc<()>>>();
    is_sync::<Builder<Rc<()>>>();
    is_unpin::<Builder<PhantomPinned>>();

    is_send::<SendFuture<'_, SendOnly>>();
    is_unpin::<SendFuture<'_, SendOnly>>();
    is_send::<SendMany<'_, SendOnly>>();
    is_unpin::<SendMany<'_, SendOnly>>();
    is_send::<Reserve<'_, SendOnly>>();
    is_sync::<Reserve<'_, SendOnly>>();
    is_unpin::<Reserve<'_, SendOnly>>();
    is_send::<Permit<'_, SendOnly>>();
    is_sync::<Permit<'_, SendOnly>>();
    is_unpin::<Permit<'_, SendOnly>>();
    is_send::<Recv<'_, SendOnly>>();
    is_sync::<Recv<'_, SendOnly>>();
    is_unpin::<Recv<'_, SendOnly>>();
    is_send::<RecvMany<'_, SendOnly>>();
    is_unpin::<RecvMany<'_, SendOnly>>();

    is_send::<(Backlog, Demand, Sent, SentMany, SendError<SendOnly>, SinkError<SendOnly>)>();
    is_sync::<(Backlog, Demand, Sent, SentMany, SendError<()>, SinkError<()>)>();
    is_debug::<(Sender<SendOnly>, Receiver<SendOnly>, Builder<SendOnly>, SendError<SendOnly>, SinkError<SendOnly>)>();
}

#[test]
fn i4_a_future_that_sends_through_a_borrowed_sender_may_go_to_another_thread() {
    async fn send(tx: &Sender<SendOnly>) {
        let _ = tx.send((std::cell::Cell::new(1), PhantomPinned)).await;
        if let Ok(permit) = tx.reserve().await {
            std::future::ready(()).await;
            let _ = permit.send((std::cell::Cell::new(2), PhantomPinned));
        }
    }
    fn sent<F: Future + Send>(future: F) -> F {
        future
    }
    let (tx, mut rx) = blocking(2);
    now(sent(send(&tx)));
    assert_eq!(drained(&mut rx).len(), 2);
}

#[test]
fn errors_say_what_is_wrong_without_showing_the_item() {
    let errors = [SendError::Full("secret"), SendError::TimedOut("secret"), SendError::Closed("secret")];
    let texts = errors.map(|error| format!("{error} {error:?} {}", error.into_inner().len()));
    assert_eq!(
        texts,
        [
            "the buffer is full Full(..) 6",
            "timed out waiting for room: the buffer stayed full TimedOut(..) 6",
            "the buffer is closed: no more items are accepted Closed(..) 6",
        ]
    );
    assert_eq!(format!("{:?}", SinkError::Full("secret")), "Full(..)");
    assert_eq!(format!("{:?}", SinkError::Closed(Some("secret"))), "Closed { hands_back: true }");
    assert_eq!(DropReason::Closed.to_string(), "closed");
}
