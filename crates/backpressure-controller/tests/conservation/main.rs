//! Every item has exactly one fate, and the ledger says which: whatever is pushed, however the target behaves, whenever it
//! ends.

mod fates;
mod plan;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use backpressure_channel::{SendError, Sent};
use backpressure_controller::{BackpressureController, FlushError};
use backpressure_core::{DropReason, Priority, Strategy};
use futures_util::FutureExt;
use proptest::prelude::*;

use crate::fates::{Fate, Fates};
use crate::plan::{End, Plan, Step, judge, plan};
use crate::support::{Error, INTERVAL, MS, Target, advance, config, runtime, settle};

type Controller = BackpressureController<u32>;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn c1_c2_c3_m2_every_item_has_exactly_one_fate_and_the_ledger_knows_it(plan in plan()) {
        run(plan);
    }
}

fn run(plan: Plan) {
    let runtime = runtime();
    let (fates, target, controller) = runtime.block_on(async { spawn(&plan) });
    let mut next = 0..;
    runtime.block_on(async {
        for step in &plan.steps {
            perform(step, &controller, &target, &fates, plan.keeps_copies(), &mut next).await;
            fates.observe();
        }
        end(&plan.end, controller, &fates).await;
    });
    drop(runtime);
    fates.check(&target, plan.keeps_copies());
}

async fn end(end: &End, controller: Controller, fates: &Fates) {
    match *end {
        End::Drain(deadline) => {
            let before = fates.observe();
            let report = controller.drain(deadline).await;
            let after = fates.observe();
            assert!(report.elapsed <= deadline + MS, "{:?}", report.elapsed);
            assert_eq!((after.queued, after.in_flight), (0, 0), "all is settled before the report comes");
            assert!(report.delivered <= after.delivered - before.delivered);
            assert!(report.failed <= after.failed() - before.failed());
            let lost = after.lost(DropReason::DrainDeadline) - before.lost(DropReason::DrainDeadline);
            assert_eq!(lost, (report.abandoned.len() + report.unanswered) as u64);
            report.abandoned.into_iter().for_each(|item| fates.add(item, Fate::Reported));
        }
        End::DropDrain(deadline) => {
            let _ = controller.drain(deadline).now_or_never();
            advance(deadline + MS).await;
        }
        End::DropHandle => {
            drop(controller);
            for _ in 0..30 {
                advance(INTERVAL).await;
            }
        }
        End::Shutdown => {}
    }
}

fn spawn(plan: &Plan) -> (Arc<Fates>, Target<u32>, Controller) {
    let fates = Arc::new(Fates::new(plan));
    let target = Target::new({
        let (plan, fates) = (plan.clone(), fates.clone());
        move |call, batch| {
            fates.observe();
            plan.act(call, batch)
        }
    });
    let mut config = config(plan.capacity, plan.batch).strategy(plan.strategy);
    if plan.weighed {
        config = config.max_weight(2 * plan.capacity).batch_weight(2 * plan.batch);
    }
    let mut builder = BackpressureController::builder(config.build().unwrap()).on_drop({
        let fates = fates.clone();
        move |item, reason| fates.add(item, Fate::Lost(reason))
    });
    if plan.weighed {
        builder = builder.weigh_by(|&item| item as usize % 4);
    }
    if plan.strategy == Strategy::DropLowest {
        builder = builder.rank_by(|&item| Priority::new((item % 5) as u8));
    }
    let mut builder = builder.flush(target.service()).concurrency(plan.concurrency);
    if let Some((keys, set_aside)) = plan.keyed {
        let key = move |&item: &u32| {
            assert!(keys < 5 || item % 7 != 6, "a key that nobody can tell");
            item % keys
        };
        builder = builder.keyed_by(key).set_aside_at_most(set_aside);
    }
    if plan.retries > 0 {
        builder = builder.retry(vec![7 * MS; plan.retries]);
    }
    if plan.bisect {
        builder = builder.bisect();
    }
    if plan.copies {
        builder = builder.keep_copies();
    }
    let controller = builder
        .judge_by(judge)
        .cap_retry_after(150 * MS)
        .on_failed({
            let fates = fates.clone();
            move |items, _: FlushError<Error>| items.into_iter().for_each(|item| fates.add(item, Fate::Failed))
        })
        .spawn()
        .unwrap();
    fates.watch(controller.gauge());
    (fates, target, controller)
}

async fn perform(
    step: &Step,
    controller: &Controller,
    target: &Target<u32>,
    fates: &Arc<Fates>,
    copies: bool,
    next: &mut impl Iterator<Item = u32>,
) {
    match *step {
        Step::TryPush(items) => {
            for item in next.take(items) {
                answered(item, controller.try_push(item), fates);
            }
        }
        Step::Push(items) => {
            let items: Vec<u32> = next.take(items).collect();
            let (controller, fates) = (controller.clone(), fates.clone());
            tokio::spawn(async move {
                for item in items {
                    answered(item, controller.push(item).await, &fates);
                }
            });
        }
        Step::CancelPush => {
            for item in next.take(1) {
                if let Some(sent) = controller.push(item).now_or_never() {
                    answered(item, sent, fates);
                }
            }
        }
        Step::Flush => {
            let (controller, target, fates) = (controller.clone(), target.clone(), fates.clone());
            tokio::spawn(async move {
                let accepted = fates.accepted();
                controller.flush().await.unwrap();
                if !controller.is_closed() {
                    fates.expect_settled(&accepted, &target, copies);
                }
            });
        }
        Step::DropFlush => {
            controller.flush().now_or_never();
        }
        Step::Unready => target.ready_for(0),
        Step::Ready => target.ready(),
        Step::BreakReadiness => target.fail_readiness("gone"),
        Step::Advance(time) if time.is_zero() => settle().await,
        Step::Advance(time) => advance(time).await,
    }
}

fn answered(item: u32, sent: Result<Sent, SendError<u32>>, fates: &Fates) {
    fates.answer(item, sent.as_ref().is_ok_and(|sent| sent.is_accepted()));
    if let Err(error) = sent {
        assert_eq!(error.into_inner(), item);
        fates.add(item, Fate::HandedBack);
    }
}

#[test]
fn c1_the_ledger_balances_while_threads_race() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
    let delivered = support::Log::new();
    runtime.block_on(async {
        let controller =
            BackpressureController::builder(config(64, 16).strategy(Strategy::block_forever()).build().unwrap())
                .flush_fn({
                    let delivered = delivered.clone();
                    move |batch: Vec<u32>| {
                        let delivered = delivered.clone();
                        async move {
                            tokio::task::yield_now().await;
                            delivered.push(batch);
                            Ok::<_, Error>(())
                        }
                    }
                })
                .concurrency(3)
                .spawn()
                .unwrap();
        let gauge = controller.gauge();
        let producers: Vec<_> = (0..4)
            .map(|producer| {
                let controller = controller.clone();
                tokio::spawn(async move {
                    for item in 0..5_000 {
                        controller.push(producer * 5_000 + item).await.unwrap();
                    }
                })
            })
            .collect();
        let mut before = 0;
        while !producers.iter().all(|producer| producer.is_finished()) {
            let counts = gauge.snapshot().counts;
            assert!(counts.balances(), "{counts:?}");
            assert!(counts.queued <= 64 && counts.in_flight <= 48, "{counts:?}");
            assert!(counts.delivered >= before, "m2: a counter only grows");
            before = counts.delivered;
            tokio::task::yield_now().await;
        }
        let report = controller.drain(Duration::MAX).await;
        assert!(report.is_complete());
        let counts = gauge.snapshot().counts;
        assert_eq!((counts.delivered, counts.received, counts.balances()), (20_000, 20_000, true));
    });
    let mut delivered = delivered.take().concat();
    delivered.sort();
    assert_eq!(delivered, Vec::from_iter(0..20_000));
}
