//! Every item has one fate, whatever happens.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use backpressure_core::{DropReason, Gauge, Priority, Strategy};
use backpressure_sink::{BackpressureSink, BackpressureSinkError, BackpressureSinkExt};
use proptest::prelude::{Strategy as _, *};

use crate::kit::{Poke, Probe, STAGES, Stage, Task, assert_balanced, config};

type Losses = Arc<Mutex<Vec<(u32, DropReason)>>>;

fn recorded(sink: BackpressureSink<Probe<u32>, u32>) -> (BackpressureSink<Probe<u32>, u32>, Losses) {
    let losses = Losses::default();
    let hook = Arc::clone(&losses);
    (sink.on_drop(move |item, reason| hook.lock().unwrap().push((item, reason))), losses)
}

#[derive(Debug, Clone)]
enum Step {
    Offer { weight: usize },
    Room(usize),
    Flush,
    TakeRemainder,
    Reconfigure { capacity: usize, max_weight: usize, strategy: Strategy },
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0usize..6).prop_map(|weight| Step::Offer { weight }),
        3 => (1usize..4).prop_map(Step::Room),
        1 => Just(Step::Flush),
        1 => Just(Step::TakeRemainder),
        1 => (1usize..6, 1usize..10, strategies())
            .prop_map(|(capacity, max_weight, strategy)| Step::Reconfigure { capacity, max_weight, strategy }),
    ];
    prop::collection::vec(step, 1..120)
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop::sample::select(vec![
        Strategy::block(),
        Strategy::DropOldest,
        Strategy::DropNewest,
        Strategy::Sample { one_in: 3 },
        Strategy::Reject,
        Strategy::DropLowest,
    ])
}

proptest! {
    #[test]
    fn c1_c2_c3_d3_r2_every_item_has_one_fate_and_the_books_know_it(
        strategy in strategies(),
        steps in steps(),
        capacity in 1usize..6,
        max_weight in prop::option::of(1usize..10),
        (ranked, changes) in any::<(bool, bool)>(),
        failure in prop::option::of((prop::sample::select(STAGES.to_vec()), 0usize..12)),
    ) {
        let (probe, task) = (Probe::with_room(0), Task::new());
        probe.script().fails = failure;
        let limits = |capacity, max_weight, strategy| config(|c| {
            let c = c.capacity(capacity).batch_items(1).strategy(strategy);
            if let Some(weight) = max_weight { c.max_weight(weight) } else { c }
        });
        let (mut most, mut heaviest, mut may_wait) = (capacity, max_weight, strategy.as_str() == "block");
        let weights: Arc<Mutex<Vec<usize>>> = Arc::default();
        let scale = Arc::clone(&weights);
        let sink = probe.clone().bounded(limits(capacity, max_weight, strategy)).weigh_by(move |&item: &u32| scale.lock().unwrap()[item as usize]);
        let sink = if ranked { sink.rank_by(|item| Priority::new((item % 8) as u8)) } else { sink };
        let (mut sink, losses) = recorded(sink);
        let gauge = sink.gauge();
        let handle = changes.then(|| sink.handle());
        let (mut sent, mut failed, mut back) = (0, 0, Vec::new());
        let mut note = |error: BackpressureSinkError<u32, _>| {
            if let BackpressureSinkError::Inner { lost, .. } = &error {
                failed += lost;
            }
            error.into_item()
        };

        for step in steps {
            match step {
                Step::Offer { weight } => match sink.ready(&task) {
                    Poll::Ready(Ok(())) => {
                        weights.lock().unwrap().push(weight);
                        let result = sink.start(sent);
                        sent += 1;
                        back.extend(result.err().and_then(&mut note));
                    }
                    Poll::Ready(Err(error)) => assert!(note(error).is_none()),
                    Poll::Pending => prop_assert!(may_wait),
                },
                Step::Room(room) => probe.make_room(room),
                Step::Flush => if let Poll::Ready(Err(error)) = sink.flush_once(&task) {
                    assert!(note(error).is_none());
                },
                Step::TakeRemainder => back.extend(sink.take_remainder()),
                Step::Reconfigure { capacity, max_weight, strategy } => if let Some(handle) = &handle {
                    let max_weight = heaviest.map(|_| max_weight);
                    handle.reconfigure(limits(capacity, max_weight, strategy)).unwrap();
                    (most, heaviest) = (most.max(capacity), heaviest.max(max_weight));
                    may_wait |= strategy.as_str() == "block";
                },
            }
            let snapshot = gauge.snapshot();
            prop_assert!(snapshot.counts.balances(), "{:?}", snapshot.counts);
            prop_assert!(snapshot.counts.queued <= most as u64);
            let is_oversize = snapshot.counts.queued == 1;
            prop_assert!(heaviest.is_none_or(|max| snapshot.weight <= max || is_oversize), "{}", snapshot.weight);
        }
        drop(sink);

        let counts = gauge.snapshot().counts;
        prop_assert!(counts.balances());
        prop_assert_eq!((counts.queued, counts.in_flight), (0, 0));
        prop_assert_eq!(counts.failed(), failed as u64);
        let losses = losses.lock().unwrap();
        let script = probe.script();
        let mut fates: Vec<u32> = losses.iter().map(|(item, _)| *item).chain(script.got.iter().copied()).chain(back).collect();
        fates.sort_unstable();
        prop_assert_eq!(fates.len() + failed, sent as usize, "an item without a fate, or with two");
        prop_assert!(fates.is_sorted_by(|a, b| a < b), "an item with two fates");
        if !ranked {
            prop_assert!(script.got.is_sorted(), "o1, o2: in order");
        }
        prop_assert_eq!(script.offences.len(), 0, "{:?}", script.offences);
    }
}

/// Everything the hook was given, with the reason.
#[test]
fn c3_the_hook_gets_each_lost_item_by_value_with_its_reason() {
    let cases = [
        (Strategy::DropOldest, vec![(0, DropReason::Evicted), (1, DropReason::Closed), (2, DropReason::Closed)]),
        (Strategy::DropNewest, vec![(2, DropReason::Overflow), (0, DropReason::Closed), (1, DropReason::Closed)]),
        (Strategy::block(), vec![(0, DropReason::Closed), (1, DropReason::Closed)]),
    ];
    for (strategy, expected) in cases {
        let (probe, task) = (Probe::with_room(0), Task::new());
        let (mut sink, losses) = recorded(probe.bounded(config(|c| c.capacity(2).strategy(strategy))));
        for item in 0..3 {
            let _ = sink.offer(item, &task);
        }
        drop(sink);
        assert_eq!(*losses.lock().unwrap(), expected, "{strategy}");
    }
}

#[test]
fn c4_a_hook_that_panics_and_one_that_looks_back_leave_the_books_whole() {
    let task = Task::new();
    let seen: Arc<Mutex<Option<Gauge>>> = Arc::default();
    let gauge_of = Arc::clone(&seen);
    let limits = config(|c| c.capacity(2).strategy(Strategy::DropOldest));
    let mut sink = Probe::with_room(0).bounded(limits).on_drop(move |item: u32, _| {
        assert_balanced(gauge_of.lock().unwrap().as_ref().unwrap());
        assert_ne!(item, 0, "told to panic");
    });
    *seen.lock().unwrap() = Some(sink.gauge());
    for item in 0..2 {
        assert!(sink.offer(item, &task).is_ready());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| sink.start(2))).is_err());
    assert_balanced(&sink.gauge());
    assert!(sink.offer(3, &task).is_ready());
    assert_eq!(sink.take_remainder(), [2, 3]);
    assert_balanced(&sink.gauge());
}

#[test]
fn c4_when_the_hook_panics_on_one_item_the_others_still_get_their_turn() {
    let (losses, task) = (Losses::default(), Task::new());
    let hook = Arc::clone(&losses);
    let mut sink = Probe::with_room(0).bounded(config(|c| c.capacity(3))).on_drop(move |item: u32, reason| {
        assert_ne!(item, 0, "told to panic");
        hook.lock().unwrap().push((item, reason));
    });
    for item in 0..3 {
        assert!(sink.offer(item, &task).is_ready());
    }
    let gauge = sink.gauge();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(sink))).is_err());
    assert_eq!(*losses.lock().unwrap(), [(1, DropReason::Closed), (2, DropReason::Closed)]);
    assert_balanced(&gauge);
}

#[test]
fn c2_an_item_in_the_hands_of_a_sink_that_panics_has_failed() {
    for stage in STAGES {
        let (probe, task) = (Probe::with_room(0), Task::new());
        let mut sink = probe.clone().bounded(config(|c| c.capacity(4)));
        let gauge = sink.gauge();
        for item in 0..4 {
            assert!(sink.offer(item, &task).is_ready());
        }
        let attempt = usize::from(stage == Stage::Ready || stage == Stage::Send);
        probe.script().panics = Some((stage, attempt));
        probe.make_room(usize::MAX);
        if stage == Stage::Flush {
            probe.script().panics = Some((stage, 0));
            assert!(catch_unwind(AssertUnwindSafe(|| sink.flush_once(&task))).is_err());
        } else {
            assert!(catch_unwind(AssertUnwindSafe(|| sink.close_once(&task))).is_err(), "{stage:?}");
        }
        let counts = gauge.snapshot().counts;
        assert!(counts.balances(), "{stage:?}: {counts:?}");
        assert_eq!(counts.failed(), u64::from(stage == Stage::Send), "{stage:?}");
        if stage != Stage::Close {
            assert!(sink.close_once(&task).is_ready(), "{stage:?}: the sink goes on");
            let lost = u64::from(stage == Stage::Send);
            assert_eq!(gauge.snapshot().counts.delivered, 4 - lost, "{stage:?}");
        }
    }
}

#[test]
fn c5_what_was_not_taken_was_never_said_to_be() {
    let task = Task::new();
    let mut sink = Probe::with_room(0).bounded(config(|c| c.capacity(1).strategy(Strategy::Reject)));
    assert_eq!(sink.offer(0, &task), Poll::Ready(Ok(())));
    assert_eq!(sink.start(1), Err(BackpressureSinkError::Full(1)));
    assert_eq!(sink.take_remainder(), [0]);
}

#[test]
fn c2_an_item_that_goes_past_the_queue_to_a_sink_that_panics_or_fails_has_failed() {
    for stage in [Stage::Ready, Stage::Send] {
        let (probe, task) = (Probe::ready(), Task::new());
        let mut sink = probe.clone().bounded(config(|c| c.capacity(4)));
        let gauge = sink.gauge();
        probe.script().panics = Some((stage, 0));
        assert!(sink.ready(&task).is_ready());
        assert!(catch_unwind(AssertUnwindSafe(|| sink.start('a'))).is_err(), "{stage:?}");
        let counts = gauge.snapshot().counts;
        assert_eq!((counts.received, counts.failed(), counts.queued), (1, 1, 0), "{stage:?}");
        assert!(sink.offer('b', &task).is_ready(), "{stage:?}: the sink goes on");
        probe.script().fails = Some((Stage::Send, probe.attempts(Stage::Send)));
        assert!(sink.ready(&task).is_ready());
        assert!(sink.start('c').is_err());
        let counts = gauge.snapshot().counts;
        assert_eq!((counts.received, counts.failed(), counts.delivered), (3, 2, 1), "{stage:?}");
        assert_balanced(&gauge);
    }
}
