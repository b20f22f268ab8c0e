use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::batch::plan::Keyed;

const MS: Duration = Duration::from_millis(1);

fn limits(max_items: usize) -> Limits {
    Limits { max_items, max_weight: None, linger: Duration::MAX, quiet: None, max_lanes: usize::MAX }
}

fn queued(request: char) -> QueuedCall<char> {
    QueuedCall { request, weight: 1, deadline: None }
}

/// Everybody in one lane, at one time.
fn arrive(lanes: &mut Lanes<char>, requests: &str, now: Instant) {
    for request in requests.chars() {
        assert!(lanes.push(request as usize, queued(request), now, now));
    }
}

fn is_empty<Req>(lanes: &Lanes<Req>) -> bool {
    lanes.lanes.iter().all(|lane| lane.calls.is_empty() && lane.weight == 0)
}

fn take(lanes: &mut Lanes<char>) -> Option<(String, FlushReason)> {
    lanes.take().map(|batch| (batch.requests.into_iter().collect(), batch.reason))
}

#[test]
fn b1_a_full_lane_is_due_and_gives_what_a_batch_may_hold() {
    let now = Instant::now();
    let mut lanes = Lanes::new(limits(3), None);
    arrive(&mut lanes, "ab", now);
    assert_eq!(lanes.next_is_full(), None);
    assert_eq!(lanes.room(), (1, usize::MAX - 2));
    arrive(&mut lanes, "cdefg", now);
    assert_eq!(take(&mut lanes), Some(("abc".into(), FlushReason::Full)));
    assert_eq!(take(&mut lanes), Some(("def".into(), FlushReason::Full)));
    assert_eq!(take(&mut lanes), None);
    lanes.end();
    assert_eq!(take(&mut lanes), Some(("g".into(), FlushReason::End)));
    assert!(is_empty(&lanes));
}

#[test]
fn b3_whoever_comes_before_a_due_batch_leaves_may_join() {
    let now = Instant::now();
    let mut lanes = Lanes::new(Limits { linger: 10 * MS, ..limits(3) }, None);
    arrive(&mut lanes, "a", now);
    lanes.advance(now + 10 * MS);
    assert_eq!(lanes.next_is_full(), Some(false));
    arrive(&mut lanes, "bc", now + 11 * MS);
    assert_eq!(take(&mut lanes), Some(("abc".into(), FlushReason::Full)));
}

#[test]
fn b5_what_is_left_in_a_lane_has_a_deadline_of_its_own() {
    let now = Instant::now();
    let mut lanes = Lanes::new(Limits { linger: 10 * MS, quiet: Some(4 * MS), ..limits(2) }, None);
    arrive(&mut lanes, "abc", now);
    assert_eq!(take(&mut lanes), Some(("ab".into(), FlushReason::Full)));
    assert_eq!(lanes.poll_timeout(), Some(now + 4 * MS), "nothing has arrived since");
    lanes.advance(now + 4 * MS);
    assert_eq!(take(&mut lanes), Some(("c".into(), FlushReason::Quiet)));
    assert_eq!(lanes.poll_timeout(), None);
}

#[test]
fn other_limits_hold_for_those_who_wait_the_oldest_first() {
    let now = Instant::now();
    let sort = Keyed::new(Arc::new(char::is_ascii_digit));
    let mut lanes = Lanes::new(limits(9), Some(Box::new(sort)));
    arrive(&mut lanes, "1ab2c", now);
    lanes.reconfigure(limits(3), now + MS);
    assert_eq!(take(&mut lanes), Some(("abc".into(), FlushReason::Full)));
    assert_eq!((take(&mut lanes), lanes.poll_timeout(), lanes.is_empty()), (None, None, false));

    lanes.reconfigure(Limits { linger: 9 * MS, quiet: Some(4 * MS), ..limits(3) }, now + 2 * MS);
    assert_eq!(lanes.poll_timeout(), Some(now + 4 * MS), "since they came");
    arrive(&mut lanes, "d", now + 3 * MS);
    lanes.reconfigure(Limits { linger: 9 * MS, ..limits(3) }, now + 3 * MS);
    assert_eq!(lanes.poll_timeout(), Some(now + 9 * MS));
    lanes.reconfigure(Limits { linger: 3 * MS, max_weight: Some(2), ..limits(3) }, now + 3 * MS);
    assert_eq!(take(&mut lanes), Some(("12".into(), FlushReason::Weight)));
    lanes.set_limits(1, 3 * MS);
    assert_eq!(take(&mut lanes), Some(("d".into(), FlushReason::Full)));
    assert!(is_empty(&lanes) && lanes.is_empty());
}

#[test]
fn k1_a_clock_that_goes_back_changes_nothing() {
    let now = Instant::now() + 100 * MS;
    let mut lanes = Lanes::new(Limits { linger: 10 * MS, quiet: Some(5 * MS), ..limits(9) }, None);
    arrive(&mut lanes, "a", now);
    arrive(&mut lanes, "b", now - 50 * MS);
    lanes.advance(now - 50 * MS);
    assert_eq!(lanes.next_is_full(), None);
    assert_eq!(lanes.poll_timeout(), Some(now + 5 * MS));
}

#[test]
fn o3_lanes_that_are_due_take_turns() {
    let now = Instant::now();
    let sort = Keyed::new(Arc::new(|request: &char| *request));
    let mut lanes = Lanes::new(Limits { linger: Duration::ZERO, ..limits(1) }, Some(Box::new(sort)));
    for (call, request) in "aaaab".chars().enumerate() {
        assert!(lanes.push(call, queued(request), now, now));
    }
    let order: String = std::iter::from_fn(|| take(&mut lanes)).map(|(batch, _)| batch).collect();
    assert_eq!(order, "abaaa");
}

#[test]
fn x1_a_call_can_leave_whether_its_lane_is_due_or_not() {
    let now = Instant::now();
    let mut lanes = Lanes::new(Limits { max_weight: Some(10), ..limits(9) }, None);
    arrive(&mut lanes, "abc", now);
    assert_eq!(lanes.remove('b' as usize), Some('b'));
    assert_eq!(lanes.remove('b' as usize), None);
    assert_eq!(lanes.remove(999), None);
    lanes.flush_oldest();
    assert_eq!(lanes.remove('a' as usize), Some('a'));
    assert_eq!(lanes.remove('c' as usize), Some('c'));
    assert_eq!(lanes.next_is_full(), None);
    assert!(is_empty(&lanes));
}

#[test]
fn deadlines_leave_with_their_calls() {
    let now = Instant::now();
    let mut lanes = Lanes::new(limits(2), None);
    let by = |deadline| QueuedCall { deadline: Some(deadline), ..queued('x') };
    for call in 0..3 {
        assert!(lanes.push(call, by(now + MS * (3 - call as u32)), now, now));
    }
    assert_eq!(lanes.poll_timeout(), Some(now + MS));
    assert_eq!((lanes.remove_expired(now), lanes.remove_expired(now + MS)), (None, Some(2)));
    assert_eq!(lanes.remove_expired(now + MS), None);
    lanes.flush_oldest();
    assert_eq!(lanes.take().map(|batch| batch.calls), Some(vec![0, 1]));
    assert_eq!((lanes.remove_expired(now + 9 * MS), lanes.poll_timeout()), (None, None));
}

#[test]
fn d6_weights_of_any_size_are_summed_up_and_taken_away() {
    let now = Instant::now();
    let mut lanes = Lanes::new(Limits { max_weight: Some(usize::MAX), ..limits(9) }, None);
    let heavy = || QueuedCall { weight: usize::MAX, ..queued('x') };
    (0..4).for_each(|call| assert!(lanes.push(call, heavy(), now, now)));
    lanes.remove(0);
    for call in 1..4 {
        assert_eq!(lanes.take().map(|batch| batch.calls), Some(vec![call]));
    }
    assert!(is_empty(&lanes));
}

#[derive(Debug, Clone)]
enum Step {
    Arrive { lane: u8, weight: usize, lives: Option<u64> },
    Leave(usize),
    Pass(u64),
    Back(u64),
    Take,
    Urge,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4u8, 0..8usize, prop::option::of(0..20u64))
            .prop_map(|(lane, weight, lives)| Step::Arrive { lane, weight, lives }),
        2 => (0..200usize).prop_map(Step::Leave),
        2 => (0..12u64).prop_map(Step::Pass),
        1 => (0..12u64).prop_map(Step::Back),
        4 => Just(Step::Take),
        1 => Just(Step::Urge),
    ]
}

proptest! {
    /// Against one list of who waits: batches are of one lane, in order, within their bounds, and nobody overstays.
    #[test]
    fn b1_b2_b6_batches_are_runs_of_their_lanes(
        max_items in 1..5usize,
        max_weight in prop::option::of(1..12usize),
        linger in 0..10u64,
        quiet in prop::option::of(0..10u64),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let start = Instant::now();
        let limits = Limits {
            max_items, max_weight, linger: MS * linger as u32, quiet: quiet.map(Duration::from_millis), max_lanes: 3,
        };
        let sort = Keyed::new(Arc::new(|request: &(u8, usize)| request.0));
        let mut lanes: Lanes<(u8, usize)> = Lanes::new(limits, Some(Box::new(sort)));
        let mut waiting: Vec<(u8, usize, usize, Instant, Option<Instant>)> = Vec::new();
        let (mut now, mut calls) = (start + 1000 * MS, 0);
        let mut latest = start;
        for step in steps {
            if let Step::Arrive { .. } | Step::Take = step {
                latest = latest.max(now);
            }
            match step {
                Step::Arrive { lane, weight, lives } => {
                    let deadline = lives.map(|ms| now + MS * ms as u32);
                    let call = QueuedCall { request: (lane, calls), weight, deadline };
                    prop_assert!(lanes.push(calls, call, now, now));
                    // A clock that goes back only delays: nobody came before those who came earlier.
                    waiting.push((lane, calls, weight, latest, deadline));
                    calls += 1;
                }
                Step::Leave(call) => {
                    let place = waiting.iter().position(|waiting| waiting.1 == call);
                    let left = lanes.remove(call);
                    prop_assert_eq!(left.map(|left| left.1), place.map(|_| call));
                    place.map(|place| waiting.remove(place));
                }
                Step::Pass(ms) => now += MS * ms as u32,
                Step::Back(ms) => now -= MS * ms as u32,
                Step::Urge => lanes.flush_oldest(),
                Step::Take => {
                    lanes.advance(now);
                    let due = lanes.next_is_full().is_some();
                    let Some(batch) = lanes.take() else {
                        prop_assert!(!due);
                        // No first of a lane has been here for the linger.
                        let mut firsts: HashMap<u8, Instant> = HashMap::new();
                        for (lane, _, _, since, _) in &waiting {
                            firsts.entry(*lane).or_insert(*since);
                        }
                        prop_assert!(!firsts.values().any(|since| *since + limits.linger <= latest));
                        continue;
                    };
                    prop_assert!(due && !batch.calls.is_empty() && batch.calls.len() <= max_items);
                    let key = batch.requests[0].0;
                    let expected: Vec<_> = waiting.iter().filter(|waiting| waiting.0 == key).take(batch.calls.len()).copied().collect();
                    prop_assert_eq!(&batch.calls, &expected.iter().map(|waiting| waiting.1).collect::<Vec<_>>());
                    let weight: usize = expected.iter().map(|waiting| waiting.2).sum();
                    prop_assert!(batch.calls.len() == 1 || max_weight.is_none_or(|max| weight <= max));
                    waiting.retain(|waiting| !batch.calls.contains(&waiting.1));
                }
            }
            let keys: HashSet<u8> = waiting.iter().map(|waiting| waiting.0).collect();
            prop_assert_eq!(lanes.lanes.iter().filter(|lane| !lane.calls.is_empty()).count(), keys.len());
            let first = waiting.iter().filter_map(|waiting| Some((waiting.4?, waiting.1))).min();
            prop_assert_eq!(lanes.deadlines.first().copied(), first);
        }
    }
}
