//! O7 and O8, fair by key: turns, and who pays for a full buffer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use backpressure_core::{DropReason, Priority, Strategy};
use backpressure_sink::{BackpressureSink, BackpressureSinkExt};
use proptest::prelude::*;

use crate::kit::{Poke, Probe, Task, assert_balanced, config, poll};

/// The tenant, and the number of the item.
type Job = (u8, u32);

fn fair(probe: &Probe<Job>, capacity: usize, strategy: Strategy) -> BackpressureSink<Probe<Job>, Job> {
    let limits = config(|c| c.capacity(capacity).batch_items(1).strategy(strategy));
    probe.clone().bounded(limits).fair_by(|&(tenant, _)| tenant)
}

#[test]
fn o7_the_keys_that_are_queued_take_turns() {
    let jobs = [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (2, 1)];
    let turns = [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (1, 2)];
    for driven in [false, true] {
        let (probe, task) = (Probe::with_room(0), Task::new());
        let mut sink = fair(&probe, 9, Strategy::block());
        if driven {
            let (mut handle, mut driver) = sink.drive();
            jobs.iter().for_each(|&job| assert!(handle.offer(job, &task).is_ready()));
            probe.make_room(9);
            assert!(poll(&mut driver, &task).is_pending());
        } else {
            jobs.iter().for_each(|&job| assert!(sink.offer(job, &task).is_ready()));
            probe.make_room(9);
            assert_eq!(sink.flush_once(&task), Poll::Ready(Ok(())));
        }
        assert_eq!(probe.got(), turns, "driven: {driven}");
        probe.assert_lawful();
    }
}

#[test]
fn o8_c1_c3_whoever_holds_most_pays() {
    let (probe, task, lost) = (Probe::with_room(0), Task::new(), Arc::new(Mutex::new(Vec::new())));
    let hook = Arc::clone(&lost);
    let mut sink =
        fair(&probe, 4, Strategy::DropOldest).on_drop(move |job, reason| hook.lock().unwrap().push((job, reason)));
    for job in [(1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (3, 0), (1, 1)] {
        assert!(sink.offer(job, &task).is_ready());
        assert_balanced(&sink.gauge());
    }
    assert_eq!(*lost.lock().unwrap(), [(2, 0), (2, 1), (2, 2)].map(|job| (job, DropReason::Evicted)));
    assert_eq!(sink.gauge().snapshot().counts.evicted(), 3);
    assert_eq!(sink.take_remainder(), [(1, 0), (2, 3), (3, 0), (1, 1)]);
}

#[test]
fn o7_an_item_that_nothing_is_ahead_of_goes_straight_on() {
    let (probe, task) = (Probe::ready(), Task::new());
    let mut sink = fair(&probe, 4, Strategy::block());
    for job in [(1, 0), (1, 1), (2, 0)] {
        assert!(sink.offer(job, &task).is_ready());
    }
    assert_eq!(probe.got(), [(1, 0), (1, 1), (2, 0)]);
    probe.assert_lawful();
}

#[test]
fn either_ranks_or_keys_decide_who_is_next() {
    let sink = || Probe::<Job>::ready().bounded(config(|c| c.capacity(2)));
    let keys_last = || sink().rank_by(|_| Priority::NORMAL).fair_by(|job| job.0);
    let ranks_last = || sink().fair_by(|job| job.0).rank_by(|_| Priority::NORMAL);
    for both in [&keys_last as &dyn Fn() -> BackpressureSink<_, _>, &ranks_last] {
        let panic = catch_unwind(AssertUnwindSafe(|| drop(both()))).unwrap_err();
        let message = panic.downcast_ref::<String>().expect("it says why");
        assert_eq!(message, "fair_by is set, but must be unset where rank_by is set: either decides who is next");
    }
}

proptest! {
    #[test]
    fn o7_c1_c2_each_key_is_delivered_in_order_and_the_ledger_balances(
        strategy in prop::sample::select(vec![
            Strategy::block(), Strategy::DropOldest, Strategy::DropNewest, Strategy::Sample { one_in: 3 }, Strategy::Reject,
        ]),
        capacity in 1_usize..6,
        offers in prop::collection::vec((0_u8..4, 0_usize..3), 1..80),
    ) {
        let (probe, task) = (Probe::with_room(0), Task::new());
        let mut sink = fair(&probe, capacity, strategy);
        let (mut sent, mut refused) = (0, 0);
        for ((tenant, room), n) in offers.into_iter().zip(0..) {
            match sink.offer((tenant, n), &task) {
                Poll::Ready(Ok(())) => sent += 1,
                Poll::Ready(Err(_)) => refused += 1,
                Poll::Pending => prop_assert_eq!(strategy, Strategy::block()),
            }
            probe.make_room(room);
            assert_balanced(&sink.gauge());
        }
        probe.make_room(usize::MAX);
        prop_assert_eq!(sink.close_once(&task), Poll::Ready(Ok(())));
        let got = probe.got();
        for tenant in 0..4 {
            prop_assert!(got.iter().filter(|job| job.0 == tenant).is_sorted(), "{}: {:?}", strategy, got);
        }
        let counts = sink.gauge().snapshot().counts;
        prop_assert_eq!((counts.received, counts.rejected), (sent + refused, refused));
        prop_assert_eq!((counts.delivered, counts.queued), (got.len() as u64, 0));
        prop_assert!(strategy.is_lossy() || counts.delivered == sent);
        prop_assert_eq!(&probe.script().offences, &[""; 0]);
    }
}
