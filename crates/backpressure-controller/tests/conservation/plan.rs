//! A random run: a configuration, a target that misbehaves by a script, a series of steps, and an end.

use std::time::Duration;

use backpressure_controller::Verdict;
use backpressure_core::Strategy;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use crate::support::{Act, Error, MS};

const VERDICTS: [Verdict; 5] = [
    Verdict::Retry,
    Verdict::Final,
    Verdict::RetryAfter(Duration::from_millis(20)),
    Verdict::RetryAfter(Duration::from_millis(3)),
    Verdict::RetryAfter(Duration::MAX),
];

/// What is said of the error of a whole batch.
pub(crate) fn judge(error: &Error) -> Verdict {
    match *error {
        "later" => VERDICTS[2],
        "final" => Verdict::Final,
        _ => Verdict::Retry,
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) capacity: usize,
    pub(crate) batch: usize,
    pub(crate) concurrency: usize,
    pub(crate) strategy: Strategy,
    pub(crate) weighed: bool,
    /// How many keys there are and how many items may be set aside, if the order is kept by key.
    pub(crate) keyed: Option<(u32, usize)>,
    pub(crate) retries: usize,
    pub(crate) bisect: bool,
    pub(crate) copies: bool,
    answers: Vec<(Duration, Answer)>,
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Deliver,
    Fail(Error),
    /// Items whose number has a bit in common with this have failed.
    Partial(u32),
    /// The same, with verdicts by their numbers.
    Judged(u32),
    PanicInCall,
    PanicInFuture,
    Never,
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    TryPush(usize),
    /// By a task of its own.
    Push(usize),
    /// Begun and, if it has to wait, dropped.
    CancelPush,
    Flush,
    DropFlush,
    Unready,
    Ready,
    BreakReadiness,
    Advance(Duration),
}

#[derive(Debug, Clone)]
pub(crate) enum End {
    Drain(Duration),
    DropDrain(Duration),
    DropHandle,
    Shutdown,
}

impl Plan {
    pub(crate) fn act(&self, call: usize, batch: &[u32]) -> Act<u32> {
        let (delay, answer) = self.answers[call % self.answers.len()];
        let act = match answer {
            Answer::Deliver => Act::Deliver,
            Answer::Fail(error) => Act::Fail(error),
            Answer::Partial(mask) => {
                Act::Partial(batch.iter().filter(|&item| item & mask != 0).map(|&item| (item, "item")).collect())
            }
            Answer::Judged(mask) => {
                let failed = batch.iter().filter(|&item| item & mask != 0);
                Act::Judged(failed.map(|&item| (item, "item", VERDICTS[item as usize % VERDICTS.len()])).collect())
            }
            Answer::PanicInCall => return Act::PanicInCall,
            Answer::PanicInFuture => Act::PanicInFuture,
            Answer::Never => Act::Never,
        };
        if delay.is_zero() { act } else { Act::After(delay, Box::new(act)) }
    }

    /// The most items that are out of the buffer.
    pub(crate) fn most_out(&self) -> usize {
        self.batch * self.concurrency + self.keyed.map_or(0, |(_, set_aside)| set_aside)
    }

    pub(crate) fn keeps_copies(&self) -> bool {
        self.copies || self.bisect || self.retries > 0
    }
}

pub(crate) fn plan() -> impl proptest::strategy::Strategy<Value = Plan> {
    let sizes = (1..24_usize).prop_flat_map(|capacity| (Just(capacity), 1..=capacity, 1..4_usize));
    let policy = (0..3_usize, any::<bool>(), any::<bool>());
    let answers = vec((prop_oneof![2 => Just(Duration::ZERO), 1 => times(1..150)], answer()), 1..8);
    let keyed = proptest::option::of((1..6_u32, 1..12_usize));
    (sizes, strategy(), (any::<bool>(), keyed), policy, answers, vec(step(), 1..24), end()).prop_map(
        |(
            (capacity, batch, concurrency),
            strategy,
            (weighed, keyed),
            (retries, bisect, copies),
            answers,
            steps,
            end,
        )| Plan {
            capacity,
            batch,
            concurrency,
            strategy,
            weighed,
            keyed,
            retries,
            bisect,
            copies,
            answers,
            steps,
            end,
        },
    )
}

fn times(range: std::ops::Range<u32>) -> impl proptest::strategy::Strategy<Value = Duration> {
    range.prop_map(|times| times * MS)
}

fn strategy() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![
        2 => Just(Strategy::block_forever()),
        2 => Just(Strategy::Block { max_wait: 120 * MS }),
        1 => Just(Strategy::DropOldest),
        1 => Just(Strategy::DropNewest),
        1 => Just(Strategy::DropLowest),
        1 => Just(Strategy::Sample { one_in: 3 }),
        1 => Just(Strategy::Reject),
    ]
}

fn answer() -> impl proptest::strategy::Strategy<Value = Answer> {
    prop_oneof![
        6 => Just(Answer::Deliver),
        1 => Just(Answer::Fail("batch")),
        1 => Just(Answer::Fail("later")),
        1 => Just(Answer::Fail("final")),
        1 => (0..8_u32).prop_map(Answer::Partial),
        1 => (0..8_u32).prop_map(Answer::Judged),
        1 => Just(Answer::PanicInCall),
        1 => Just(Answer::PanicInFuture),
        1 => Just(Answer::Never),
    ]
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        4 => (1..30_usize).prop_map(Step::TryPush),
        4 => (1..30_usize).prop_map(Step::Push),
        1 => Just(Step::CancelPush),
        2 => Just(Step::Flush),
        1 => Just(Step::DropFlush),
        1 => Just(Step::Unready),
        2 => Just(Step::Ready),
        1 => Just(Step::BreakReadiness),
        6 => times(0..160).prop_map(Step::Advance),
    ]
}

fn end() -> impl proptest::strategy::Strategy<Value = End> {
    prop_oneof![
        4 => times(0..1_000).prop_map(End::Drain),
        1 => times(1..1_000).prop_map(End::DropDrain),
        2 => Just(End::DropHandle),
        1 => Just(End::Shutdown),
    ]
}
