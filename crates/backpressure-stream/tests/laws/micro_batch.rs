//! Micro-batches where time plays no part.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use backpressure_core::{BatchConfig, BatchConfigBuilder};
use backpressure_stream::{BackpressureStreamExt, MicroBatch};
use futures_util::stream::{self, FusedStream};
use futures_util::{FutureExt, Stream, StreamExt};

use crate::support::{Liar, Script, Step, Wakes, assert_pulls_1024_of_3000, exhaust, poll, poll_once, read};

/// Batches that no time closes, so that no runtime is needed.
fn timeless(build: impl FnOnce(BatchConfigBuilder) -> BatchConfigBuilder) -> BatchConfig {
    build(BatchConfig::builder().max_items(3).linger(Duration::MAX)).build().unwrap()
}

fn ready(items: impl IntoIterator<Item = usize>) -> MicroBatch<Script<usize>> {
    Script::ready(items).micro_batch(timeless(|batch| batch))
}

#[test]
fn b1_a_batch_is_full_or_the_last() {
    assert_eq!(exhaust(&mut ready(0..8)), [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7]]);
    assert_eq!(exhaust(&mut ready(0..3)), [vec![0, 1, 2]], "and never empty");
    assert_eq!(exhaust(&mut ready([])), [[0; 0]; 0]);
}

#[test]
fn b1_weight_closes_a_batch_and_an_oversize_item_goes_alone() {
    let weighed = timeless(|batch| batch.max_items(10).max_weight(10));
    let mut batches = Script::ready([4, 5, 2, 11, 1, 9, 3]).micro_batch(weighed).weigh_by(|&weight| weight);
    assert_eq!(exhaust(&mut batches), [vec![4, 5], vec![2], vec![11], vec![1, 9], vec![3]]);
}

#[test]
fn b1_without_a_scale_every_item_weighs_one() {
    let mut batches = Script::ready(0..5).micro_batch(timeless(|batch| batch.max_weight(2)));
    assert_eq!(exhaust(&mut batches), [vec![0, 1], vec![2, 3], vec![4]]);
}

#[test]
fn b4_demand_alone_closes_nothing() {
    let steps = [Step::Item(1), Step::Pause, Step::Item(2), Step::Pause, Step::Pause, Step::Item(3)];
    let mut batches = Script::new(steps).micro_batch(timeless(|batch| batch));
    assert!((0..3).all(|_| poll_once(&mut batches).is_pending()));
    assert_eq!(poll_once(&mut batches), Poll::Ready(Some(vec![1, 2, 3])));
}

#[test]
fn d5_one_poll_pulls_at_most_1024_items_and_then_lets_others_go_on() {
    let endless = timeless(|batch| batch.max_items(1_000_000));
    let upstream = Script::new((0..3000).map(Step::Item));
    let pulled = upstream.pulled();
    let mut batches = upstream.micro_batch(endless);
    assert_pulls_1024_of_3000(&mut batches, &pulled);
}

#[test]
fn d6_the_largest_of_everything_reserves_little_and_needs_no_timer() {
    let largest = timeless(|batch| batch.max_items(usize::MAX).max_weight(usize::MAX).quiet(Duration::MAX));
    let mut batches = Script::ready([1, 2]).micro_batch(largest).weigh_by(|_| usize::MAX / 2);
    assert_eq!(exhaust(&mut batches), [[1, 2]]);
    let mut batches = Script::new([Step::Item(1), Step::Pause, Step::End]).micro_batch(largest);
    assert!(poll_once(&mut batches).is_pending());
    assert_eq!(exhaust(&mut batches), [[1]]);
}

#[tokio::test(start_paused = true)]
async fn d6_no_linger_means_what_is_ready_in_one_go() {
    let eager = BatchConfig::builder().max_items(3).linger(Duration::ZERO).build().unwrap();
    let steps = [1, 2, 3, 4, 5].map(Step::Item);
    let steps = steps.into_iter().chain([Step::Pause, Step::Pause, Step::Item(6), Step::Restless, Step::Item(7)]);
    let mut batches = Script::new(steps.chain([Step::End])).micro_batch(eager);
    assert_eq!(exhaust(&mut batches), [vec![1, 2, 3], vec![4, 5], vec![6], vec![7]]);
}

#[test]
fn w1_pending_hands_the_latest_waker_on() {
    let mut batches = Script::new([]).micro_batch(timeless(|batch| batch.max_items(1)));
    let ((first, waker), (second, other)) = (Wakes::new(), Wakes::new());
    assert_eq!(poll(&mut batches, &waker), Poll::Pending);
    assert_eq!(poll(&mut batches, &other), Poll::Pending);
    batches.get_mut().tell(Step::Item(1));
    assert_eq!((first.count(), second.count()), (0, 1));
    assert_eq!(poll(&mut batches, &other), Poll::Ready(Some(vec![1])));
}

#[test]
fn t2_after_the_end_it_stays_none_and_leaves_the_upstream_alone() {
    let upstream = Script::new([Step::Item(1), Step::End, Step::Item(2)]);
    let polls = upstream.polls();
    let mut batches = upstream.micro_batch(timeless(|batch| batch));
    assert_eq!(poll_once(&mut batches), Poll::Ready(Some(vec![1])));
    assert!(batches.is_terminated());
    assert!((0..10).all(|_| poll_once(&mut batches) == Poll::Ready(None)));
    assert_eq!(read(&polls), 2);
}

#[test]
fn t3_a_panic_of_the_upstream_costs_nothing_that_was_gathered() {
    let upstream = Script::new([Step::Item(1), Step::Item(2), Step::Panic, Step::Item(3)]);
    let mut batches = upstream.micro_batch(timeless(|batch| batch));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut batches))).is_err());
    assert_eq!(exhaust(&mut batches), [[1, 2]]);
}

#[test]
fn t3_a_panic_of_the_scale_costs_its_item_alone() {
    let scale = |&item: &usize| if item == 2 { panic!("too much") } else { item };
    let mut batches = Script::ready([1, 2, 3]).micro_batch(timeless(|batch| batch)).weigh_by(scale);
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut batches))).is_err());
    assert_eq!(exhaust(&mut batches), [[1, 3]]);
}

#[test]
fn x2_a_next_that_is_dropped_takes_nothing_along() {
    let steps = [Step::Item(1), Step::Pause, Step::Item(2), Step::Pause, Step::Item(3), Step::End];
    let mut batches = Script::new(steps).micro_batch(timeless(|batch| batch));
    assert_eq!(batches.next().now_or_never(), None);
    assert_eq!(batches.next().now_or_never(), None);
    assert_eq!(batches.next().now_or_never(), Some(Some(vec![1, 2, 3])));
}

#[test]
fn x2_what_is_held_can_be_taken_out() {
    let mut batches = Script::new([1, 2].map(Step::Item)).micro_batch(timeless(|batch| batch));
    assert!(poll_once(&mut batches).is_pending());
    let (mut upstream, held) = batches.into_parts();
    assert_eq!(held, [1, 2]);
    assert!(poll_once(&mut upstream).is_pending());

    let weighed = timeless(|batch| batch.max_weight(10));
    let mut batches = Script::ready([9, 10, 1]).micro_batch(weighed).weigh_by(|&weight| weight);
    assert_eq!(poll_once(&mut batches), Poll::Ready(Some(vec![9])));
    assert_eq!(batches.into_remainder(), [10], "the item that closed one batch and filled the next");
}

#[test]
fn i2_a_size_hint_that_lies_is_harmless() {
    for lie in [(usize::MAX, Some(usize::MAX)), (usize::MAX, None), (0, Some(0))] {
        let mut batches = Liar(Script::ready(0..4), lie).micro_batch(timeless(|batch| batch));
        assert!(poll_once(&mut batches).is_ready());
        let _ = batches.size_hint();
        assert_eq!(exhaust(&mut batches), [[3]]);
    }
}

#[test]
fn i2_the_hint_counts_batches() {
    let batches = stream::iter(0..10).micro_batch(timeless(|batch| batch));
    assert_eq!(batches.size_hint(), (4, Some(10)));
}
