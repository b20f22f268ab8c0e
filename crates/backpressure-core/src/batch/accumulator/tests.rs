use std::time::Duration;

use super::*;
use crate::BatchConfigBuilder;

const MS: Duration = Duration::from_millis(1);

fn accumulator<T>(build: impl FnOnce(BatchConfigBuilder) -> BatchConfigBuilder) -> BatchAccumulator<T> {
    BatchAccumulator::new(build(BatchConfig::builder()).build().unwrap())
}

fn closed<T>(batches: impl IntoIterator<Item = Batch<T>>) -> Vec<(Vec<T>, usize, FlushReason)> {
    batches.into_iter().map(|batch| (batch.items, batch.weight, batch.reason)).collect()
}

#[test]
fn b1_an_item_that_would_be_too_much_closes_the_batch_before_it() {
    let mut batches = accumulator(|builder| builder.max_weight(10));
    assert!(batches.push('a', 6).is_empty());
    assert_eq!(closed(batches.push('b', 5)), [(vec!['a'], 6, FlushReason::Weight)]);
    assert_eq!(closed(batches.push('c', 5)), [(vec!['b', 'c'], 10, FlushReason::Weight)]);
    assert!(batches.is_empty());
}

#[test]
fn b1_an_item_heavier_than_the_bound_goes_alone_and_at_once() {
    let mut batches = accumulator(|builder| builder.max_weight(10));
    assert!(batches.push('a', 1).is_empty());
    let expected = [(vec!['a'], 1, FlushReason::Weight), (vec!['b'], 11, FlushReason::Weight)];
    assert_eq!(closed(batches.push('b', 11)), expected);
    assert_eq!(closed(batches.push('c', usize::MAX)), [(vec!['c'], usize::MAX, FlushReason::Weight)]);
    assert!(batches.is_empty());
}

#[test]
fn b1_one_push_can_close_two_batches() {
    let mut batches = accumulator(|builder| builder.max_weight(10));
    assert!(batches.push('a', 9).is_empty());
    batches.set_max_items(1);
    let mut closing = batches.push('b', 2);
    assert_eq!(closing.len(), 2);
    assert_eq!(closing.next().map(|batch| batch.reason), Some(FlushReason::Weight));
    assert_eq!(closing.next().map(|batch| batch.reason), Some(FlushReason::Full));
    assert!(closing.is_empty());

    assert!(batches.is_empty());
    batches.set_max_items(2);
    batches.push_with('c', 9, |batch| panic!("{batch:?} is not closed"));
    batches.set_max_items(1);
    let mut kept = Vec::new();
    batches.push_with('d', 2, |batch| kept.push(batch));
    assert_eq!(closed(kept), [(vec!['c'], 9, FlushReason::Weight), (vec!['d'], 2, FlushReason::Full)]);
}

#[test]
fn b2_a_source_that_never_pauses_does_not_put_off_the_linger() {
    let start = Instant::now();
    let mut batches = accumulator(|builder| builder.max_items(1000).linger(20 * MS).quiet(5 * MS));
    for ms in 0..20 {
        assert!(batches.push(ms, 1).is_empty());
        assert_eq!(batches.observe(start + ms * MS), None, "at {ms} ms");
        assert_eq!(batches.poll_timeout(), Some(start + (ms + 5).min(20) * MS));
    }
    let batch = batches.observe(start + 20 * MS).unwrap();
    assert_eq!((batch.items.len(), batch.reason), (20, FlushReason::Linger));
}

#[test]
fn b3_a_batch_that_is_due_but_not_asked_for_is_kept() {
    let start = Instant::now();
    let mut batches = accumulator(|builder| builder.linger(MS));
    assert!(batches.push('a', 1).is_empty());
    assert_eq!(batches.observe(start), None);
    assert!(batches.push('b', 1).is_empty(), "the deadline has passed unseen");
    assert_eq!(closed(batches.observe(start + 9 * MS)), [(vec!['a', 'b'], 2, FlushReason::Linger)]);
}

#[test]
fn b4_looking_again_and_again_does_not_close_a_batch() {
    let start = Instant::now();
    let mut batches = accumulator(|builder| builder.linger(MS));
    assert!(batches.push('a', 1).is_empty());
    assert!((0..100).all(|_| batches.observe(start).is_none()));
    assert_eq!(batches.len(), 1);
}

#[test]
fn b5_stale_deadline_never_closes_the_next_batch() {
    let start = Instant::now();
    let mut batches = accumulator(|builder| builder.max_items(2).linger(10 * MS).quiet(8 * MS));
    assert!(batches.push('a', 1).is_empty());
    assert_eq!(batches.observe(start), None);
    let stale = batches.poll_timeout().unwrap();
    assert_eq!(batches.push('b', 1).len(), 1);
    assert_eq!(batches.poll_timeout(), None, "nothing is open, nothing is due");
    assert_eq!(batches.observe(stale), None);

    assert!(batches.push('c', 1).is_empty());
    assert_eq!(batches.observe(stale), None, "the timer of the first batch fires late");
    assert_eq!(batches.poll_timeout(), Some(stale + 8 * MS));
}

#[test]
fn quiet_closes_when_nothing_arrives_and_only_then() {
    let start = Instant::now();
    let mut batches = accumulator(|builder| builder.linger(100 * MS).quiet(10 * MS));
    assert!(batches.push('a', 1).is_empty());
    assert_eq!(batches.observe(start), None);
    assert!(batches.push('b', 1).is_empty());
    assert_eq!(batches.observe(start + 10 * MS), None, "something has arrived");
    assert_eq!(batches.observe(start + 19 * MS), None);
    assert_eq!(closed(batches.observe(start + 20 * MS)), [(vec!['a', 'b'], 2, FlushReason::Quiet)]);
}

#[test]
fn the_reason_is_the_deadline_that_came_first() {
    let start = Instant::now();
    for (quiet, reason) in [(9, FlushReason::Quiet), (10, FlushReason::Linger), (11, FlushReason::Linger)] {
        let mut batches = accumulator(|builder| builder.linger(10 * MS).quiet(quiet * MS));
        assert!(batches.push('a', 1).is_empty());
        assert_eq!(batches.observe(start), None);
        assert_eq!(batches.observe(start + 60 * MS).map(|batch| batch.reason), Some(reason), "quiet {quiet}");
    }
}

#[test]
fn d6_zero_linger_closes_at_the_first_look() {
    let mut batches = accumulator(|builder| builder.linger(Duration::ZERO));
    assert!(batches.push('a', 1).is_empty());
    assert!(batches.push('b', 1).is_empty());
    assert_eq!(closed(batches.observe(Instant::now())), [(vec!['a', 'b'], 2, FlushReason::Linger)]);
}

#[test]
fn d6_maxima_reserve_little_and_never_fall_due() {
    let start = Instant::now();
    let mut batches = accumulator(|builder| {
        builder.max_items(usize::MAX).max_weight(usize::MAX).linger(Duration::MAX).quiet(Duration::MAX)
    });
    assert!(batches.push('a', usize::MAX - 1).is_empty());
    assert!(batches.items.capacity() <= MAX_RESERVED);
    assert_eq!(batches.observe(start), None);
    assert_eq!(batches.poll_timeout(), None);
    assert_eq!(closed(batches.push('b', 2)), [(vec!['a'], usize::MAX - 1, FlushReason::Weight)]);
}

#[test]
fn d6_without_a_bound_weight_saturates_and_closes_nothing() {
    let mut batches = accumulator(|builder| builder.max_items(3));
    assert!(batches.push('a', usize::MAX).is_empty());
    assert!(batches.push('b', usize::MAX).is_empty());
    let expected = [(vec!['a', 'b', 'c'], usize::MAX, FlushReason::Full)];
    assert_eq!(closed(batches.push('c', 1)), expected);
}

#[test]
fn items_without_size_are_counted_all_the_same() {
    let mut batches = accumulator(|builder| builder.max_items(2));
    assert!(batches.push((), 1).is_empty());
    assert_eq!(batches.push((), 1).len(), 1);
    batches.set_max_items(1);
    assert_eq!(batches.push((), 1).len(), 1);
}

#[test]
fn an_open_batch_keeps_its_limit() {
    let mut batches = accumulator(|builder| builder.max_items(3));
    assert!(batches.push('a', 1).is_empty());
    batches.set_max_items(0);
    assert!(batches.push('b', 1).is_empty());
    assert_eq!(closed(batches.push('c', 1)), [(vec!['a', 'b', 'c'], 3, FlushReason::Full)]);
    assert_eq!(closed(batches.push('d', 1)), [(vec!['d'], 1, FlushReason::Full)]);
}

#[test]
fn flush_and_end_take_what_is_left_and_say_why() {
    let mut batches = accumulator(|builder| builder);
    assert_eq!(batches.flush(), None);
    assert!(batches.push('a', 1).is_empty());
    assert_eq!(closed(batches.flush()), [(vec!['a'], 1, FlushReason::Flush)]);
    assert!(batches.push('b', 2).is_empty());
    assert_eq!(closed(batches.end()), [(vec!['b'], 2, FlushReason::End)]);
    assert_eq!(batches.end(), None);
}

#[test]
fn b1_a_run_stops_short_of_the_edges_of_a_batch() {
    let mut batches = accumulator(|builder| builder.max_items(5));
    let mut items = (0..).map(Ok);
    let mut next = || items.next().unwrap_or(Err("no more"));
    assert_eq!(batches.extend_to(9, &mut next), Ok(()));
    assert!(batches.is_empty(), "no batch is open");
    assert!(batches.push(99, 1).is_empty());
    assert_eq!(batches.extend_to(3, &mut next), Ok(()));
    assert_eq!((batches.extend_to(9, || Err("no more")), batches.len()), (Err("no more"), 3));
    assert_eq!(batches.extend_to(9, &mut next), Ok(()));
    assert_eq!((batches.len(), batches.weight()), (4, 4), "one more would fill it");
    assert_eq!(closed(batches.push(9, 1)), [(vec![99, 0, 1, 2, 9], 5, FlushReason::Full)]);

    let mut batches = accumulator(|builder| builder.max_weight(10));
    assert!(batches.push(0, 7).is_empty());
    assert_eq!(batches.extend_to(9, || Ok::<_, ()>(0)), Ok(()));
    assert_eq!((batches.len(), batches.weight()), (3, 9));
}

#[test]
fn d6_a_run_does_not_bring_the_weight_beyond_what_can_be_counted() {
    let mut batches = accumulator(|builder| builder.max_items(9));
    assert!(batches.push(0, 0).is_empty());
    assert_eq!(batches.extend_to(2, || Ok::<_, ()>(0)), Ok(()));
    assert_eq!(batches.weight(), 1);
    assert!(batches.push(0, usize::MAX - 2).is_empty());
    assert_eq!(batches.extend_to(9, || Ok::<_, ()>(0)), Ok(()));
    assert_eq!((batches.len(), batches.weight()), (3, usize::MAX - 1));
    let weights = [1, 1, 0].map(|weight| batches.push(0, weight).len() + batches.weight());
    assert_eq!(weights, [usize::MAX; 3]);
    assert_eq!(batches.extend_to(9, || Ok::<_, ()>(0)), Ok(()));
    assert_eq!(batches.end().map(|batch| (batch.items.len(), batch.weight)), Some((6, usize::MAX)));
}

#[test]
fn b1_one_allocation_holds_a_batch() {
    let mut batches = accumulator(|builder| builder.max_items(100));
    assert!(batches.push(0, 1).is_empty());
    let held = batches.items.as_ptr();
    let batch = (1..100).flat_map(|item| batches.push(item, 1)).next().unwrap();
    assert_eq!((batch.items.as_ptr(), batch.items.capacity()), (held, 100));
    assert_eq!(batches.items.capacity(), 0);
}
