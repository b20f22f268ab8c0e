//! The paths of the wakers under every interleaving of a few threads (with at most two or three preemptions).
//!
//! A lost wake shows as a deadlock, which loom reports. Run with
//! `RUSTFLAGS="--cfg backpressure_loom" cargo test --release --target-dir target/loom -p backpressure-channel --test loom`.
#![cfg(backpressure_loom)]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use backpressure_channel::{Demand, Receiver, SendError, Sender, Sent, channel};
use backpressure_core::{BackpressureConfig, DropReason, State, Strategy};
use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

/// A channel that blocks for as long as it takes: no timer is involved.
fn blocking(capacity: usize) -> (Sender<u32>, Receiver<u32>) {
    let config = BackpressureConfig::builder().capacity(capacity).strategy(Strategy::block_forever()).build();
    channel(config.expect("a valid configuration"))
}

fn model(run: impl Fn() + Send + Sync + 'static) {
    bounded_model(3, run);
}

/// Three threads have so much more to do with each other that a bound of two has to do.
fn model_of_three(run: impl Fn() + Send + Sync + 'static) {
    bounded_model(2, run);
}

fn bounded_model(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

struct Wakeup(Notify);

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Waits for a future; loom sees to it that a wait without a wake is a deadlock.
fn block_on<F: Future>(future: F) -> F::Output {
    let wakeup = Arc::new(Wakeup(Notify::new()));
    let waker = Waker::from(Arc::clone(&wakeup));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        wakeup.0.wait();
    }
}

/// Polls a future once and drops it.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn drained(rx: &mut Receiver<u32>) -> Vec<u32> {
    std::iter::from_fn(|| block_on(rx.recv())).collect()
}

#[test]
fn w2_a_blocked_send_meets_a_receive() {
    model(|| {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let sender = thread::spawn(move || assert_eq!(block_on(tx.send(2)), Ok(Sent::Accepted)));
        assert_eq!(block_on(rx.recv()), Some(1));
        assert_eq!(block_on(rx.recv()), Some(2));
        sender.join().unwrap();
        assert_eq!(block_on(rx.recv()), None);
    });
}

#[test]
fn w2_a_thread_that_blocks_meets_a_receive() {
    model(|| {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let sender = thread::spawn(move || assert_eq!(tx.blocking_send(2), Ok(Sent::Accepted)));
        assert_eq!(drained(&mut rx), [1, 2]);
        sender.join().unwrap();
    });
}

#[test]
fn w4_a_thread_that_blocks_meets_the_end_of_the_receiver() {
    model(|| {
        let (tx, rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let sender = thread::spawn(move || assert_eq!(tx.blocking_send(2), Err(SendError::Closed(2))));
        drop(rx);
        sender.join().unwrap();
    });
}

#[test]
fn w2_two_senders_share_one_slot() {
    model_of_three(|| {
        let (tx, mut rx) = blocking(1);
        let senders = [1, 2].map(|n| {
            let tx = tx.clone();
            thread::spawn(move || assert_eq!(block_on(tx.send(n)), Ok(Sent::Accepted)))
        });
        drop(tx);
        let received = drained(&mut rx);
        assert!(received == [1, 2] || received == [2, 1], "{received:?}");
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert!(rx.gauge().snapshot().counts.balances());
    });
}

#[test]
fn w2_x1_a_send_that_is_cancelled_while_it_is_served_hands_its_slot_on() {
    model_of_three(|| {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let other = tx.clone();
        let cancelled = thread::spawn(move || poll_once(other.send(2)));
        let patient = thread::spawn(move || assert_eq!(block_on(tx.send(3)), Ok(Sent::Accepted)));
        assert_eq!(block_on(rx.recv()), Some(1));
        let rest = drained(&mut rx);
        let sent = cancelled.join().unwrap();
        patient.join().unwrap();
        assert!(rest.contains(&3));
        assert_eq!(rest.contains(&2), sent.is_ready());
        assert_eq!(rx.gauge().utilization(), 0.0);
    });
}

#[test]
fn w1_w6_a_send_that_changes_its_task_while_it_is_served_is_not_forgotten() {
    model(|| {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let sender = thread::spawn(move || {
            let mut send = Box::pin(tx.send(2));
            match send.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(sent) => sent,
                Poll::Pending => block_on(send),
            }
        });
        assert_eq!(drained(&mut rx), [1, 2]);
        assert_eq!(sender.join().unwrap(), Ok(Sent::Accepted));
    });
}

#[test]
fn w6_a_receiver_that_parks_sees_an_item_that_comes_meanwhile() {
    model(|| {
        let (tx, mut rx) = blocking(2);
        let sender = thread::spawn(move || {
            assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
            tx
        });
        assert_eq!(block_on(rx.recv()), Some(1));
        drop(sender.join().unwrap());
    });
}

#[test]
fn w6_a_receiver_that_waits_for_a_batch_sees_its_last_item() {
    model(|| {
        let (tx, mut rx) = blocking(2);
        let sender = thread::spawn(move || {
            assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
            assert_eq!(tx.try_send(2), Ok(Sent::Accepted));
            tx
        });
        let pair = Demand { items: 2, weight: usize::MAX };
        block_on(std::future::poll_fn(|cx| rx.poll_demand(cx, pair)));
        assert_eq!(rx.backlog().items, 2);
        drop(sender.join().unwrap());
    });
}

#[test]
fn w4_w6_a_receiver_that_parks_sees_the_last_sender_go() {
    model_of_three(|| {
        let (tx, mut rx) = blocking(1);
        let other = tx.clone();
        let senders = [thread::spawn(move || drop(tx)), thread::spawn(move || drop(other))];
        assert_eq!(block_on(rx.recv()), None);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn w4_w6_a_send_that_parks_sees_the_receiver_go() {
    model(|| {
        let (tx, rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let receiver = thread::spawn(move || drop(rx));
        assert_eq!(block_on(tx.send(2)), Err(SendError::Closed(2)));
        receiver.join().unwrap();
        let snapshot = tx.gauge().snapshot();
        assert!(snapshot.counts.balances());
        assert_eq!((snapshot.counts.queued, snapshot.producers_waiting), (0, 0));
    });
}

#[test]
fn w4_two_sends_that_park_both_see_the_channel_close() {
    model_of_three(|| {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let senders = [2, 3].map(|n| {
            let tx = tx.clone();
            thread::spawn(move || assert_eq!(block_on(tx.send(n)), Err(SendError::Closed(n))))
        });
        rx.close();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!(drained(&mut rx), [1]);
        assert_eq!(rx.gauge().snapshot().counts.rejected, 2);
    });
}

#[test]
fn x1_a_send_that_is_served_and_then_closed_out_leaks_no_slot() {
    model(|| {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let sender = thread::spawn(move || block_on(tx.send(2)));
        assert_eq!(rx.try_recv(), Some(1));
        rx.close();
        let sent = sender.join().unwrap();
        let received = drained(&mut rx);
        assert_eq!((sent.is_ok(), sent.is_err()), (received == [2], received.is_empty()));
        assert_eq!(rx.gauge().utilization(), 0.0);
    });
}

#[test]
fn d4_a_permit_that_is_dropped_wakes_the_next() {
    model(|| {
        let (tx, mut rx) = blocking(1);
        let other = tx.clone();
        let holder = thread::spawn(move || drop(block_on(other.reserve()).expect("the channel is open")));
        assert_eq!(block_on(tx.send(1)), Ok(Sent::Accepted));
        assert_eq!(rx.try_recv(), Some(1));
        holder.join().unwrap();
        assert_eq!(rx.gauge().utilization(), 0.0);
    });
}

/// A channel of three whose receiver has taken the first item and was lent the other two.
fn lent() -> (Sender<u32>, Receiver<u32>) {
    let config = BackpressureConfig::builder().capacity(3).low_watermark(0.9).high_watermark(0.95);
    let (tx, mut rx) = channel(config.strategy(Strategy::block_forever()).build().expect("a valid configuration"));
    for n in 1..=3 {
        assert_eq!(tx.try_send(n), Ok(Sent::Accepted));
    }
    assert_eq!(rx.try_recv(), Some(1));
    (tx, rx)
}

#[test]
fn w2_a_send_that_waits_sees_an_item_taken_of_the_lease() {
    model(|| {
        let (tx, mut rx) = lent();
        assert_eq!(tx.try_send(4), Ok(Sent::Accepted));
        let sender = thread::spawn(move || {
            assert_eq!(block_on(tx.send(5)), Ok(Sent::Accepted));
            tx
        });
        assert_eq!(rx.try_recv(), Some(2));
        let tx = sender.join().unwrap();
        let snapshot = rx.gauge().snapshot();
        assert_eq!((snapshot.counts.queued, snapshot.counts.delivered), (3, 2));
        assert_eq!((snapshot.state, snapshot.utilization), (State::Blocked, 1.0));
        drop(tx);
        assert_eq!(drained(&mut rx), [3, 4, 5]);
    });
}

#[test]
fn m1_the_state_is_true_whoever_comes_first_to_the_edge() {
    model(|| {
        let (tx, mut rx) = lent();
        let sender = thread::spawn(move || {
            assert_eq!(tx.try_send(4), Ok(Sent::Accepted));
            tx
        });
        assert_eq!(rx.try_recv(), Some(2));
        let _tx = sender.join().unwrap();
        let snapshot = rx.gauge().snapshot();
        assert_eq!((snapshot.counts.queued, snapshot.state), (2, State::Normal));
        assert_eq!(rx.try_recv(), Some(3));
        assert_eq!(rx.try_recv(), Some(4));
        assert_eq!((rx.gauge().state(), rx.gauge().utilization()), (State::Normal, 0.0));
    });
}

#[test]
fn c1_the_books_balance_while_the_receiver_counts_by_itself() {
    model(|| {
        let (_tx, mut rx) = lent();
        let gauge = rx.gauge();
        let reader = thread::spawn(move || gauge.snapshot().counts);
        assert_eq!(rx.try_recv(), Some(2));
        let counts = reader.join().unwrap();
        assert!(counts.balances() && (1..=2).contains(&counts.queued), "{counts:?}");
    });
}

#[test]
fn d3_a_slot_of_the_lease_that_is_filled_again_is_held_once() {
    model(|| {
        let (tx, mut rx) = lent();
        assert_eq!(tx.try_send(4), Ok(Sent::Accepted));
        let gauge = rx.gauge();
        let reader = thread::spawn(move || assert!(gauge.utilization() <= 1.0));
        assert_eq!(rx.try_recv(), Some(2));
        assert_eq!(tx.try_send(5), Ok(Sent::Accepted));
        reader.join().unwrap();
    });
}

/// Frees a slot in one thread, and offers in another that knows of it by `free`'s doing.
fn freed(strategy: Strategy, lease: bool) {
    model(move || {
        let config = BackpressureConfig::builder().capacity(3).low_watermark(0.9).high_watermark(0.95);
        let (tx, mut rx) = channel(config.strategy(strategy).build().expect("a valid configuration"));
        (1..=3).for_each(|n| assert_eq!(tx.try_send(n), Ok(Sent::Accepted)));
        if lease {
            assert_eq!(rx.try_recv(), Some(1));
            assert_eq!(tx.try_send(4), Ok(Sent::Accepted));
        }
        assert!(!matches!(tx.try_send(5), Ok(Sent::Accepted)));
        let told = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&told);
        let receiver = thread::spawn(move || {
            assert!(rx.try_recv().is_some());
            tell.store(true, Ordering::Release);
            rx
        });
        let knows = told.load(Ordering::Acquire);
        let accepted = matches!(tx.try_send(6), Ok(Sent::Accepted));
        assert!(accepted || !knows, "{strategy}: a slot is free, and the offer is turned away");
        let rx = receiver.join().unwrap();
        let snapshot = rx.gauge().snapshot();
        assert!(snapshot.counts.balances());
        assert_eq!(snapshot.state == State::Blocked, accepted);
    });
}

#[test]
fn c5_a_slot_that_was_given_back_is_seen_by_an_offer_that_comes_after() {
    freed(Strategy::block_forever(), false);
    freed(Strategy::DropNewest, false);
}

#[test]
fn c5_a_slot_of_the_lease_that_was_given_back_is_seen_by_an_offer_that_comes_after() {
    freed(Strategy::Reject, true);
}

#[test]
fn t5_an_offer_after_the_close_of_a_full_channel_is_told_of_it() {
    model(|| {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let told = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&told);
        let receiver = thread::spawn(move || {
            rx.close();
            tell.store(true, Ordering::Release);
        });
        let knows = told.load(Ordering::Acquire);
        match tx.try_send(2) {
            Err(SendError::Closed(2)) => {}
            Err(SendError::Full(2)) => assert!(!knows),
            sent => panic!("{sent:?}"),
        }
        receiver.join().unwrap();
    });
}

#[test]
fn c1_two_who_are_refused_without_the_lock_are_both_counted() {
    model_of_three(|| {
        let config = BackpressureConfig::builder().capacity(1).strategy(Strategy::DropNewest);
        let (tx, _rx) = channel(config.build().expect("a valid configuration"));
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let gauge = tx.gauge();
        let senders = [2, 3].map(|n| {
            let tx = tx.clone();
            thread::spawn(move || assert!(matches!(tx.try_send(n), Ok(Sent::Dropped(_)))))
        });
        let counts = gauge.snapshot().counts;
        assert!(counts.balances() && counts.dropped() <= 2);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!(gauge.snapshot().counts.dropped(), 2);
    });
}

#[test]
fn c1_an_exchange_is_part_of_one_instant() {
    model(|| {
        let config = BackpressureConfig::builder().capacity(1).strategy(Strategy::DropOldest);
        let (tx, mut rx) = channel(config.build().expect("a valid configuration"));
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let gauge = tx.gauge();
        let sender = thread::spawn(move || assert!(matches!(tx.try_send(2), Ok(Sent::Evicting(_)))));
        let counts = gauge.snapshot().counts;
        assert!(counts.balances() && counts.queued <= 1, "{counts:?}");
        sender.join().unwrap();
        assert_eq!((rx.try_recv(), gauge.snapshot().counts.evicted()), (Some(2), 1));
    });
}

#[test]
fn w2_a_run_that_waits_meets_a_receive() {
    model(|| {
        let (tx, mut rx) = blocking(1);
        let sender = thread::spawn(move || {
            let mut run = vec![1, 2];
            assert!(block_on(tx.send_many(&mut run)).is_ok());
            assert!(run.is_empty());
        });
        assert_eq!(drained(&mut rx), [1, 2]);
        sender.join().unwrap();
    });
}

#[test]
fn x1_a_run_that_is_given_up_while_it_is_served_hands_its_slot_on() {
    model(|| {
        let (tx, mut rx) = blocking(1);
        let sender = thread::spawn(move || {
            let mut run = vec![1, 2];
            let sent = poll_once(tx.send_many(&mut run));
            assert_eq!(sent.is_ready(), run.is_empty());
            assert_eq!(block_on(tx.send(3)), Ok(Sent::Accepted));
            run.len()
        });
        let received = drained(&mut rx);
        let left = sender.join().unwrap();
        assert_eq!(received, if left == 0 { vec![1, 2, 3] } else { vec![1, 3] });
        assert_eq!(rx.gauge().utilization(), 0.0);
    });
}

fn configured(capacity: usize, strategy: Strategy) -> BackpressureConfig {
    BackpressureConfig::builder().capacity(capacity).strategy(strategy).build().expect("a valid configuration")
}

#[test]
fn r3_a_send_that_is_about_to_wait_meets_a_channel_that_grows() {
    model(|| {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let handle = tx.handle();
        let sender = thread::spawn(move || assert_eq!(block_on(tx.send(2)), Ok(Sent::Accepted)));
        handle.reconfigure(configured(2, Strategy::block_forever())).unwrap();
        sender.join().unwrap();
        assert_eq!(drained(&mut rx), [1, 2]);
    });
}

#[test]
fn r3_a_send_that_is_about_to_wait_meets_a_strategy_that_does_not_wait() {
    model(|| {
        let (tx, mut rx) = blocking(1);
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let handle = tx.handle();
        let sender = thread::spawn(move || assert_eq!(block_on(tx.send(2)), Err(SendError::Full(2))));
        handle.reconfigure(configured(1, Strategy::Reject)).unwrap();
        sender.join().unwrap();
        assert_eq!(drained(&mut rx), [1]);
    });
}

/// An offer that is answered without the lock is answered by one of the two configurations.
#[test]
fn r1_an_offer_meets_the_old_bounds_and_strategy_or_the_new_ones() {
    let dropped = Ok(Sent::Dropped(DropReason::Overflow));
    for ((before, old), (after, new), answers) in [
        ((1, Strategy::DropNewest), (2, Strategy::Reject), [dropped, Ok(Sent::Accepted)]),
        ((1, Strategy::Reject), (2, Strategy::DropNewest), [Err(SendError::Full(2)), Ok(Sent::Accepted)]),
        ((2, Strategy::DropNewest), (1, Strategy::Reject), [Ok(Sent::Accepted), Err(SendError::Full(2))]),
    ] {
        model(move || {
            let (tx, _rx) = channel(configured(before, old));
            assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
            let handle = tx.handle();
            let sender = thread::spawn(move || tx.try_send(2));
            handle.reconfigure(configured(after, new)).unwrap();
            let answer = sender.join().unwrap();
            assert!(answers.contains(&answer), "{answer:?}");
            assert!(handle.gauge().snapshot().counts.balances());
        });
    }
}

#[test]
fn r1_a_snapshot_has_the_old_bounds_or_the_new_ones() {
    model(|| {
        let (tx, _rx) = channel(configured(1, Strategy::Reject));
        assert_eq!(tx.try_send(1), Ok(Sent::Accepted));
        let (handle, gauge) = (tx.handle(), tx.gauge());
        let other = thread::spawn(move || handle.reconfigure(configured(4, Strategy::DropNewest)).unwrap());
        let seen = gauge.snapshot();
        let old = (1, Strategy::Reject, State::Blocked, 1.0);
        let new = (4, Strategy::DropNewest, State::Normal, 0.25);
        let seen = (seen.capacity, seen.strategy, seen.state, seen.utilization);
        assert!(seen == old || seen == new, "{seen:?}");
        other.join().unwrap();
    });
}
