//! E1 and E2, items that expire before their batch is yielded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use backpressure_core::{BatchConfig, BatchSizer, DropReason};
use backpressure_rt::now;
use backpressure_stream::{BackpressureStreamExt, MicroBatch};
use futures_util::Stream;
use futures_util::stream::FusedStream;
use proptest::prelude::*;

use crate::support::{MS, Script, Step, Wakes, exhaust, paused, poll, poll_once, push_clock, read};

fn batch(max_items: usize, linger: Duration) -> BatchConfig {
    BatchConfig::builder().max_items(max_items).linger(linger).build().unwrap()
}

fn told(items: impl IntoIterator<Item = u32>) -> Script<u32> {
    let mut upstream = Script::new([]);
    items.into_iter().for_each(|item| upstream.tell(Step::Item(item)));
    upstream
}

type Lost = Arc<Mutex<Vec<(u32, DropReason)>>>;

fn recorded(batches: MicroBatch<Script<u32>>) -> (MicroBatch<Script<u32>>, Lost) {
    let lost = Lost::default();
    let hook = Arc::clone(&lost);
    (batches.on_drop(move |item, reason| hook.lock().unwrap().push((item, reason))), lost)
}

#[test]
fn e1_e2_c3_what_grew_too_old_while_the_consumer_was_away_is_in_no_batch() {
    let runtime = paused();
    let _context = runtime.enter();
    let batches = told(0..3).micro_batch(batch(5, Duration::MAX)).max_age(100 * MS).unwrap();
    let (mut batches, lost) = recorded(batches);
    assert!(poll_once(&mut batches).is_pending());
    push_clock(60 * MS);
    (3..5).for_each(|n| batches.get_mut().tell(Step::Item(n)));
    push_clock(40 * MS);
    // The first three leave room before the batch is full.
    (5..8).for_each(|n| batches.get_mut().tell(Step::Item(n)));
    assert_eq!(poll_once(&mut batches), Poll::Ready(Some(vec![3, 4, 5, 6, 7])));
    assert_eq!(*lost.lock().unwrap(), [0, 1, 2].map(|item| (item, DropReason::Expired)));
    assert_eq!(batches.expired(), 3);
}

#[test]
fn e1_deadlines_count_by_item_and_a_batch_of_which_nothing_is_left_is_not_yielded() {
    let runtime = paused();
    let _context = runtime.enter();
    let start = now();
    let upstream = told([50, 20, 40]);
    let mut batches = upstream.micro_batch(batch(9, 30 * MS)).expires_by(move |&item| start + item * MS);
    assert!(poll_once(&mut batches).is_pending());
    push_clock(40 * MS);
    assert_eq!(poll_once(&mut batches), Poll::Ready(Some(vec![50])));
    batches.get_mut().tell(Step::Item(60));
    assert!(poll_once(&mut batches).is_pending());
    push_clock(30 * MS);
    assert!(poll_once(&mut batches).is_pending(), "its linger has passed, and so has its deadline");
    batches.get_mut().tell(Step::Item(10));
    batches.get_mut().tell(Step::End);
    assert_eq!(poll_once(&mut batches), Poll::Ready(None), "late when it came");
    assert_eq!((batches.expired(), batches.is_terminated()), (4, true));
}

#[test]
fn b5_w3_nobody_is_woken_for_a_batch_that_has_expired() {
    let runtime = paused();
    let _context = runtime.enter();
    let mut batches = told([1]).micro_batch(batch(9, 50 * MS)).max_age(20 * MS).unwrap();
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    push_clock(20 * MS);
    assert!(poll(&mut batches, &waker).is_pending());
    assert_eq!(batches.expired(), 1);
    runtime.block_on(tokio::time::sleep(100 * MS)); // tidy: paused clock
    assert_eq!(wakes.count(), 0);
}

#[test]
fn b1_e1_an_oversize_item_that_waits_for_another_poll_may_expire_meanwhile() {
    let runtime = paused();
    let _context = runtime.enter();
    let config = BatchConfig::builder().max_weight(10).linger(Duration::MAX).build().unwrap();
    let batches = told([3, 12, 4]).micro_batch(config).weigh_by(|&item| item as usize).max_age(20 * MS).unwrap();
    let (mut batches, lost) = recorded(batches);
    assert_eq!(poll_once(&mut batches), Poll::Ready(Some(vec![3])));
    push_clock(20 * MS);
    batches.get_mut().tell(Step::End);
    assert_eq!(exhaust(&mut batches), [[4]]);
    assert_eq!(*lost.lock().unwrap(), [(12, DropReason::Expired)]);
}

#[test]
fn t3_e1_an_error_comes_although_what_was_before_it_has_expired() {
    let runtime = paused();
    let _context = runtime.enter();
    let mut upstream = Script::new([Step::Item(Ok(1)), Step::Pause]);
    upstream.tell(Step::Item(Err("torn")));
    upstream.tell(Step::Item(Ok(2)));
    upstream.tell(Step::End);
    let mut batches = upstream.try_micro_batch(batch(9, Duration::MAX)).max_age(20 * MS).unwrap();
    assert!(poll_once(&mut batches).is_pending());
    push_clock(20 * MS);
    assert_eq!(exhaust(&mut batches), [Err("torn"), Ok(vec![2])]);
    assert_eq!(batches.expired(), 1);
}

#[test]
fn c3_c4_what_is_held_goes_to_the_hook_and_a_hook_that_panics_harms_nothing() {
    let runtime = paused();
    let _context = runtime.enter();
    let (mut batches, lost) = recorded(told(0..3).micro_batch(batch(9, Duration::MAX)));
    assert!(poll_once(&mut batches).is_pending());
    drop(batches);
    assert_eq!(*lost.lock().unwrap(), [0, 1, 2].map(|item| (item, DropReason::Closed)));

    let batches = told(0..2).micro_batch(batch(3, Duration::MAX)).max_age(20 * MS).unwrap();
    let mut batches = batches.on_drop(|item, _| assert_ne!(item, 0, "told to panic"));
    assert!(poll_once(&mut batches).is_pending());
    push_clock(20 * MS);
    (2..5).for_each(|n| batches.get_mut().tell(Step::Item(n)));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut batches))).is_err());
    assert_eq!(batches.expired(), 2);
    assert_eq!(poll_once(&mut batches), Poll::Ready(Some(vec![2, 3, 4])));
    assert_eq!(batches.into_remainder(), [0; 0]);
}

#[test]
fn c2_x2_what_is_held_when_items_begin_to_expire_goes_first() {
    let mut batches = told(0..2).micro_batch(batch(9, Duration::MAX));
    assert!(poll_once(&mut batches).is_pending());
    let mut batches = batches.expires_by(|_| Instant::now());
    batches.get_mut().tell(Step::Item(2));
    batches.get_mut().tell(Step::End);
    assert_eq!(exhaust(&mut batches), [[0, 1]]);
    assert_eq!(batches.expired(), 1);
}

#[test]
fn b1_a_size_that_is_learned_holds_where_items_expire() {
    let runtime = paused();
    let _context = runtime.enter();
    let sized = told(0..4).micro_batch(batch(9, Duration::MAX)).adapt_size(BatchSizer::new(2, 8, MS).unwrap());
    let mut batches = sized.max_age(MS).unwrap();
    assert_eq!(poll_once(&mut batches), Poll::Ready(Some(vec![0, 1])));
}

#[test]
fn d7_an_age_of_zero_is_refused() {
    let refused = told([]).micro_batch(batch(9, MS)).max_age(Duration::ZERO).unwrap_err();
    assert_eq!(refused.to_string(), "max_age is 0s, but must be above 0");
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Poll,
    /// An item that has so many milliseconds from then on, if it expires.
    Item(usize, Option<u32>),
    Wait(u32),
    Change(BatchConfig),
}

fn config() -> impl Strategy<Value = BatchConfig> {
    let quiet = prop::option::of(0u32..8);
    (1usize..8, prop::option::of(1usize..12), 0u32..20, quiet).prop_map(|(max_items, max_weight, linger, quiet)| {
        let builder = BatchConfig::builder().max_items(max_items).linger(linger * MS);
        let builder = max_weight.map_or(builder.clone(), |max| builder.clone().max_weight(max));
        quiet.map_or(builder.clone(), |quiet| builder.quiet(quiet * MS)).build().unwrap()
    })
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        4 => Just(Turn::Poll),
        5 => (0usize..6, prop::option::of(0u32..20)).prop_map(|(weight, life)| Turn::Item(weight, life)),
        3 => (0u32..8).prop_map(Turn::Wait),
        1 => config().prop_map(Turn::Change),
    ];
    prop::collection::vec(turn, 0..120)
}

/// Its number, its weight, and when it expires.
type Item = (usize, usize, Option<Instant>);

fn run(config: BatchConfig, max_age: Option<u32>, turns: Vec<Turn>) -> Result<(), TestCaseError> {
    let upstream = Script::new([]);
    let pulled = upstream.pulled();
    let expired = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&expired);
    let batches = upstream
        .micro_batch(config)
        .weigh_by(|&(_, weight, _): &Item| weight)
        .expires_by(|&(_, _, deadline): &Item| deadline)
        .on_drop(move |item: Item, reason| hook.lock().unwrap().push((item, reason)));
    let max_age = max_age.map(|ms| ms * MS);
    let mut batches = match max_age {
        Some(max_age) => batches.max_age(max_age).unwrap(),
        None => batches,
    };
    let handle = batches.handle();
    // When each item was pulled, by its number.
    let (mut number, mut came, mut yielded) = (0, Vec::new(), Vec::new());
    let is_late = |(number, _, deadline): Item, came: &[Instant]| {
        let too_old = max_age.is_some_and(|max_age| now() - came[number] >= max_age);
        too_old || deadline.is_some_and(|deadline| deadline <= now())
    };
    let ends = [Turn::Poll, Turn::Poll, Turn::Wait(30), Turn::Poll, Turn::Poll];
    for turn in turns.into_iter().chain(ends) {
        match turn {
            Turn::Item(weight, life) => {
                let deadline = life.map(|life| now() + life * MS);
                batches.get_mut().tell(Step::Item((number, weight, deadline)));
                number += 1;
            }
            Turn::Wait(ms) => push_clock(ms * MS),
            Turn::Change(config) => prop_assert_eq!(handle.reconfigure(config), Ok(())),
            Turn::Poll => {
                let before = expired.lock().unwrap().len();
                let polled = poll_once(&mut batches);
                came.resize(read(&pulled), now());
                if let Poll::Ready(batch) = polled {
                    let batch = batch.expect("it has not ended");
                    prop_assert!(!batch.is_empty());
                    prop_assert!(batch.iter().all(|&item| !is_late(item, &came)), "{:?} is late", batch);
                    yielded.extend(batch.into_iter().map(|(number, ..)| number));
                }
                for &(item, reason) in &expired.lock().unwrap()[before..] {
                    prop_assert!(is_late(item, &came), "{:?} is not late", item);
                    prop_assert_eq!(reason, DropReason::Expired);
                }
            }
        }
        prop_assert_eq!(batches.expired() as usize, expired.lock().unwrap().len());
    }
    batches.get_mut().tell(Step::End);
    let (least, most) = batches.size_hint();
    let rest = exhaust(&mut batches);
    prop_assert!(least <= rest.len() && most.is_some_and(|most| rest.len() <= most));
    yielded.extend(rest.into_iter().flatten().map(|(number, ..)| number));
    prop_assert!(yielded.is_sorted(), "in order");
    let expired = expired.lock().unwrap();
    let mut fates: Vec<usize> = expired.iter().map(|&((number, ..), _)| number).chain(yielded).collect();
    fates.sort_unstable();
    prop_assert_eq!(fates, Vec::from_iter(0..number), "one fate each");
    Ok(())
}

proptest! {
    #[test]
    fn e1_e2_c2_c3_b1_i2_no_batch_holds_what_has_expired_and_nothing_else_is_missing(
        config in config(),
        max_age in prop::option::of(1u32..20),
        turns in turns(),
    ) {
        let runtime = paused();
        let _context = runtime.enter();
        run(config, max_age, turns)?;
    }
}
