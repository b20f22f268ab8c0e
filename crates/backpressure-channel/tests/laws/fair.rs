//! O7 to O9, fair by key: turns, and who pays for a full channel.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use backpressure_channel::{Builder, Receiver, SendError, Sender, Sent};
use backpressure_core::{DropReason, Priority, Strategy};
use proptest::prelude::*;

use crate::support::{Losses, STRATEGIES, Task, balanced, built, config, drained, now};

/// The tenant, and the number of the item.
type Job = (u8, u32);

fn fair(capacity: usize, strategy: Strategy) -> (Sender<Job>, Receiver<Job>) {
    Builder::new(built(config(capacity, strategy))).fair_by(|&(tenant, _): &Job| tenant).build()
}

fn send_all(tx: &Sender<Job>, jobs: &[Job]) {
    jobs.iter().for_each(|&job| assert!(tx.try_send(job).is_ok_and(Sent::is_accepted)));
}

#[test]
fn o7_keys_take_turns_one_by_one_and_many_at_once() {
    let jobs = [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (2, 1)];
    let turns = [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (1, 2)];
    for chunk in 0..7 {
        let (tx, mut rx) = fair(9, Strategy::block());
        send_all(&tx, &jobs);
        let mut out = Vec::new();
        rx.try_recv_many(&mut out, chunk, usize::MAX);
        out.extend(drained(&mut rx));
        assert_eq!(out, turns);
        balanced(&tx.gauge());
    }
}

#[test]
fn o8_c1_c3_whoever_holds_most_pays_by_whatever_way_items_come() {
    for many in [false, true] {
        let losses = Losses::new();
        let builder = Builder::new(built(config(4, Strategy::DropOldest))).on_drop(losses.hook());
        let (tx, mut rx) = builder.fair_by(|&(tenant, _): &Job| tenant).build();
        let jobs = [(1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (3, 0), (1, 1)];
        if many {
            let mut jobs = jobs.to_vec();
            let sent = tx.try_send_many(&mut jobs).expect("nothing is refused");
            assert_eq!((sent.accepted, sent.evicted, jobs), (7, 3, vec![]));
        } else {
            send_all(&tx, &jobs);
        }
        assert_eq!(losses.take(), [(2, 0), (2, 1), (2, 2)].map(|job| (job, DropReason::Evicted)));
        assert_eq!(drained(&mut rx), [(1, 0), (2, 3), (3, 0), (1, 1)]);
        let counts = balanced(&tx.gauge());
        assert_eq!((counts.delivered, counts.lost(DropReason::Evicted)), (4, 3));
    }
}

#[test]
fn o8_what_comes_by_a_permit_evicts_by_key_too() {
    let (tx, mut rx) = fair(4, Strategy::DropOldest);
    let permit = now(tx.reserve()).expect("it never waits");
    send_all(&tx, &[(1, 0), (2, 0), (2, 1), (3, 0)]);
    assert_eq!(permit.send((1, 1)), Ok(Sent::Evicting(NonZeroUsize::MIN)));
    assert_eq!(drained(&mut rx), [(1, 0), (2, 1), (3, 0), (1, 1)]);
}

#[test]
fn o4_o7_what_waits_is_admitted_as_it_came_and_delivered_in_turn() {
    let (tx, mut rx) = fair(2, Strategy::block());
    send_all(&tx, &[(1, 0), (1, 1)]);
    let mut noisy = Task::pending(tx.send((1, 2)));
    let mut quiet = Task::pending(tx.send((2, 0)));
    assert_eq!(rx.try_recv(), Some((1, 0)));
    assert!(quiet.poll().is_pending());
    assert_eq!(noisy.poll(), Poll::Ready(Ok(Sent::Accepted)));
    assert_eq!(rx.try_recv(), Some((1, 1)));
    assert_eq!(quiet.poll(), Poll::Ready(Ok(Sent::Accepted)));
    assert_eq!(tx.try_send((1, 3)), Err(SendError::Full((1, 3))), "block evicts nothing");
    assert_eq!(drained(&mut rx), [(2, 0), (1, 2)], "key 1 has had its turn");
}

#[test]
fn c4_a_key_that_panics_leaves_the_item_outside() {
    let (tx, mut rx) = Builder::new(built(config(2, Strategy::DropOldest)))
        .fair_by(|&(tenant, _): &Job| {
            assert_ne!(tenant, 9, "nobody knows tenant 9");
            tenant
        })
        .build();
    assert!(catch_unwind(AssertUnwindSafe(|| tx.try_send((9, 0)))).is_err());
    send_all(&tx, &[(1, 0)]);
    assert_eq!(drained(&mut rx), [(1, 0)]);
    balanced(&tx.gauge());
}

#[test]
fn either_ranks_or_keys_decide_who_is_next() {
    let builder = || Builder::new(built(config(2, Strategy::DropOldest))).rank_by(|_: &Job| Priority::NORMAL);
    let error = builder().fair_by(|job| job.0).check().expect_err("both are set");
    assert_eq!(error.field(), "fair_by");
    let refused = builder().fair_by(|job| job.0).try_build().expect_err("it is refused, not only checked");
    assert_eq!(refused.to_string(), error.to_string());
    assert!(catch_unwind(AssertUnwindSafe(|| builder().fair_by(|job| job.0).build())).is_err());
    assert!(builder().check().is_ok() && builder().try_build().is_ok());
}

proptest! {
    #[test]
    fn o7_c1_c2_each_key_is_delivered_in_order_and_the_ledger_balances(
        strategy in prop::sample::select(&STRATEGIES[..]),
        capacity in 1_usize..6,
        sends in prop::collection::vec((0_u8..4, 0_usize..3), 1..60),
    ) {
        let (tx, mut rx) = fair(capacity, strategy);
        let mut received = Vec::new();
        for ((tenant, receives), n) in sends.into_iter().zip(0..) {
            let _ = tx.try_send((tenant, n));
            balanced(&tx.gauge());
            received.extend((0..receives).filter_map(|_| rx.try_recv()));
        }
        received.extend(drained(&mut rx));
        for tenant in 0..4 {
            prop_assert!(received.iter().filter(|job| job.0 == tenant).is_sorted(), "{strategy}: {received:?}");
        }
        let counts = balanced(&tx.gauge());
        prop_assert_eq!((counts.delivered, counts.queued), (received.len() as u64, 0));
    }
}
