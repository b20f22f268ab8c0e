//! W5: a waker that panics keeps no other from being woken, and its panic goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use backpressure_channel::{Receiver, SendError, Sender, Sent};

use crate::support::{Task, balanced, blocking, drained};

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
