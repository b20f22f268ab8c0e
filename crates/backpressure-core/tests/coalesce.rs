//! Frames of chunks, with the receiver that reads none of them.

use std::time::{Duration, Instant};

use backpressure_core::{Coalescer, Filler};
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);
const EVERY: Duration = Duration::from_millis(32);

/// What `h2` counts of frames that are not read.
#[derive(Debug, Default)]
struct Receiver {
    spent: usize,
    most: usize,
}

impl Receiver {
    /// A frame arrives, in parts of at most 16 KiB.
    fn take_in(&mut self, frame: &[u8]) {
        for part in frame.chunks(16 * 1024) {
            self.spent =
                (self.spent + 256usize.saturating_sub(part.len())).saturating_sub(part.len().saturating_sub(256));
            self.most = self.most.max(self.spent);
        }
    }
}

/// What became of a feed.
#[derive(Debug, Default)]
struct Run {
    frames: Vec<Vec<u8>>,
    /// The longest that a chunk was held.
    longest: Duration,
    receiver: Receiver,
    took: Duration,
}

/// A transport that always asks: each chunk is offered `gap` after the last, and whatever may go goes at once.
fn run(mut frames: Coalescer<Vec<u8>>, feed: &[(Vec<u8>, Duration)]) -> Run {
    let start = Instant::now();
    let (mut now, mut run, mut held) = (start, Run::default(), Vec::new());
    for (chunk, gap) in feed {
        let next = now + *gap;
        drain(&mut frames, &mut now, next, &mut held, &mut run);
        now = next;
        frames.offer(chunk.clone()).unwrap();
        if !chunk.is_empty() {
            held.push((now, chunk.len()));
        }
    }
    let last = now + Duration::from_secs(3600);
    drain(&mut frames, &mut now, last, &mut held, &mut run);
    assert!(frames.is_empty());
    run.took = now - start;
    run
}

/// Takes what may go until `until`.
fn drain(
    frames: &mut Coalescer<Vec<u8>>,
    now: &mut Instant,
    until: Instant,
    held: &mut Vec<(Instant, usize)>,
    run: &mut Run,
) {
    loop {
        match frames.take(*now) {
            Err(due) if due < until => *now = due,
            Err(_) | Ok(None) => return,
            Ok(Some(frame)) => {
                let mut left = frame.len();
                held.retain(|(since, len)| {
                    let goes = *len <= left;
                    if goes {
                        left -= len;
                        run.longest = run.longest.max(*now - *since);
                    } else {
                        left = 0;
                    }
                    !goes
                });
                run.receiver.take_in(&frame);
                run.frames.push(frame);
            }
        }
    }
}

fn events(every: Duration, count: usize, bytes: usize) -> Vec<(Vec<u8>, Duration)> {
    vec![(vec![b'x'; bytes], every); count]
}

#[test]
fn b2_a_feed_of_31_events_a_second_never_waits_however_small_they_are() {
    assert_eq!(run(Coalescer::new(16 * 1024), &events(EVERY, 10_000, 1)).longest, Duration::ZERO);
}

#[test]
fn b2_a_faster_feed_waits_the_less_the_more_it_brings() {
    let longest = |rate: u32, bytes| {
        let per_event = Duration::from_secs(1) / rate;
        run(Coalescer::new(16 * 1024), &events(per_event, 60 * rate as usize, bytes)).longest
    };
    assert_eq!(longest(31, 16), Duration::ZERO);
    let waits = [40, 100, 1000, 10_000].map(|rate| longest(rate, 16).as_micros());
    assert_eq!(waits, [27_000, 22_000, 10_000, 1_500], "as docs/reach.md has it");
    assert_eq!(longest(1000, 256), Duration::ZERO);
}

#[test]
fn b2_a_feed_with_a_large_chunk_now_and_then_never_waits() {
    let mut feed = Vec::new();
    for _ in 0..100 {
        feed.extend(events(MS, 90, 1));
        feed.extend(events(MS, 2, 12 * 1024));
    }
    assert_eq!(run(Coalescer::new(16 * 1024), &feed).longest, Duration::ZERO);
}

/// Half of the connection's window is the budget: 1 MiB at hyper's server, 5 MiB at its client.
#[test]
fn a_reader_may_stall_for_a_minute_under_a_server_and_for_five_under_a_client() {
    for (window, minutes) in [(1024 * 1024, 1), (5 * 1024 * 1024, 5)] {
        for every in [MS, 5 * MS, 20 * MS, EVERY] {
            let count = 60_000 * minutes / every.as_millis() as usize;
            let run = run(Coalescer::new(16 * 1024), &events(every, count, 1));
            assert!(run.receiver.most <= window / 2, "{} of {window}, {every:?}", run.receiver.most);
        }
    }
}

fn chunks() -> impl Strategy<Value = Vec<(Vec<u8>, Duration)>> {
    let len = prop_oneof![4 => 0usize..40, 2 => 100usize..600, 1 => 10_000usize..40_000];
    let chunk = (len, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
    let gap = prop_oneof![3 => Just(0), 3 => 0u64..5_000, 1 => 0u64..100_000].prop_map(Duration::from_micros);
    prop::collection::vec((chunk, gap), 0..300)
}

proptest! {
    #[test]
    fn the_receiver_is_never_owed_more_than_the_burst_and_the_interval_allow(
        feed in chunks(), most in 0usize..20_000, burst in 0u32..5,
    ) {
        let run = run(Coalescer::new(most).small_frames(burst, EVERY), &feed);
        let come_back = run.took.as_nanos() * 256 / EVERY.as_nanos();
        let allowed = 256 * burst.max(1) as usize + come_back as usize + 2 * 255;
        prop_assert!(run.receiver.most <= allowed, "{} of {allowed}", run.receiver.most);
        prop_assert!(run.longest <= EVERY, "{:?}", run.longest);
        prop_assert_eq!(run.frames.concat(), feed.into_iter().flat_map(|(chunk, _)| chunk).collect::<Vec<_>>());
    }

    #[test]
    fn with_a_filler_nothing_waits_and_the_receiver_is_owed_no_more(feed in chunks(), most in 0usize..20_000) {
        let frames = Coalescer::new(most).small_frames(2, Duration::from_secs(86_400)).fill_with(Filler::Byte(0));
        let run = run(frames, &feed);
        prop_assert_eq!(run.longest, Duration::ZERO);
        prop_assert!(run.receiver.most <= 2 * 256 + 2 * 255);
    }

    #[test]
    fn b1_b6_frames_are_whole_chunks_within_the_bound_and_together_the_input(
        feed in chunks(), most in 0usize..1000, waits in any::<bool>(),
    ) {
        let every = if waits { EVERY } else { Duration::ZERO };
        let run = run(Coalescer::new(most).small_frames(1, every), &feed);
        let bound = if waits { most.max(512) } else { most };
        let longest = feed.iter().map(|(chunk, _)| chunk.len()).max().unwrap_or(0);
        prop_assert!(run.frames.iter().all(|frame| !frame.is_empty() && frame.len() <= bound.max(longest)));
        let ends: Vec<usize> = feed.iter().scan(0, |end, (chunk, _)| { *end += chunk.len(); Some(*end) }).collect();
        let mut end = 0;
        prop_assert!(run.frames.iter().all(|frame| { end += frame.len(); ends.contains(&end) }), "no chunk is split");
    }
}
