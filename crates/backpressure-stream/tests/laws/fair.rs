//! O7 and O8, fair by key: turns, and who pays for a full buffer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use backpressure_core::{BackpressureConfig, DropReason, Priority, Strategy as Policy};
use backpressure_stream::{Backpressure, BackpressureStreamExt};
use futures_util::StreamExt;
use proptest::prelude::*;

use crate::support::{Script, Step, exhaust, poll_once};

/// The tenant, and the number of the item.
type Job = (u8, u32);

fn config(capacity: usize, strategy: Policy) -> BackpressureConfig {
    BackpressureConfig::builder().capacity(capacity).strategy(strategy).build().unwrap()
}

fn fair(jobs: Script<Job>, capacity: usize, strategy: Policy) -> Backpressure<Script<Job>> {
    jobs.backpressure(config(capacity, strategy)).fair_by(|&(tenant, _)| tenant)
}

#[test]
fn o7_the_keys_that_are_read_ahead_take_turns() {
    let jobs = [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (2, 1)];
    let turns = [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (1, 2)];
    assert_eq!(exhaust(&mut fair(Script::ready(jobs), 9, Policy::block())), turns);
}

#[test]
fn o7_a_weighed_turn_is_worth_as_much_as_the_heaviest_item() {
    let weighed = BackpressureConfig::builder().capacity(9).max_weight(90).build().unwrap();
    let jobs = [(1, 6), (1, 6), (2, 2), (2, 2), (2, 2), (2, 2)];
    let stream = Script::ready(jobs).backpressure(weighed).weigh_by(|&(_, weight)| weight as usize);
    let turns = exhaust(&mut stream.fair_by(|&(tenant, _)| tenant));
    assert_eq!(turns, [(1, 6), (2, 2), (2, 2), (2, 2), (1, 6), (2, 2)]);
}

#[test]
fn o8_c1_c3_whoever_holds_most_pays() {
    let lost = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&lost);
    let jobs = [(1, 0), (2, 0), (2, 1), (2, 2), (2, 3), (3, 0), (1, 1)];
    let mut stream = fair(Script::ready(jobs), 4, Policy::DropOldest)
        .on_drop(move |job, reason| hook.lock().unwrap().push((job, reason)));
    assert_eq!(exhaust(&mut stream), [(1, 0), (2, 3), (3, 0), (1, 1)]);
    assert_eq!(*lost.lock().unwrap(), [(2, 0), (2, 1), (2, 2)].map(|job| (job, DropReason::Evicted)));
    let counts = stream.gauge().snapshot().counts;
    assert!(counts.balances());
    assert_eq!((counts.delivered, counts.evicted()), (4, 3));
}

#[test]
fn o7_r3_it_stays_fair_under_another_configuration() {
    let jobs = [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)].map(Step::Item);
    let mut stream = fair(Script::new(jobs.into_iter().chain([Step::End])), 1, Policy::block());
    let handle = stream.handle();
    assert_eq!(poll_once(&mut stream), Poll::Ready(Some((1, 0))));
    handle.reconfigure(config(9, Policy::block())).unwrap();
    assert_eq!(exhaust(&mut stream), [(1, 1), (2, 0), (1, 2), (2, 1)]);
}

#[tokio::test]
async fn o7_in_a_task_of_its_own_it_is_fair_too() {
    let jobs = [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0)];
    let spawned = fair(Script::ready(jobs), 9, Policy::block()).spawn();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(spawned.collect::<Vec<_>>().await, [(1, 0), (2, 0), (3, 0), (1, 1), (1, 2)]);
}

#[test]
fn either_ranks_or_keys_decide_who_is_next() {
    let stream = || Script::<Job>::ready([]).backpressure(config(2, Policy::block()));
    let keys_last = || stream().rank_by(|_| Priority::NORMAL).fair_by(|job| job.0);
    let ranks_last = || stream().fair_by(|job| job.0).rank_by(|_| Priority::NORMAL);
    for both in [&keys_last as &dyn Fn() -> Backpressure<_>, &ranks_last] {
        let panic = catch_unwind(AssertUnwindSafe(|| drop(both()))).unwrap_err();
        let message = panic.downcast_ref::<String>().expect("it says why");
        assert_eq!(message, "fair_by is set, but must be unset where rank_by is set: either decides who is next");
    }
}

fn script() -> impl Strategy<Value = Vec<Step<Job>>> {
    let step = prop_oneof![6 => (0_u8..4).prop_map(|tenant| Step::Item((tenant, 0))), 1 => Just(Step::Pause)];
    prop::collection::vec(step, 0..200).prop_map(|mut steps| {
        for (step, number) in steps.iter_mut().zip(0..) {
            if let Step::Item((_, n)) = step {
                *n = number;
            }
        }
        steps.push(Step::End);
        steps
    })
}

proptest! {
    #[test]
    fn o7_c1_c2_each_key_is_yielded_in_order_and_the_ledger_balances(
        policy in prop::sample::select(vec![
            Policy::block(), Policy::DropOldest, Policy::DropNewest, Policy::Sample { one_in: 3 }, Policy::Reject,
        ]),
        capacity in 1_usize..40,
        steps in script(),
    ) {
        let items = steps.iter().filter(|step| matches!(step, Step::Item(_))).count();
        let mut stream = fair(Script::new(steps), capacity, policy);
        let yielded = exhaust(&mut stream);
        for tenant in 0..4 {
            prop_assert!(yielded.iter().filter(|job| job.0 == tenant).is_sorted(), "{}: {:?}", policy, yielded);
        }
        let counts = stream.gauge().snapshot().counts;
        prop_assert!(counts.balances());
        prop_assert_eq!((counts.received, counts.delivered, counts.queued), (items as u64, yielded.len() as u64, 0));
        prop_assert!(policy.is_lossy() || yielded.len() == items);
    }
}
