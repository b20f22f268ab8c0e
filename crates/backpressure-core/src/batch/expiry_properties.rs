//! The accumulator where items expire, beside a bystander who knows when each item came and what it was promised.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::properties::config;
use super::{Batch, BatchAccumulator, BatchConfig};

const MS: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy)]
enum Step {
    /// An item that is past its deadline so many milliseconds after the start, if it has one.
    Push {
        weight: usize,
        deadline: Option<u32>,
    },
    Run(usize),
    Wait(u32),
    Look,
    Expire,
    Flush,
    Reconfigure(BatchConfig),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let weight = prop_oneof![4 => Just(1usize), 3 => 0usize..8, 1 => Just(usize::MAX)];
    let step = prop_oneof![
        8 => (weight, prop::option::of(0u32..60)).prop_map(|(weight, deadline)| Step::Push { weight, deadline }),
        3 => (1usize..8).prop_map(Step::Run),
        4 => (0u32..8).prop_map(Step::Wait),
        3 => Just(Step::Look),
        2 => Just(Step::Expire),
        1 => Just(Step::Flush),
        1 => config().prop_map(Step::Reconfigure),
    ];
    prop::collection::vec(step, 1..200)
}

struct Item {
    weight: usize,
    deadline: Option<Instant>,
    /// The look that it counts as having come at.
    came: Option<Instant>,
}

#[derive(Default)]
struct World {
    items: Vec<Item>,
    max_age: Option<Duration>,
    looked: Option<Instant>,
    /// The numbers of the items that are gone, one way or the other.
    delivered: Vec<usize>,
    expired: Vec<usize>,
}

impl World {
    fn push(&mut self, weight: usize, deadline: Option<Instant>) -> usize {
        self.items.push(Item { weight, deadline, came: self.looked });
        self.items.len() - 1
    }

    fn look(&mut self, now: Instant) {
        self.looked = Some(now);
        for item in &mut self.items {
            item.came.get_or_insert(now);
        }
    }

    /// Whether an item had expired by the latest look.
    fn is_late(&self, number: usize) -> bool {
        let (Some(looked), item) = (self.looked, &self.items[number]) else { return false };
        let too_old = self.max_age.zip(item.came).is_some_and(|(max_age, came)| looked - came >= max_age);
        too_old || item.deadline.is_some_and(|deadline| deadline <= looked)
    }

    fn deliver(&mut self, batch: &Batch<usize>) -> Result<(), TestCaseError> {
        prop_assert!(!batch.items.is_empty());
        prop_assert!(batch.items.iter().all(|&number| !self.is_late(number)), "an item that expired is in a batch");
        let weight = batch.items.iter().fold(0, |sum: usize, &number| sum.saturating_add(self.items[number].weight));
        prop_assert_eq!(batch.weight, weight);
        self.delivered.extend(&batch.items);
        Ok(())
    }
}

proptest! {
    #[test]
    fn e1_e2_b1_b6_c2_what_expires_is_in_no_batch_and_nothing_else_is_missing(
        first in config(),
        max_age in prop::option::of((1u32..30).prop_map(|ms| ms * MS)),
        steps in steps(),
    ) {
        let start = Instant::now();
        let mut batches = BatchAccumulator::new(first).expiring(max_age);
        let mut world = World { max_age, ..World::default() };
        let mut now = start;
        for step in steps.into_iter().chain([Step::Expire, Step::Flush]) {
            let mut out = Vec::new();
            match step {
                Step::Push { weight, deadline: None } => {
                    let held = batches.len();
                    let closes = batches.may_close(weight);
                    out.extend(batches.push(world.push(weight, None), weight));
                    prop_assert_eq!(closes, !out.is_empty());
                    prop_assert!(closes || batches.len() == held + 1);
                }
                Step::Push { weight, deadline } => {
                    let deadline = deadline.map(|ms| start + ms * MS);
                    batches.push_dated(world.push(weight, deadline), weight, deadline, |batch| out.push(batch));
                }
                Step::Run(most) => {
                    let held = batches.len();
                    let next = || Ok::<_, ()>(world.push(1, None));
                    prop_assert_eq!(batches.extend_to(held + most, next), Ok(()));
                }
                Step::Wait(ms) => now += ms * MS,
                Step::Look => {
                    world.look(now);
                    out.extend(batches.observe(now));
                }
                Step::Expire => {
                    world.look(now);
                    batches.expire(now);
                }
                Step::Flush => out.extend(batches.flush()),
                Step::Reconfigure(config) => out.extend(batches.reconfigure(config)),
            }
            for batch in &out {
                world.deliver(batch)?;
            }
            let expired = batches.take_expired();
            prop_assert!(expired.iter().all(|&number| world.is_late(number)), "one that has not expired is dropped");
            world.expired.extend(expired);
            let held = world.items.len() - world.delivered.len() - world.expired.len();
            prop_assert_eq!(batches.len(), held, "one fate each");
            prop_assert_eq!(batches.is_empty(), held == 0);
            prop_assert!(held > 0 || batches.poll_timeout().is_none(), "a deadline of nothing");
        }
        prop_assert!(world.delivered.is_sorted(), "in order");
        let mut fates = [world.delivered, world.expired].concat();
        fates.sort_unstable();
        prop_assert_eq!(fates, Vec::from_iter(0..world.items.len()));
    }
}
