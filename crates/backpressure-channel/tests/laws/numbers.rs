//! M: the numbers.

use backpressure_channel::{Builder, Sent};
use backpressure_core::{DropReason, State, Strategy};

use crate::support::{STRATEGIES, Task, balanced, blocking, built, config, drained, fill, ignore, open};

#[test]
fn m1_at_rest_every_gauge_is_back_at_zero() {
    for strategy in STRATEGIES {
        let (tx, mut rx) = Builder::new(built(config(4, strategy).max_weight(20))).weigh_by(|&weight| weight).build();
        for weight in [5, 5, 30, 1, 0, 9] {
            let _ = Task::new(tx.send(weight)).poll();
            let _ = Task::new(tx.reserve()).poll();
            drop(tx.try_reserve());
        }
        drained(&mut rx);
        let snapshot = rx.gauge().snapshot();
        assert_eq!((snapshot.utilization, snapshot.weight, snapshot.producers_waiting), (0.0, 0, 0), "{strategy}");
        assert_eq!((snapshot.state, snapshot.counts.queued), (State::Normal, 0), "{strategy}");
    }
}

#[test]
fn m1_the_gauge_says_what_is_held() {
    let (tx, mut rx) =
        Builder::new(built(config(10, Strategy::block_forever()).max_weight(100))).weigh_by(|&w| w).build();
    let gauge = rx.gauge();
    assert_eq!((gauge.state(), gauge.utilization()), (State::Normal, 0.0));
    assert_eq!(tx.try_send(50), Ok(Sent::Accepted));
    assert_eq!((gauge.state(), gauge.utilization()), (State::Elevated, 0.5), "the tighter bound decides");
    assert_eq!(tx.try_send(50), Ok(Sent::Accepted));
    assert_eq!((gauge.state(), gauge.utilization()), (State::Blocked, 1.0));
    let blocked = Task::pending(tx.send(1));
    let snapshot = gauge.snapshot();
    assert_eq!((snapshot.weight, snapshot.counts.queued, snapshot.producers_waiting), (100, 2, 1));
    assert_eq!(rx.try_recv(), Some(50));
    assert_eq!((gauge.state(), gauge.utilization()), (State::Elevated, 0.51), "a slot that was given is held");
    drop(blocked);
    assert_eq!((gauge.utilization(), gauge.snapshot().producers_waiting), (0.5, 0));
    let backlog = rx.backlog();
    assert_eq!((backlog.items, backlog.weight, backlog.oldest, backlog.accepted, backlog.closed), (1, 50, 1, 2, false));
}

#[test]
fn m2_the_last_values_are_there_before_the_end_is_told() {
    let (tx, rx) = blocking(4);
    let gauge = tx.gauge();
    fill(&tx, 0..4);
    let mut blocked = Task::pending(tx.send(4));
    let mut watcher = Task::pending(gauge.changed());
    drop(rx);
    assert_eq!(watcher.poll(), std::task::Poll::Ready(State::Draining));
    assert!(blocked.poll().is_ready());
    let counts = balanced(&gauge);
    assert_eq!((counts.received, counts.lost(DropReason::Closed), counts.rejected, counts.queued), (5, 4, 1, 0));
}

#[test]
fn m2_what_was_lost_is_counted_before_the_hook_hears_of_it() {
    for strategy in [Strategy::DropOldest, Strategy::DropNewest, Strategy::Sample { one_in: 2 }] {
        let gauge = std::sync::Arc::new(std::sync::OnceLock::<backpressure_core::Gauge>::new());
        let seen = std::sync::Arc::clone(&gauge);
        let (tx, rx) = Builder::new(built(config(2, strategy)))
            .on_drop(move |_: u32, reason| {
                let counts = balanced(seen.get().expect("was set"));
                assert!(counts.lost(reason) > 0, "{reason}");
            })
            .build();
        assert!(gauge.set(tx.gauge()).is_ok());
        (0..9).for_each(|n| ignore(tx.try_send(n)));
        drop(rx);
        assert_eq!(balanced(&tx.gauge()).queued, 0);
    }
}

#[test]
fn m2_counters_only_grow() {
    for strategy in STRATEGIES {
        let (tx, mut rx) = open(3, strategy);
        let mut before = balanced(&tx.gauge());
        for n in 0..50 {
            let _ = tx.try_send(n);
            if n % 2 == 0 {
                rx.try_recv();
            }
            let after = balanced(&tx.gauge());
            assert!(after.received >= before.received && after.delivered >= before.delivered);
            assert!(after.rejected >= before.rejected);
            assert!(DropReason::ALL.into_iter().all(|reason| after.lost(reason) >= before.lost(reason)));
            before = after;
        }
    }
}
