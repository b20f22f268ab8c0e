//! A batch per key.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use backpressure_core::{BatchConfig, BatchConfigBuilder};
use backpressure_stream::BackpressureStreamExt;
use futures_util::stream::FusedStream;
use futures_util::{Stream, StreamExt, stream};
use proptest::prelude::*;
use tokio::time::{Instant, advance};

use crate::support::{Busy, MS, Script, Step, Wakes, assert_pulls_1024_of_3000, exhaust, poll, poll_once, push_clock};

fn config(build: impl FnOnce(BatchConfigBuilder) -> BatchConfigBuilder) -> BatchConfig {
    build(BatchConfig::builder().max_items(1_000_000).linger(5 * MS)).build().unwrap()
}

fn timeless() -> BatchConfig {
    config(|batch| batch.linger(Duration::MAX))
}

/// Items are numbers, their keys the tens.
const fn tens(item: &usize) -> usize {
    *item / 10
}

#[test]
fn b1_every_key_has_batches_of_its_own() {
    let config = config(|batch| batch.max_items(2).linger(Duration::MAX));
    let mut batches = Script::ready([11, 21, 12, 31, 13, 22]).micro_batch_by(tens, config);
    let expected = [(1, vec![11, 12]), (2, vec![21, 22]), (3, vec![31]), (1, vec![13])];
    assert_eq!(exhaust(&mut batches), expected, "what is full goes at once, the rest by age");
}

#[test]
fn b1_weight_closes_the_batch_of_its_key() {
    let config = config(|batch| batch.max_weight(10).linger(Duration::MAX));
    let upstream = Script::ready([14, 21, 15, 13, 19]);
    let mut batches = upstream.micro_batch_by(tens, config).weigh_by(|item| item % 10);
    assert_eq!(exhaust(&mut batches), [(1, vec![14, 15]), (1, vec![13]), (2, vec![21]), (1, vec![19])]);
}

#[test]
fn d3_the_number_of_open_keys_is_bounded_and_the_oldest_makes_room() {
    let mut batches = Script::ready([11, 21, 12, 31, 41, 13]).micro_batch_by(tens, timeless()).max_keys(2).unwrap();
    let expected = [(1, vec![11, 12]), (2, vec![21]), (3, vec![31]), (4, vec![41]), (1, vec![13])];
    assert_eq!(exhaust(&mut batches), expected);
}

#[test]
fn d7_no_open_key_at_all_is_refused() {
    let error = Script::ready([0]).micro_batch_by(tens, timeless()).max_keys(0).unwrap_err();
    assert_eq!(error.to_string(), "max_keys is 0, but must be at least 1");
}

#[tokio::test(start_paused = true)]
async fn d6_no_linger_means_what_is_ready_in_one_go() {
    let eager = config(|batch| batch.linger(Duration::ZERO));
    let steps = [11, 21, 12].map(Step::Item).into_iter().chain([Step::Pause, Step::Item(13), Step::End]);
    let mut batches = Script::new(steps).micro_batch_by(tens, eager);
    assert_eq!(exhaust(&mut batches), [(1, vec![11, 12]), (2, vec![21]), (1, vec![13])]);
}

#[tokio::test(start_paused = true)]
async fn b2_a_hot_key_that_never_pauses_does_not_put_off_the_others() {
    for micros in [1, 10, 99, 250, 900] {
        // One item in 1000 is of another key, which has nothing else.
        let key = |&(n, _): &(u64, Instant)| if n % 1000 == 500 { n } else { 0 };
        let mut batches =
            Busy::at(Duration::from_micros(micros)).micro_batch_by(key, config(|batch| batch.max_items(50)));
        let mut cold = 0;
        while cold < 10 {
            let (key, batch) = batches.next().await.unwrap();
            let waited = Instant::now() - batch[0].1;
            assert!(waited <= 6 * MS, "key {key} waited {waited:?} at {micros} µs an item");
            cold += usize::from(key != 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b2_each_key_has_a_deadline_of_its_own() {
    let mut batches = Script::new([Step::Item(11)]).micro_batch_by(tens, config(|batch| batch));
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    advance(2 * MS).await;
    batches.get_mut().tell(Step::Item(21));
    assert!(poll(&mut batches, &waker).is_pending());
    advance(3 * MS).await;
    assert_eq!(wakes.count(), 2, "the upstream's and the first timer's");
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some((1, vec![11]))));
    assert!(poll(&mut batches, &waker).is_pending());
    advance(2 * MS).await;
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some((2, vec![21]))));
}

#[tokio::test(start_paused = true)]
async fn b3_what_fell_due_without_demand_goes_first_in_the_order_in_which_it_fell_due() {
    let mut batches = Script::new([11, 21, 31].map(Step::Item)).micro_batch_by(tens, config(|batch| batch));
    let (_, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    push_clock(100 * MS);
    advance(MS).await;
    batches.get_mut().tell(Step::Item(12));
    for expected in [(1, vec![11]), (2, vec![21]), (3, vec![31])] {
        assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some(expected)));
    }
    assert!(poll(&mut batches, &waker).is_pending());
}

#[tokio::test(start_paused = true)]
async fn b5_a_key_whose_batch_is_full_leaves_no_timer() {
    let config = config(|batch| batch.max_items(2));
    let mut batches = Script::new([Step::Item(11), Step::Pause]).micro_batch_by(tens, config);
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut batches, &waker).is_pending());
    advance(4 * MS).await;
    batches.get_mut().tell(Step::Item(21));
    batches.get_mut().tell(Step::Item(12));
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some((1, vec![11, 12]))));
    assert!(poll(&mut batches, &waker).is_pending());
    let before = wakes.count();
    advance(4 * MS).await;
    assert_eq!(wakes.count(), before, "the deadline of the key that has gone wakes nobody");
    advance(MS).await;
    assert_eq!(poll(&mut batches, &waker), Poll::Ready(Some((2, vec![21]))));
    assert!(poll(&mut batches, &waker).is_pending());
    let before = wakes.count();
    advance(100 * MS).await;
    assert_eq!(wakes.count(), before);
}

#[tokio::test(start_paused = true)]
async fn quiet_is_counted_by_key() {
    let config = config(|batch| batch.linger(100 * MS).quiet(5 * MS));
    let mut batches = Script::new([11, 21].map(Step::Item)).micro_batch_by(tens, config);
    let (_, waker) = Wakes::new();
    for n in 12..15 {
        assert!(poll(&mut batches, &waker).is_pending());
        advance(MS).await;
        batches.get_mut().tell(Step::Item(n));
    }
    let start = Instant::now();
    assert_eq!(batches.next().await, Some((2, vec![21])));
    assert_eq!(start.elapsed(), 2 * MS);
    assert_eq!(batches.next().await, Some((1, vec![11, 12, 13, 14])));
    assert_eq!(start.elapsed(), 5 * MS);
}

#[test]
fn t3_a_panic_of_the_key_costs_its_item_alone() {
    let key = |&item: &usize| if item == 2 { panic!("who knows") } else { item };
    let mut batches = Script::ready([1, 2, 3]).micro_batch_by(key, timeless());
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut batches))).is_err());
    assert_eq!(exhaust(&mut batches), [(1, vec![1]), (3, vec![3])]);
    assert!(batches.is_terminated());
}

#[test]
fn x2_what_is_held_can_be_taken_out() {
    let mut batches = Script::new([11, 21, 12].map(Step::Item)).micro_batch_by(tens, timeless());
    assert!(poll_once(&mut batches).is_pending());
    let (_, held) = batches.into_parts();
    assert_eq!(held, [(1, vec![11, 12]), (2, vec![21])]);
}

#[test]
fn d5_one_poll_pulls_at_most_1024_items_and_then_lets_others_go_on() {
    let upstream = Script::new((0..3000).map(Step::Item));
    let pulled = upstream.pulled();
    let mut batches = upstream.micro_batch_by(|item| item % 3, timeless());
    assert_pulls_1024_of_3000(&mut batches, &pulled);
}

#[test]
fn d5_a_key_that_equals_nothing_not_even_itself_does_not_hang_it() {
    #[derive(Clone)]
    struct Odd;
    impl Hash for Odd {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }
    impl PartialEq for Odd {
        fn eq(&self, _: &Self) -> bool {
            false
        }
    }
    impl Eq for Odd {}
    let batches = stream::iter(0..100).micro_batch_by(|_| Odd, timeless()).max_keys(3).unwrap();
    let mut batches = Box::pin(batches.map(|(_, batch)| batch));
    for _ in 0..200 {
        if poll_once(&mut batches) == Poll::Ready(None) {
            return;
        }
    }
    panic!("it does not end");
}

proptest! {
    #[test]
    fn b1_b6_i2_every_key_keeps_its_order_and_its_bounds(
        items in prop::collection::vec((0usize..6, 0usize..5), 0..200),
        max_items in 1usize..8,
        max_weight in prop::option::of(1usize..10),
        max_keys in 1usize..8,
    ) {
        let mut builder = BatchConfig::builder().max_items(max_items).linger(Duration::MAX);
        if let Some(max_weight) = max_weight {
            builder = builder.max_weight(max_weight);
        }
        let items: Vec<_> = items.into_iter().enumerate().collect();
        let upstream = Script::ready(items.clone());
        let batches = upstream.micro_batch_by(|&(_, (key, _))| key, builder.build().unwrap());
        let mut batches = batches.weigh_by(|&(_, (_, weight))| weight).max_keys(max_keys).unwrap();
        let mut by_key: HashMap<usize, Vec<usize>> = HashMap::new();
        let (mut hints, mut count) = (Vec::new(), 0);
        loop {
            hints.push(batches.size_hint());
            let Poll::Ready(next) = poll_once(&mut batches) else { continue };
            let Some((key, batch)) = next else { break };
            count += 1;
            prop_assert!((1..=max_items).contains(&batch.len()));
            let weight: usize = batch.iter().map(|&(_, (_, weight))| weight).sum();
            prop_assert!(batch.len() == 1 || max_weight.is_none_or(|max| weight <= max));
            prop_assert!(batch.iter().all(|&(_, (of, _))| of == key));
            by_key.entry(key).or_default().extend(batch.iter().map(|&(n, _)| n));
        }
        for (key, numbers) in &by_key {
            let expected = items.iter().filter(|&&(_, (of, _))| of == *key).map(|&(n, _)| n);
            prop_assert_eq!(numbers, &Vec::from_iter(expected));
        }
        prop_assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), items.len());
        for (yielded, (lower, upper)) in hints.into_iter().enumerate() {
            let remaining = count - yielded.min(count);
            prop_assert!(lower <= remaining && upper.is_some_and(|upper| remaining <= upper));
        }
    }
}
