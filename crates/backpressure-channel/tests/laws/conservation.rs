//! C: every item has one fate, and the ledger knows it.

use std::sync::Arc;
use std::time::Duration;

use backpressure_channel::{Builder, SendError, Sent};
use backpressure_core::{DropReason, Strategy};

use crate::support::{
    Losses, STRATEGIES, SinkPolls, Task, Wakes, balanced, blocking, built, config, drained, fill, now, open,
};

#[test]
fn c1_the_ledger_balances_after_every_step_under_every_strategy() {
    for strategy in STRATEGIES {
        let (tx, mut rx) = open(5, strategy);
        let gauge = tx.gauge();
        for n in 1..=40_u64 {
            let _ = tx.try_send(n);
            assert_eq!(balanced(&gauge).received, n, "{strategy}");
            if n % 3 == 0 {
                rx.try_recv();
                balanced(&gauge);
            }
        }
        rx.close();
        let _ = tx.try_send(41);
        assert_eq!(balanced(&gauge).received, 41);
        drained(&mut rx);
        let counts = balanced(&gauge);
        assert_eq!((counts.queued, counts.in_flight), (0, 0));
    }
}

#[test]
fn c1_an_item_that_comes_back_is_counted_as_rejected_once_by_whatever_way_it_went() {
    let (tx, mut rx) = open(1, Strategy::Block { max_wait: Duration::ZERO });
    let gauge = tx.gauge();
    let rejected = || balanced(&gauge).rejected;
    let permit = tx.try_reserve().expect("empty");
    assert!(tx.try_send(1).is_err());
    assert_eq!(rejected(), 1);
    assert!(now(tx.send(2)).is_err());
    assert_eq!(rejected(), 2);
    rx.close();
    assert!(now(tx.send(3)).is_err());
    assert!(permit.send(4).is_err());
    assert!(tx.clone().start(5).is_err());
    assert_eq!(rejected(), 5);
    assert!(tx.try_reserve().is_err() && now(tx.reserve()).is_err(), "there is no item in these");
    assert!(tx.clone().ready(&Wakes::default()).is_ready());
    assert_eq!(rejected(), 5);
}

#[test]
fn c1_outcomes_that_are_tracked_stay_in_flight_until_they_are_told() {
    let (tx, mut rx) = Builder::new(built(config(10, Strategy::Reject))).track_outcomes().build();
    let (gauge, reporter) = (rx.gauge(), rx.reporter());
    fill(&tx, 0..6);
    assert_eq!(now(rx.recv()), Some(0));
    assert_eq!(now(rx.recv_many(&mut Vec::new(), 3)), 3);
    let counts = balanced(&gauge);
    assert_eq!((counts.queued, counts.in_flight, counts.delivered), (2, 4, 0));
    reporter.delivered(3);
    reporter.lost(DropReason::Failed, 1);
    let counts = balanced(&gauge);
    assert_eq!((counts.in_flight, counts.delivered, counts.failed()), (0, 3, 1));
    drop(rx);
    let counts = balanced(&gauge);
    assert_eq!((counts.queued, counts.in_flight, counts.lost(DropReason::Closed)), (0, 0, 2));
}

#[test]
fn c2_every_item_is_received_handed_back_or_lost_and_only_one_of_them() {
    for strategy in STRATEGIES {
        let losses = Losses::new();
        let (tx, mut rx) = Builder::new(built(config(4, strategy))).on_drop(losses.hook()).build();
        let mut seen: Vec<u32> = Vec::new();
        for n in 0..60 {
            seen.extend(tx.try_send(n).err().map(SendError::into_inner));
            if n % 4 == 3 {
                seen.extend(rx.try_recv());
            }
        }
        seen.extend(rx.evacuate(DropReason::DrainDeadline).into_iter().take(2));
        for n in 60..64 {
            seen.extend(tx.try_send(n).err().map(SendError::into_inner));
        }
        let evacuated = balanced(&tx.gauge()).lost(DropReason::DrainDeadline);
        drop(rx);
        seen.extend(losses.take().into_iter().map(|(item, _)| item));
        seen.sort_unstable();
        let distinct = seen.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(distinct, "{strategy}: an item met two fates: {seen:?}");
        assert_eq!(seen.len() as u64 + evacuated - 2, 64, "{strategy}: an item met none");
    }
}

#[test]
fn c2_an_item_whose_send_is_given_up_is_dropped_there_and_then() {
    let (tx, mut rx) = blocking(1);
    let item = Arc::new(());
    assert_eq!(tx.try_send(Arc::clone(&item)), Ok(Sent::Accepted));
    let blocked = Task::pending(tx.send(Arc::clone(&item)));
    assert_eq!(Arc::strong_count(&item), 3);
    drop(blocked);
    assert_eq!(Arc::strong_count(&item), 2);
    drop(rx.try_recv());
    assert_eq!(Arc::strong_count(&item), 1);
    assert_eq!(balanced(&tx.gauge()).received, 1, "it was never received");
}

#[test]
fn c5_accepted_means_that_it_is_in_the_buffer() {
    for strategy in STRATEGIES {
        let losses = Losses::new();
        let (tx, mut rx) = Builder::new(built(config(3, strategy))).on_drop(losses.hook()).build();
        let mut accepted = Vec::new();
        for n in 0..30 {
            let entered = tx.try_send(n).is_ok_and(Sent::is_accepted);
            accepted.extend(entered.then_some(n));
            assert_eq!(rx.backlog().accepted, accepted.len() as u64, "{strategy}");
            assert!(!entered || rx.backlog().items > 0, "{strategy}");
        }
        let evicted = losses.take().into_iter().filter(|&(_, reason)| reason == DropReason::Evicted);
        let mut left: Vec<_> = evicted.map(|(item, _)| item).chain(drained(&mut rx)).collect();
        left.sort_unstable();
        assert_eq!(left, accepted, "{strategy}: what was accepted was queued until it was evicted or received");
    }
}
