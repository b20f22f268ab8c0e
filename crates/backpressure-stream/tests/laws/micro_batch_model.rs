//! Micro-batches under random upstreams and a clock that is pushed at random, watched by a bystander.

use std::task::Poll;
use std::time::Duration;

use backpressure_core::BatchConfig;
use backpressure_stream::BackpressureStreamExt;
use futures_util::{Stream, StreamExt};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::support::{Busy, MS, Script, Step, Wakes, paused, poll, read};

#[derive(Debug, Clone, Copy)]
enum Turn {
    Poll,
    Item(usize),
    Wait(u32),
    Change(BatchConfig),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        4 => Just(Turn::Poll),
        4 => (0usize..6).prop_map(Turn::Item),
        2 => (0u32..8).prop_map(Turn::Wait),
        1 => config().prop_map(Turn::Change),
    ];
    prop::collection::vec(turn, 0..120)
}

fn config() -> impl Strategy<Value = BatchConfig> {
    let quiet = prop::option::of(0u32..8);
    (1usize..8, prop::option::of(1usize..12), 0u32..10, quiet).prop_map(|(max_items, max_weight, linger, quiet)| {
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

/// Runs the turns by hand, then ends the upstream.
async fn run(config: BatchConfig, turns: Vec<Turn>) -> Result<(), TestCaseError> {
    let mut config = config;
    let upstream = Script::new([]);
    let pulled = upstream.pulled();
    let mut batches = upstream.micro_batch(config).weigh_by(|&(_, weight)| weight);
    let handle = turns.iter().any(|turn| matches!(turn, Turn::Change(_))).then(|| batches.handle());
    // Batches that may be over the bounds: one that was closed before a change, and the one that was open.
    let mut over = 0_u32;
    let (wakes, waker) = Wakes::new();
    let (mut told, mut yielded) = (0, Vec::new());
    // When the oldest item that is pulled and not yielded was pulled.
    let mut since = None;
    let mut parked = false;
    for turn in turns {
        match turn {
            Turn::Item(weight) => {
                batches.get_mut().tell(Step::Item((told, weight)));
                told += 1;
            }
            Turn::Wait(ms) => {
                for _ in 0..ms {
                    tokio::time::advance(MS).await;
                    let overdue = since.is_some_and(|since: Instant| since.elapsed() >= config.linger());
                    prop_assert!(!parked || !overdue || wakes.count() > 0, "a parked task is woken by the deadline");
                }
            }
            Turn::Change(another) => {
                let before = wakes.count();
                let changed = handle.as_ref().map(|handle| handle.reconfigure(another));
                prop_assert_eq!(changed, Some(Ok(())));
                prop_assert!(!parked || wakes.count() > before, "a parked task is woken for a change");
                (config, over, parked) = (another, 2, false);
            }
            Turn::Poll => {
                let overdue = since.is_some_and(|since: Instant| since.elapsed() >= config.linger());
                let held = read(&pulled) - yielded.len();
                let before = wakes.count();
                let polled = poll(&mut batches, &waker);
                prop_assert_eq!(wakes.count(), before, "it does not wake itself");
                match polled {
                    Poll::Ready(Some(batch)) => {
                        let weight: usize = batch.iter().map(|&(_, weight)| weight).sum();
                        let is_light = batch.len() == 1 || config.max_weight().is_none_or(|max| weight <= max);
                        prop_assert!(!batch.is_empty());
                        prop_assert!(over > 0 || is_light && batch.len() <= config.max_items());
                        prop_assert!(batch.len() >= held || !overdue || over > 0, "what is due goes first and whole");
                        over = over.saturating_sub(1);
                        yielded.extend(batch.into_iter().map(|(number, _)| number));
                        since = (read(&pulled) > yielded.len()).then(Instant::now);
                        parked = false;
                    }
                    Poll::Ready(None) => prop_assert!(false, "it has not ended"),
                    Poll::Pending => {
                        prop_assert!(!overdue, "a batch outstayed its linger");
                        prop_assert!(held == 0 || !config.linger().is_zero());
                        if read(&pulled) > yielded.len() {
                            since.get_or_insert_with(Instant::now);
                        }
                        (parked, over) = (true, 0);
                    }
                }
            }
        }
    }
    batches.get_mut().tell(Step::End);
    let (mut left, hint) = (0, batches.size_hint());
    loop {
        match poll(&mut batches, &waker) {
            Poll::Ready(Some(batch)) => {
                left += 1;
                yielded.extend(batch.into_iter().map(|(number, _)| number));
            }
            Poll::Ready(None) => break,
            Poll::Pending => prop_assert!(false, "the end is there"),
        }
    }
    prop_assert!(hint.0 <= left && hint.1.is_some_and(|most| left <= most), "{} of {:?}", left, hint);
    prop_assert_eq!(yielded, Vec::from_iter(0..told), "the batches are the input");
    Ok(())
}

proptest! {
    #[test]
    fn b1_b2_b3_b6_w3_i2_r1_r3_the_batches_are_the_input_in_time(config in config(), turns in turns()) {
        paused().block_on(run(config, turns))?;
    }

    #[test]
    fn b6_a_busy_upstream_is_cut_by_size_and_time_alone(
        max_items in 1usize..500,
        linger in 0u64..20_000,
        pace in 0u64..2000,
        items in 0u64..1500,
    ) {
        paused().block_on(async {
            let (linger, pace) = (Duration::from_micros(linger), Duration::from_micros(pace));
            let config = BatchConfig::builder().max_items(max_items).linger(linger).build().unwrap();
            let upstream = Busy::at(pace).take(items as usize);
            let batches: Vec<_> = upstream.micro_batch(config).map(|batch| (batch, Instant::now())).collect().await;
            for (batch, at) in &batches {
                prop_assert!((1..=max_items).contains(&batch.len()));
                let waited = *at - batch[0].1;
                prop_assert!(waited <= linger.max(MS / 4) + MS / 2 + pace, "{:?}", waited);
            }
            let numbers: Vec<u64> = batches.into_iter().flat_map(|(batch, _)| batch).map(|(n, _)| n).collect();
            prop_assert_eq!(numbers, Vec::from_iter(0..items));
            Ok(())
        })?;
    }
}

/// Found by the property above: a timer that had rung was reset to a deadline that had passed, and woke the task again.
#[test]
fn w3_a_deadline_that_has_passed_when_its_timer_is_armed_wakes_nobody() {
    use Turn::{Item, Poll, Wait};
    let config = BatchConfig::builder().max_items(4).max_weight(10).linger(MS).build().unwrap();
    let items = [5, 2, 4].map(Item);
    let turns = [
        &[Item(0), Poll, Item(3), Wait(1), Item(5), Item(3), Poll, Poll, Wait(1), Poll][..],
        &items,
        &[Poll, Wait(1), Poll],
    ];
    paused().block_on(run(config, turns.concat())).unwrap();
}
