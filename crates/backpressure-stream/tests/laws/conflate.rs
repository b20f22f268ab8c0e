//! Merging instead of queueing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use backpressure_stream::{BackpressureStreamExt, Conflate};
use futures_util::stream::{FusedStream, Stream};
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;

use crate::support::{Liar, Script, Step, Wakes, exhaust, poll, poll_once, read};

type Merged<T> = Conflate<Script<T>, fn(T, T) -> T>;

fn joined(steps: impl IntoIterator<Item = Step<String>>) -> Merged<String> {
    Script::new(steps).conflate(|older, newer| older + &newer)
}

fn item(text: &str) -> Step<String> {
    Step::Item(text.into())
}

#[test]
fn o1_what_became_ready_meanwhile_is_merged_in_order() {
    let steps =
        [item("a"), Step::Pause, item("b"), item("c"), item("d"), Step::Pause, Step::Pause, item("e"), Step::End];
    let mut merged = joined(steps);
    assert_eq!(exhaust(&mut merged), ["a", "bcd", "e"]);
    assert!(merged.is_terminated());
}

#[test]
fn d5_one_poll_merges_at_most_256_items() {
    let upstream = Script::ready(0..1000);
    let polls = upstream.polls();
    let mut latest = upstream.conflate(|_, newest| newest);
    assert_eq!(poll_once(&mut latest), Poll::Ready(Some(255)));
    assert_eq!(read(&polls), 256);
    assert_eq!(exhaust(&mut latest), [511, 767, 999]);
}

#[test]
fn w1_w3_pending_hands_the_latest_waker_on_and_wakes_nobody() {
    let mut merged = joined([]);
    let ((first, waker), (second, other)) = (Wakes::new(), Wakes::new());
    assert!(poll(&mut merged, &waker).is_pending());
    assert!(poll(&mut merged, &other).is_pending());
    assert_eq!((first.count(), second.count()), (0, 0));
    merged.get_mut().tell(item("a"));
    assert_eq!((first.count(), second.count()), (0, 1));
}

#[test]
fn t2_after_the_end_it_stays_none_and_leaves_the_upstream_alone() {
    let mut merged = joined([item("a"), item("b"), Step::End, item("c")]);
    assert_eq!(poll_once(&mut merged), Poll::Ready(Some("ab".into())), "the end waits");
    assert!((0..10).all(|_| poll_once(&mut merged) == Poll::Ready(None)));
}

#[test]
fn t3_a_panic_of_the_upstream_costs_nothing_that_was_merged() {
    let mut merged = joined([item("a"), item("b"), Step::Panic, item("c")]);
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut merged))).is_err());
    assert_eq!(merged.size_hint(), (1, Some(1)));
    assert_eq!(exhaust(&mut merged), ["ab"]);

    let mut merged = joined([item("a"), Step::Panic]);
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut merged))).is_err());
    assert_eq!(merged.into_parts().1, Some("a".into()));
}

#[test]
fn x2_a_next_that_is_dropped_takes_nothing_along() {
    let mut merged = joined([Step::Pause, item("a"), Step::Pause, item("b"), Step::End]);
    let mut items = Vec::new();
    for _ in 0..5 {
        items.extend(merged.next().now_or_never().flatten());
    }
    assert_eq!(items, ["a", "b"]);
}

#[test]
fn i2_a_size_hint_that_lies_is_harmless() {
    let mut latest = Liar(Script::ready(0..3), (usize::MAX, Some(usize::MAX))).conflate(|_, newest| newest);
    assert_eq!(latest.size_hint(), (1, Some(usize::MAX)));
    assert_eq!(exhaust(&mut latest), [2]);
}

proptest! {
    #[test]
    fn c2_i2_every_item_is_merged_once_and_in_order(
        steps in prop::collection::vec(prop_oneof![
            3 => any::<u8>().prop_map(|n| Step::Item(vec![n])),
            1 => Just(Step::Pause),
            1 => Just(Step::Restless),
        ], 0..600),
    ) {
        let items: Vec<u8> = steps.iter().filter_map(|step| if let Step::Item(n) = step { Some(n[0]) } else { None }).collect();
        let steps = steps.into_iter().chain([Step::End]);
        let mut merged = Script::new(steps).conflate(|mut older, mut newer| {
            older.append(&mut newer);
            older
        });
        let (mut output, mut hints) = (Vec::new(), Vec::new());
        loop {
            hints.push((output.len(), merged.size_hint()));
            match poll_once(&mut merged) {
                Poll::Pending => {}
                Poll::Ready(None) => break,
                Poll::Ready(Some(run)) => output.push(run),
            }
        }
        for (yielded, (lower, upper)) in hints {
            let remaining = output.len() - yielded;
            prop_assert!(lower <= remaining && upper.is_some_and(|upper| remaining <= upper));
        }
        prop_assert_eq!(output.concat(), items);
    }
}
