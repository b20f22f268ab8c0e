//! Q, capacity by time: it follows what is received.

use std::time::Duration;

use backpressure_channel::{Receiver, Sender, Sent};
use backpressure_core::{BackpressureConfig, Capacity, State, Strategy};
use tokio::time::advance;

use crate::support::{Task, balanced};

const MS: Duration = Duration::from_millis(1);

fn timed(strategy: Strategy) -> BackpressureConfig {
    let capacity = Capacity::within(100 * MS).floor(4).ceiling(1_000);
    BackpressureConfig::builder().capacity_within(capacity).batch_items(1).strategy(strategy).build().unwrap()
}

/// Takes so many items, one every `pace`, from a channel that is kept full.
async fn drain(tx: &Sender<u64>, rx: &mut Receiver<u64>, items: usize, pace: Duration) {
    for _ in 0..items {
        while tx.try_send(0) == Ok(Sent::Accepted) {}
        advance(pace).await;
        assert!(rx.try_recv().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn q1_the_capacity_follows_the_rate_of_the_consumer() {
    let (tx, mut rx) = backpressure_channel::channel(timed(Strategy::Reject));
    let capacity = || tx.gauge().snapshot().capacity;
    assert_eq!(capacity(), 4, "the floor");
    for (pace, items) in [(MS, 100), (MS / 5, 500), (10 * MS, 10)] {
        // What was let in under the old capacity goes first.
        drain(&tx, &mut rx, 2 * capacity() + 4 * items, pace).await;
        assert!(capacity().abs_diff(items) <= items / 10, "{} at {pace:?}", capacity());
    }
    balanced(&tx.gauge());
}

#[tokio::test(start_paused = true)]
async fn q1_r3_senders_that_wait_are_let_in_as_the_capacity_grows() {
    let (tx, mut rx) = backpressure_channel::channel(timed(Strategy::block_forever()));
    let mut senders: Vec<_> = (0..200).map(|n| Task::new(tx.send(n))).collect();
    senders.retain_mut(|sender| sender.poll().is_pending());
    assert_eq!(senders.len(), 196, "the floor lets four in");
    for _ in 0..60 {
        advance(MS).await;
        rx.try_recv().expect("it is kept full");
        senders.retain_mut(|sender| !sender.is_woken() || sender.poll().is_pending());
    }
    let snapshot = tx.gauge().snapshot();
    assert!(snapshot.capacity >= 60 && snapshot.counts.queued == snapshot.capacity as u64, "{snapshot:?}");
}

#[tokio::test(start_paused = true)]
async fn q2_a_producer_that_comes_to_wait_notices_that_the_consumer_stands_still() {
    let (tx, mut rx) = backpressure_channel::channel(timed(Strategy::block_forever()));
    drain(&tx, &mut rx, 200, MS).await;
    let before = tx.gauge().snapshot();
    assert!(before.capacity >= 90, "{before:?}");
    advance(1_000 * MS).await;
    while tx.try_send(0) == Ok(Sent::Accepted) {}
    let _waits = Task::pending(tx.send(0));
    let after = tx.gauge().snapshot();
    assert_eq!((after.capacity, after.state), (4, State::Blocked));
    assert!(after.counts.queued >= 90, "nothing is lost by it");
}

#[tokio::test(start_paused = true)]
async fn r1_the_capacity_follows_the_consumer_from_a_reconfiguration_on_or_no_longer() {
    let fixed = BackpressureConfig::builder().capacity(50).strategy(Strategy::Reject).build().unwrap();
    let (tx, mut rx) = backpressure_channel::channel(fixed.clone());
    drain(&tx, &mut rx, 100, MS).await;
    assert_eq!(tx.gauge().snapshot().capacity, 50);
    tx.handle().reconfigure(timed(Strategy::Reject)).unwrap();
    assert_eq!(tx.gauge().snapshot().capacity, 4);
    drain(&tx, &mut rx, 300, MS).await;
    assert!(tx.handle().config().capacity() >= 90);
    tx.handle().reconfigure(fixed).unwrap();
    drain(&tx, &mut rx, 300, MS / 5).await;
    assert_eq!(tx.gauge().snapshot().capacity, 50);
}
