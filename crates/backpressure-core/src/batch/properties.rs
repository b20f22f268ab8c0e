//! The accumulator under random pushes, looks at the clock, flushes and changes of limit and configuration, watched by a
//! bystander who knows only what went in and what came out.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{BatchAccumulator, BatchConfig, FlushReason};

const MS: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy)]
enum Step {
    Push(usize),
    Run(usize),
    Look(u32),
    Flush,
    Limit(usize),
    Reconfigure(BatchConfig),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => prop_oneof![8 => 0usize..8, 1 => Just(usize::MAX)].prop_map(Step::Push),
        3 => (1usize..8).prop_map(Step::Run),
        4 => (0u32..12).prop_map(Step::Look),
        1 => Just(Step::Flush),
        1 => (1usize..8).prop_map(Step::Limit),
        1 => config().prop_map(Step::Reconfigure),
    ];
    prop::collection::vec(step, 1..200)
}

pub(super) fn config() -> impl Strategy<Value = BatchConfig> {
    let quiet = prop::option::of(0u32..20);
    (1usize..8, prop::option::of(1usize..16), 0u32..20, quiet).prop_map(|(max_items, max_weight, linger, quiet)| {
        let mut builder = BatchConfig::builder().max_items(max_items).linger(linger * MS);
        if let Some(max_weight) = max_weight {
            builder = builder.max_weight(max_weight);
        }
        if let Some(quiet) = quiet {
            builder = builder.quiet(quiet * MS);
        }
        builder.build().unwrap()
    })
}

/// What the bystander knows of the open batch.
#[derive(Default)]
struct Open {
    weights: Vec<usize>,
    limit: usize,
    seen: usize,
    since: Option<Instant>,
    arrived: Option<Instant>,
}

impl Open {
    fn push(&mut self, weight: usize, limit: usize) {
        if self.weights.is_empty() {
            self.limit = limit;
        }
        self.weights.push(weight);
    }

    fn look(&mut self, now: Instant) {
        if self.weights.len() > self.seen {
            self.since.get_or_insert(now);
            self.arrived = Some(now);
            self.seen = self.weights.len();
        }
    }

    fn weight(&self) -> usize {
        self.weights.iter().fold(0, |sum, weight| sum.saturating_add(*weight))
    }

    fn linger(&self, config: &BatchConfig) -> Option<Instant> {
        Some(self.since? + config.linger())
    }

    fn quiet(&self, config: &BatchConfig) -> Option<Instant> {
        Some(self.arrived? + config.quiet()?)
    }

    fn due(&self, config: &BatchConfig) -> Option<Instant> {
        [self.linger(config), self.quiet(config)].into_iter().flatten().min()
    }
}

proptest! {
    #[test]
    fn b1_b6_r2_batches_are_the_input_cut_where_the_bounds_say(config in config(), steps in steps()) {
        let mut config = config;
        let mut batches = BatchAccumulator::new(config);
        let mut now = Instant::now();
        let mut open = Open::default();
        let mut limit = config.max_items();
        let (mut pushed, mut taken) = (0, 0);
        for step in steps.into_iter().chain([Step::Flush]) {
            let mut out = Vec::new();
            let mut incoming = None;
            match step {
                Step::Push(weight) => {
                    if pushed % 2 == 0 {
                        out.extend(batches.push(pushed, weight));
                    } else {
                        batches.push_with(pushed, weight, |batch| out.push(batch));
                    }
                    incoming = Some(weight);
                    pushed += 1;
                }
                Step::Run(most) => {
                    let next = || {
                        pushed += 1;
                        Ok::<_, ()>(pushed - 1)
                    };
                    prop_assert_eq!(batches.extend_to(open.weights.len() + most, next), Ok(()));
                    open.weights.resize(batches.len(), 1);
                }
                Step::Look(after) => {
                    now += after * MS;
                    open.look(now);
                    out.extend(batches.observe(now));
                }
                Step::Flush => out.extend(batches.flush()),
                Step::Limit(max_items) => {
                    batches.set_max_items(max_items);
                    limit = max_items;
                }
                Step::Reconfigure(another) => {
                    config = another;
                    limit = config.max_items();
                    open.limit = limit;
                    (open.seen, open.arrived) = (0, None);
                    out.extend(batches.reconfigure(config));
                }
            }
            let lowered = matches!(step, Step::Reconfigure(_));

            for batch in out {
                if batch.items.len() > open.weights.len() {
                    let weight = incoming.take();
                    prop_assert!(weight.is_some(), "more items than were pushed");
                    open.push(weight.unwrap(), limit);
                }
                let expected: Vec<usize> = (taken..taken + open.weights.len()).collect();
                prop_assert_eq!(&batch.items, &expected, "in order, nothing lost, nothing twice");
                prop_assert!(!expected.is_empty() && (lowered || expected.len() <= open.limit));
                let weight = open.weight();
                prop_assert_eq!(batch.weight, weight);
                prop_assert!(lowered || config.max_weight().is_none_or(|max| weight <= max) || expected.len() == 1);
                let due = open.due(&config).filter(|due| *due <= now);
                match batch.reason {
                    FlushReason::Full => prop_assert!(expected.len() == open.limit || lowered && expected.len() > open.limit),
                    FlushReason::Weight => {
                        let with_next = weight.checked_add(incoming.unwrap_or(0));
                        let max = config.max_weight().unwrap();
                        prop_assert!(weight >= max || with_next.is_none_or(|total| total > max));
                    }
                    FlushReason::Linger => prop_assert!(due.is_some() && due == open.linger(&config)),
                    FlushReason::Quiet => prop_assert!(due.is_some() && due == open.quiet(&config)),
                    FlushReason::Flush => prop_assert!(matches!(step, Step::Flush)),
                    FlushReason::End => prop_assert!(false, "nobody ended it"),
                }
                taken += expected.len();
                open = Open::default();
            }
            if let Some(weight) = incoming {
                open.push(weight, limit);
            }

            prop_assert_eq!(batches.len(), open.weights.len());
            prop_assert_eq!(batches.weight(), open.weight());
            prop_assert!(open.weights.is_empty() || open.weights.len() < open.limit, "a full batch stayed");
            prop_assert!(config.max_weight().is_none_or(|max| open.weight() < max), "a heavy batch stayed");
            prop_assert_eq!(batches.poll_timeout(), open.due(&config));
            if let Step::Look(_) = step {
                prop_assert!(open.due(&config).is_none_or(|due| now < due), "a batch outstayed its deadline");
            }
        }
        prop_assert_eq!(taken, pushed, "a flush takes everything");
    }
}
