//! Frames of chunks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use backpressure_stream::{BackpressureStreamExt, Coalesce};
use futures_util::stream::{FusedStream, Stream};
use proptest::prelude::*;
use tokio::time::{Instant, advance};

use crate::support::{MS, Script, Step, Wakes, exhaust, paused, poll, poll_once, push_clock, read};

fn chunk(text: &str) -> Step<Vec<u8>> {
    Step::Item(text.into())
}

fn frames(steps: impl IntoIterator<Item = Step<Vec<u8>>>) -> Coalesce<Script<Vec<u8>>> {
    Script::new(steps).coalesce(8)
}

/// Frames that never wait, of at most so many bytes.
fn eager(steps: impl IntoIterator<Item = Step<Vec<u8>>>, most: usize) -> Coalesce<Script<Vec<u8>>> {
    Script::new(steps).coalesce(most).small_frames(1, Duration::ZERO)
}

fn frame(text: &str) -> Poll<Option<Vec<u8>>> {
    Poll::Ready(Some(text.into()))
}

#[test]
fn b1_what_is_ready_goes_as_one_frame_of_whole_chunks() {
    let steps =
        [chunk("abc"), chunk("def"), chunk("ghi"), Step::Pause, chunk(""), chunk("longer than that"), Step::End];
    let mut frames = eager(steps, 8);
    assert_eq!(exhaust(&mut frames), [&b"abcdef"[..], b"ghi", b"longer than that"]);
    assert!(frames.is_terminated());
}

#[test]
fn b2_while_small_frames_are_few_no_chunk_waits() {
    paused().block_on(async {
        let steps = (0..100).flat_map(|_| [chunk("a"), Step::Pause]);
        let mut frames = frames(steps);
        assert!((0..100).all(|_| poll_once(&mut frames) == frame("a")));
    });
}

#[test]
fn b2_b5_a_small_frame_too_many_waits_for_its_time_and_takes_along_what_comes() {
    paused().block_on(async {
        let mut frames = frames([chunk("a"), Step::Pause, chunk("b"), Step::Pause]).small_frames(1, 10 * MS);
        let (wakes, waker) = Wakes::new();
        assert_eq!(poll(&mut frames, &waker), frame("a"));
        assert!(poll(&mut frames, &waker).is_pending(), "there is one, which waits");
        frames.get_mut().tell(chunk("c"));
        assert_eq!(wakes.count(), 1);
        assert!(poll(&mut frames, &waker).is_pending(), "what it lacks now comes back a little sooner");
        advance(8 * MS).await;
        assert!(poll(&mut frames, &waker).is_pending());
        assert_eq!(wakes.count(), 1, "not yet");
        advance(3 * MS).await;
        assert_eq!(wakes.count(), 2, "the timer");
        assert_eq!(poll(&mut frames, &waker), frame("bc"));
        advance(Duration::from_secs(60)).await;
        assert_eq!(wakes.count(), 2, "no timer is left over");
    });
}

#[test]
fn b2_a_frame_that_becomes_large_waits_no_longer() {
    paused().block_on(async {
        let mut frames = Script::new([chunk("a"), Step::Pause, chunk("b"), Step::Pause]).coalesce(1000);
        frames = frames.small_frames(1, Duration::from_secs(3600));
        assert_eq!(poll_once(&mut frames), frame("a"));
        assert!(poll_once(&mut frames).is_pending());
        frames.get_mut().tell(Step::Item(vec![0; 255]));
        assert_eq!(poll_once(&mut frames).map(|frame| frame.map(|frame| frame.len())), Poll::Ready(Some(256)));
    });
}

#[test]
fn d3_a_reader_that_is_away_costs_one_frame_and_one_chunk() {
    let upstream = Script::ready((0..10_000).map(|_| vec![0; 16]));
    let pulled = upstream.pulled();
    let mut frames = upstream.coalesce(520);
    assert!(poll_once(&mut frames).is_ready());
    assert_eq!(read(&pulled), 33);
    let (_, held) = frames.into_parts();
    assert_eq!(held.concat().len(), 16);
}

#[test]
fn d5_one_poll_takes_at_most_256_chunks_and_then_lets_the_executor_go_on() {
    let upstream = Script::ready((0..1000).map(|_| Vec::new()));
    let polls = upstream.polls();
    let mut frames = upstream.coalesce(1000);
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut frames, &waker).is_pending());
    assert_eq!((read(&polls), wakes.count()), (256, 1));
    assert!(exhaust(&mut frames).is_empty());
}

#[test]
fn w1_w3_with_nothing_held_pending_hands_the_latest_waker_on_and_needs_no_timer() {
    let mut frames = frames([]);
    let ((first, waker), (second, other)) = (Wakes::new(), Wakes::new());
    assert!(poll(&mut frames, &waker).is_pending());
    assert!(poll(&mut frames, &other).is_pending());
    assert_eq!((first.count(), second.count()), (0, 0));
    frames.get_mut().tell(chunk("a"));
    assert_eq!((first.count(), second.count()), (0, 1));
}

#[test]
fn t2_t3_the_end_and_a_panic_cost_nothing_that_was_held() {
    let mut ending = frames([chunk("abc"), Step::End, chunk("d")]);
    assert_eq!(poll_once(&mut ending), frame("abc"));
    assert!((0..3).all(|_| poll_once(&mut ending) == Poll::Ready(None)));

    let mut panicking = frames([chunk("abc"), Step::Panic, chunk("d")]);
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(&mut panicking))).is_err());
    assert_eq!(exhaust(&mut panicking), [b"abc"]);
}

/// 16 bytes a millisecond for a minute, to a transport that has room for all of it.
#[test]
fn a_minute_of_small_events_makes_few_small_frames_and_no_event_waits_for_long() {
    paused().block_on(async {
        let start = Instant::now();
        let millis = || start.elapsed().as_millis() as u64;
        let mut next = 0;
        let events = futures_util::stream::poll_fn(move |_| {
            if next > millis() {
                return Poll::Pending;
            }
            next += 1;
            Poll::Ready(Some(format!("data: {:8}\n\n", next - 1).into_bytes()))
        });
        let mut frames = events.coalesce(16 * 1024);
        let (mut small, mut longest) = (0, 0);
        while millis() < 60_000 {
            while let Poll::Ready(Some(frame)) = poll_once(&mut frames) {
                small += u32::from(frame.len() < 256);
                let first: u64 = std::str::from_utf8(&frame[6..14]).unwrap().trim().parse().unwrap();
                longest = longest.max(millis() - first);
            }
            push_clock(MS);
        }
        // A frame of so many milliseconds lacks 256 - 16 ms bytes, and 8 ms have come back.
        assert!(longest <= 11, "{longest}");
        assert!(small <= 100 + 60_000 / 10, "{small}");
    });
}

proptest! {
    #[test]
    fn b6_i2_the_frames_together_are_the_input(
        steps in prop::collection::vec(prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Step::Item),
            1 => Just(Step::Pause),
            1 => Just(Step::Restless),
        ], 0..300),
        most in 0usize..40,
    ) {
        let input: Vec<u8> =
            steps.iter().flat_map(|step| if let Step::Item(chunk) = step { chunk.clone() } else { Vec::new() }).collect();
        let (output, hints) = paused().block_on(async {
            let mut frames = Script::new(steps.into_iter().chain([Step::End])).coalesce(most).small_frames(2, MS);
            let (mut output, mut hints) = (Vec::new(), Vec::new());
            loop {
                hints.push((output.len(), frames.size_hint()));
                match poll_once(&mut frames) {
                    Poll::Pending => push_clock(MS),
                    Poll::Ready(None) => return (output, hints),
                    Poll::Ready(Some(frame)) => output.push(frame),
                }
            }
        });
        for (yielded, (lower, upper)) in hints {
            let remaining = output.len() - yielded;
            prop_assert!(lower <= remaining && upper.is_some_and(|upper| remaining <= upper));
        }
        prop_assert_eq!(output.concat(), input);
    }
}
