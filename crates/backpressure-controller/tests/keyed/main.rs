//! Per key, items reach the flush target in the order in which they were accepted, each only when those before it have a
//! fate: whatever the target answers, and however often things are tried.

mod record;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use backpressure_controller::{BackpressureController, FlushError, Verdict};
use backpressure_core::{DropReason, Strategy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use crate::record::{Item, Record, Recorded, key};
use crate::support::{Act, Error, MS, Target, advance, config, runtime};

const VERDICTS: [Verdict; 4] =
    [Verdict::Retry, Verdict::Final, Verdict::RetryAfter(Duration::from_millis(25)), Verdict::RetryAfter(MS)];

#[derive(Debug, Clone)]
struct Plan {
    capacity: usize,
    batch: usize,
    concurrency: usize,
    set_aside: usize,
    evicts: bool,
    weighed: bool,
    retries: usize,
    bisect: bool,
    answers: Vec<(u32, Answer)>,
    steps: Vec<Step>,
    drains: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Deliver,
    Fail,
    Final,
    Panic,
    /// Fails every item from the first one whose number is a multiple of this on, per key, with verdicts by their numbers.
    From(u32),
}

#[derive(Debug, Clone)]
enum Step {
    /// Pushes items of these keys.
    Push(Vec<u32>),
    Flush,
    Advance(u32),
}

impl Plan {
    fn act(&self, call: usize, batch: &[Item]) -> Act<Item> {
        let (delay, answer) = self.answers[call % self.answers.len()];
        let act = match answer {
            Answer::Deliver => Act::Deliver,
            Answer::Fail => Act::Fail("again"),
            Answer::Final => Act::Fail("final"),
            Answer::Panic => Act::PanicInFuture,
            Answer::From(number) => {
                let mut failed = Vec::<Item>::new();
                for &item in batch {
                    if item % number == 0 || failed.iter().any(|&earlier| key(earlier) == key(item)) {
                        failed.push(item);
                    }
                }
                let verdict = |item| VERDICTS[(item as usize / 16) % VERDICTS.len()];
                Act::Judged(failed.into_iter().map(|item| (item, "item", verdict(item))).collect())
            }
        };
        if delay == 0 { act } else { Act::After(delay * MS, Box::new(act)) }
    }
}

fn plan() -> impl proptest::strategy::Strategy<Value = Plan> {
    let answer = prop_oneof![
        3 => Just(Answer::Deliver),
        1 => Just(Answer::Fail),
        1 => Just(Answer::Final),
        1 => Just(Answer::Panic),
        2 => (1..40_u32).prop_map(Answer::From),
    ];
    let step = prop_oneof![
        4 => vec(0..5_u32, 1..12).prop_map(Step::Push),
        1 => Just(Step::Flush),
        3 => prop_oneof![1..30_u32, 100..200_u32].prop_map(Step::Advance),
    ];
    let sizes = (2..24_usize).prop_flat_map(|capacity| (Just(capacity), 1..=capacity.min(9), 1..5_usize, 1..12_usize));
    let flags = (any::<bool>(), any::<bool>(), 0..3_usize, any::<bool>());
    let answers = vec((prop_oneof![1 => Just(0), 3 => 1..60_u32], answer), 1..8);
    (sizes, flags, answers, vec(step, 1..30), proptest::option::of(0..300_u32)).prop_map(
        |((capacity, batch, concurrency, set_aside), (evicts, weighed, retries, bisect), answers, steps, drains)| {
            Plan { capacity, batch, concurrency, set_aside, evicts, weighed, retries, bisect, answers, steps, drains }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn o5_each_key_is_in_order_and_in_one_place_and_no_item_is_lost(plan in plan()) {
        let runtime = runtime();
        let record = Record::new(plan.batch * plan.concurrency + plan.set_aside);
        let (target, controller) = runtime.block_on(async { spawn(&plan, &record) });
        runtime.block_on(run(&plan, controller, &target, &record));
        record.check(&target);
    }
}

fn spawn(plan: &Plan, record: &Record) -> (Target<Item>, BackpressureController<Item>) {
    let target = Target::new({
        let plan = plan.clone();
        move |call, batch| plan.act(call, batch)
    });
    let strategy = if plan.evicts { Strategy::DropOldest } else { Strategy::Reject };
    let mut config = config(plan.capacity, plan.batch).strategy(strategy);
    if plan.weighed {
        config = config.max_weight(2 * plan.capacity).batch_weight(2 * plan.batch);
    }
    let mut builder = BackpressureController::builder(config.build().unwrap()).on_drop({
        let record = record.clone();
        move |item, _: DropReason| record.over(item)
    });
    if plan.weighed {
        builder = builder.weigh_by(|&item| item as usize / 16 % 4);
    }
    let mut builder = builder
        .flush(Recorded { target: target.service(), record: record.clone() })
        .concurrency(plan.concurrency)
        .keyed_by(|&item| key(item))
        .set_aside_at_most(plan.set_aside)
        .keep_copies()
        .retry(vec![7 * MS; plan.retries])
        .judge_by(|error: &Error| if *error == "final" { Verdict::Final } else { Verdict::Retry });
    if plan.bisect {
        builder = builder.bisect();
    }
    let hook = record.clone();
    let builder =
        builder.on_failed(move |items, _: FlushError<Error>| items.into_iter().for_each(|item| hook.over(item)));
    (target, builder.spawn().unwrap())
}

async fn run(plan: &Plan, controller: BackpressureController<Item>, target: &Target<Item>, record: &Record) {
    let mut next = 0;
    for step in &plan.steps {
        match step {
            Step::Push(keys) => {
                for key in keys {
                    next += 16;
                    let item = next + key;
                    if controller.try_push(item).is_ok() {
                        record.accept(item);
                    }
                }
            }
            Step::Flush => {
                let (controller, target, record) = (controller.clone(), target.clone(), record.clone());
                tokio::spawn(async move {
                    let accepted = record.accepted();
                    if controller.flush().await.is_ok() && !controller.is_closed() {
                        record.expect_over(&accepted, &target);
                    }
                });
            }
            Step::Advance(time) => advance(*time * MS).await,
        }
        record.observe(&controller.snapshot().counts);
    }
    let deadline = plan.drains.map_or(Duration::MAX, |ms| ms * MS);
    let report = controller.drain(deadline).await;
    assert!(plan.drains.is_some() || report.is_complete(), "every key makes progress: {report:?}");
    assert_eq!((report.unanswered, report.lost), (0, 0));
    record.hand_back(&report.abandoned);
}
