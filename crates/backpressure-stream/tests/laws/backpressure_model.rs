//! The read-ahead buffer under random upstreams, polled at random, watched by a bystander who knows what went in, what came
//! out and what the hook was given.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use backpressure_core::{BackpressureConfig, DropReason, Oversize, State, Strategy as Policy};
use backpressure_stream::BackpressureStreamExt;
use futures_util::Stream;
use proptest::prelude::*;

use crate::support::{Script, Step, poll_once, read};

/// An item and its weight.
type Item = (usize, usize);

fn script() -> impl Strategy<Value = Vec<Step<Item>>> {
    let step = prop_oneof![
        6 => (0usize..6).prop_map(|weight| Step::Item((0, weight))),
        1 => Just(Step::Pause),
        1 => Just(Step::Restless),
    ];
    prop::collection::vec(step, 0..300).prop_map(|mut steps| {
        let mut number = 0;
        for step in &mut steps {
            if let Step::Item((n, _)) = step {
                *n = number;
                number += 1;
            }
        }
        steps.push(Step::End);
        steps
    })
}

fn config() -> impl Strategy<Value = BackpressureConfig> {
    let policy = prop_oneof![
        2 => Just(Policy::block()),
        1 => Just(Policy::Reject),
        1 => Just(Policy::DropOldest),
        1 => Just(Policy::DropNewest),
        1 => Just(Policy::DropLowest),
        1 => (1u32..5).prop_map(|one_in| Policy::Sample { one_in }),
    ];
    let capacity = prop_oneof![1usize..10, 1usize..400];
    (capacity, policy, prop::option::of(1usize..20), any::<bool>()).prop_map(
        |(capacity, policy, max_weight, refuse)| {
            let mut builder = BackpressureConfig::builder().capacity(capacity).strategy(policy);
            if let Some(max_weight) = max_weight {
                builder = builder.max_weight(max_weight);
            }
            if refuse {
                builder = builder.oversize(Oversize::Refuse);
            }
            builder.build().unwrap()
        },
    )
}

proptest! {
    #[test]
    fn c1_c2_d3_o2_i1_i2_r1_r2_every_item_has_one_fate(
        config in config(),
        changes in prop::collection::vec((0usize..60, config()), 0..4),
        steps in script(),
    ) {
        let items = steps.iter().filter(|step| matches!(step, Step::Item(_))).count();
        let weighs = config.max_weight().is_some();
        let all = || changes.iter().map(|(_, change)| change).filter(|c| c.max_weight().is_some() == weighs).chain([&config]);
        let lossless = all().all(|config| !config.strategy().is_lossy());
        let refuses = all().any(|c| c.max_weight().is_some_and(|max| c.oversize() == Oversize::Refuse && max < 5));
        let capacity = all().map(BackpressureConfig::capacity).max().unwrap_or(0);
        let lag = if changes.is_empty() { (capacity / 64).min(31) } else { 0 };
        let upstream = Script::new(steps);
        let pulled = upstream.pulled();
        let lost = Arc::new(Mutex::new(Vec::new()));
        let hook = Arc::clone(&lost);
        let mut stream = upstream
            .backpressure(config.clone())
            .weigh_by(|&(_, weight)| weight)
            .on_drop(move |(item, _), reason| hook.lock().unwrap().push((item, reason)));
        let gauge = stream.gauge();
        let handle = (!changes.is_empty()).then(|| stream.handle());

        let mut yielded = Vec::new();
        let mut hints = Vec::new();
        for turn in 0.. {
            for (_, change) in changes.iter().filter(|&&(at, _)| at == turn) {
                let refused = handle.as_ref().unwrap().reconfigure(change.clone()).is_err();
                prop_assert_eq!(refused, change.max_weight().is_some() != weighs);
            }
            hints.push((yielded.len(), stream.size_hint()));
            let polled = poll_once(&mut stream);
            let snapshot = gauge.snapshot();
            let counts = snapshot.counts;
            prop_assert!(counts.balances(), "{:?}", counts);
            prop_assert!(counts.queued as usize <= capacity);
            if let Some(config) = handle.as_ref().map(|handle| handle.config()) {
                prop_assert_eq!((snapshot.capacity, snapshot.strategy), (config.capacity(), config.strategy()));
                prop_assert!(snapshot.utilization < 1.0 || polled == Poll::Ready(None) || snapshot.state >= State::Blocked);
            }
            let lost = lost.lock().unwrap().len();
            if let Poll::Ready(Some((item, _))) = polled {
                yielded.push(item);
            }
            let held = read(&pulled) - yielded.len() - lost;
            let outside = usize::from(weighs && (lossless || !changes.is_empty()));
            prop_assert!(held <= capacity + outside, "{} held", held);
            let behind = counts.queued as usize - (held - outside.min(held)).min(counts.queued as usize);
            prop_assert!(behind <= outside + lag, "{} behind", behind);
            if polled == Poll::Ready(None) {
                break;
            }
        }

        let counts = gauge.snapshot().counts;
        prop_assert_eq!((counts.queued, counts.delivered as usize), (0, yielded.len()));
        prop_assert!(yielded.is_sorted(), "the order is kept");
        let lost = lost.lock().unwrap();
        prop_assert_eq!(counts.received as usize, yielded.len() + lost.len());
        let fates: HashSet<usize> = yielded.iter().copied().chain(lost.iter().map(|&(item, _)| item)).collect();
        prop_assert_eq!((fates.len(), yielded.len() + lost.len()), (items, items), "one fate each");
        if lossless && !refuses {
            prop_assert_eq!(yielded.len(), items);
        } else if lossless {
            prop_assert!(lost.iter().all(|&(_, reason)| reason == DropReason::Overflow));
        }
        for (before, (lower, upper)) in hints {
            let remaining = yielded.len() - before;
            prop_assert!(lower <= remaining && upper.is_none_or(|upper| remaining <= upper),
                "{} remained of {:?}", remaining, (lower, upper));
        }
    }
}
