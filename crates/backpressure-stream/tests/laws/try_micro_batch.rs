//! Batches of what succeeds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use backpressure_core::BatchConfig;
use backpressure_stream::{BackpressureStreamExt, TryMicroBatch};
use futures_util::StreamExt;
use futures_util::stream::{FusedStream, Stream};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::support::{MS, Script, Step, exhaust, poll_once};

type Outcome = Result<u32, &'static str>;

fn batches(steps: impl IntoIterator<Item = Step<Outcome>>) -> TryMicroBatch<Script<Outcome>> {
    let config = BatchConfig::builder().max_items(3).linger(Duration::MAX).build().unwrap();
    Script::new(steps).try_micro_batch(config)
}

#[test]
fn t3_an_error_follows_what_came_before_it_and_the_stream_goes_on() {
    let steps = [Ok(1), Ok(2), Err("a"), Err("b"), Ok(3), Ok(4), Ok(5), Err("c")].map(Step::Item);
    let mut batches = batches(steps.into_iter().chain([Step::End]));
    let expected = [Ok(vec![1, 2]), Err("a"), Err("b"), Ok(vec![3, 4, 5]), Err("c")];
    assert_eq!(exhaust(&mut batches), expected);
    assert!(batches.is_terminated());
}

#[test]
fn t2_it_ends_as_the_upstream_does() {
    let mut batches = batches([Step::Item(Ok(1)), Step::End, Step::Item(Ok(2))]);
    assert_eq!(exhaust(&mut batches), [Ok(vec![1])]);
    assert_eq!(poll_once(&mut batches), Poll::Ready(None));
}

#[test]
fn t3_an_error_waits_for_nothing() {
    let mut batches = batches([Step::Item(Ok(1)), Step::Item(Err("a")), Step::Item(Ok(2)), Step::Pause]);
    assert_eq!(poll_once(&mut batches), Poll::Ready(Some(Ok(vec![1]))));
    assert!(!batches.is_terminated());
    assert_eq!(poll_once(&mut batches), Poll::Ready(Some(Err("a"))));
    assert_eq!(poll_once(&mut batches), Poll::Pending);
}

#[test]
fn t3_a_panic_of_the_upstream_costs_nothing_that_was_gathered() {
    let mut batches = batches([Step::Item(Ok(1)), Step::Panic]);
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut batches))).is_err());
    assert_eq!(exhaust(&mut batches), [Ok(vec![1])]);
}

#[test]
fn x2_what_is_held_can_be_taken_out_the_error_too() {
    let mut batches = batches([Ok(1), Err("a"), Ok(2)].map(Step::Item));
    assert_eq!(poll_once(&mut batches), Poll::Ready(Some(Ok(vec![1]))));
    let (_, held, error) = batches.into_parts();
    assert_eq!((held, error), (vec![], Some("a")));
}

#[tokio::test(start_paused = true)]
async fn b2_a_success_leaves_within_its_linger() {
    let config = BatchConfig::builder().linger(5 * MS).build().unwrap();
    let mut batches = Script::new([Step::Item(Outcome::Ok(1))]).try_micro_batch(config).weigh_by(|_| 1);
    let start = Instant::now();
    assert_eq!(batches.next().await, Some(Ok(vec![1])));
    assert_eq!(start.elapsed(), 5 * MS);
}

proptest! {
    #[test]
    fn b6_i2_the_batches_and_errors_are_the_input(
        steps in prop::collection::vec(prop_oneof![
            4 => any::<u32>().prop_map(|n| Step::Item(Ok(n))),
            1 => Just(Step::Item(Err("bad"))),
            1 => Just(Step::Pause),
        ], 0..100),
    ) {
        let input: Vec<Outcome> = steps.iter().filter_map(|&step| if let Step::Item(item) = step { Some(item) } else { None }).collect();
        let mut batches = batches(steps.into_iter().chain([Step::End]));
        let (mut output, mut hints, mut count) = (Vec::new(), Vec::new(), 0);
        loop {
            hints.push((count, batches.size_hint()));
            match poll_once(&mut batches) {
                Poll::Pending => {}
                Poll::Ready(None) => break,
                Poll::Ready(Some(Ok(batch))) => {
                    prop_assert!((1..=3).contains(&batch.len()));
                    output.extend(batch.into_iter().map(Ok));
                    count += 1;
                }
                Poll::Ready(Some(Err(error))) => {
                    output.push(Err(error));
                    count += 1;
                }
            }
        }
        prop_assert_eq!(output, input);
        for (yielded, (lower, upper)) in hints {
            let remaining = count - yielded;
            prop_assert!(lower <= remaining && upper.is_some_and(|upper| remaining <= upper));
        }
    }
}
