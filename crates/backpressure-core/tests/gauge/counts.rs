//! The ledger as a reader sees it.

use std::time::Duration;

use backpressure_core::{BackpressureConfig, Counts, DropReason, FlushReason, Flushed, Moved, State, Strategy, Tag};

use crate::part::{Part, clock};

/// Nothing that only grows has shrunk.
pub(crate) fn assert_grown(before: &Counts, after: &Counts) {
    let growing = |counts: &Counts| {
        let lost = DropReason::ALL.map(|reason| counts.lost(reason));
        [counts.received, counts.delivered, counts.rejected].into_iter().chain(lost).collect::<Vec<_>>()
    };
    assert!(growing(before).iter().zip(growing(after)).all(|(&was, is)| was <= is), "{before:?} then {after:?}");
}

#[test]
fn c1_m2_every_fate_is_counted_once_and_counters_only_grow() {
    let mut part = Part::new(BackpressureConfig::builder().capacity(3).strategy(Strategy::DropOldest), true);
    let mut last = part.gauge.snapshot().counts;
    let mut check = |part: &Part| {
        let counts = part.gauge.snapshot().counts;
        assert!(counts.balances(), "{counts:?}");
        assert_grown(&last, &counts);
        last = counts;
        counts
    };
    part.hold(3);
    check(&part);
    drop(part.buffer.offer(3, Tag::default()));
    part.publish(Moved::discarded(DropReason::Evicted, 1));
    check(&part);
    part.hold(0);
    assert_eq!((check(&part).in_flight, check(&part).delivered), (3, 0));
    part.reporter.delivered(1);
    assert_eq!((check(&part).in_flight, check(&part).delivered), (2, 1));
    part.reporter.lost(DropReason::Failed, 2);
    assert_eq!((check(&part).in_flight, check(&part).failed()), (0, 2));
    part.reporter.rejected();
    part.reporter.refused(DropReason::TimedOut);
    part.hold(2);
    part.buffer.pop();
    part.publish(Moved::discarded(DropReason::Expired, 1));
    part.drain();
    let counts = check(&part);
    assert_eq!((counts.received, counts.rejected, counts.queued), (8, 1, 1));
    assert_eq!((counts.evicted(), counts.failed(), counts.dropped()), (1, 2, 2));
    let expected = [0, 1, 0, 1, 0, 1, 0, 2, 0];
    assert_eq!(DropReason::ALL.map(|reason| counts.lost(reason)), expected);
}

#[test]
fn c1_an_item_that_goes_past_the_buffer_is_received_and_taken_at_once() {
    for tracked in [false, true] {
        let mut part = Part::new(BackpressureConfig::builder().capacity(2), tracked);
        part.hold(1);
        part.hold(0);
        part.recorder.passed();
        part.hold(1);
        let counts = part.gauge.snapshot().counts;
        assert!(counts.balances(), "{counts:?}");
        assert_eq!((counts.received, counts.delivered + counts.in_flight, counts.queued), (3, 2, 1));
        assert_eq!(counts.in_flight, if tracked { 2 } else { 0 });
        assert_eq!(part.recorder.taken(), 2);
    }
}

#[test]
fn m1_one_that_comes_or_goes_by_itself_is_published_like_any() {
    let plain = || BackpressureConfig::builder().capacity(2);
    for builder in [plain(), plain().max_weight(10)] {
        let mut part = Part::new(builder, false);
        let look = |part: &Part| {
            let snapshot = part.gauge.snapshot();
            (snapshot.state, snapshot.counts.queued, snapshot.counts.delivered, snapshot.utilization, snapshot.weight)
        };
        let mut edges = Vec::new();
        for item in 0..2 {
            edges.push(match part.buffer.push(item) {
                Ok(()) => part.recorder.pushed(&part.buffer),
                Err(item) => {
                    assert!(part.buffer.offer(item, Tag::default()).is_accepted());
                    part.recorder.update(&part.buffer, Moved::NOTHING)
                }
            });
        }
        let weight = part.buffer.weight();
        assert_eq!(look(&part), (State::Blocked, 2, 0, 1.0, weight));
        for left in (0..2).rev() {
            assert!(part.buffer.pop().is_some());
            edges.push(part.recorder.popped(&part.buffer));
            assert_eq!(look(&part).1, left);
        }
        assert_eq!(look(&part), (State::Normal, 0, 2, 0.0, 0));
        assert_eq!(edges, [true; 4]);
    }
}

#[test]
fn m1_without_tracking_nothing_is_ever_in_flight() {
    let mut part = Part::of(4);
    part.hold(4);
    part.hold(1);
    let counts = part.gauge.snapshot().counts;
    assert_eq!((counts.delivered, counts.queued, counts.in_flight), (3, 1, 0));
}

#[test]
fn m1_a_reporter_that_overstates_makes_nothing_negative() {
    let part = Part::new(BackpressureConfig::builder().capacity(2), true);
    part.reporter.delivered(usize::MAX);
    part.reporter.lost(DropReason::Failed, usize::MAX);
    let counts = part.gauge.snapshot().counts;
    assert_eq!(counts.in_flight, 0);
    assert!(!counts.balances(), "the mistake shows");
    let worst = backpressure_core::Gauge::worst_of([part.gauge.clone(), part.gauge]);
    assert!(!worst.snapshot().counts.balances());
}

#[test]
fn producers_waiting_come_and_go() {
    let part = Part::of(2);
    part.reporter.producer_waits();
    part.reporter.clone().producer_waits();
    assert_eq!(part.gauge.snapshot().producers_waiting, 2);
    part.reporter.producer_waited();
    part.reporter.producer_waited();
    assert_eq!(part.gauge.snapshot().producers_waiting, 0);
}

#[test]
fn flushes_are_counted_by_what_closed_them() {
    let part = Part::of(2);
    assert_eq!(part.gauge.snapshot().flush.last, None);
    let ms = Duration::from_millis;
    for (reason, items, latency) in
        [(FlushReason::Full, 100, 20), (FlushReason::End, 7, 30), (FlushReason::Full, 100, 10)]
    {
        part.reporter.flushed(Flushed { at: clock(), latency: ms(latency), items, reason });
    }
    part.reporter.paced(ms(150), 80);
    let flush = part.gauge.snapshot().flush;
    assert_eq!((flush.batches(), flush.items), (3, 207));
    assert_eq!(flush.by_reason[FlushReason::Full as usize], 2);
    assert_eq!((flush.last, flush.interval, flush.batch_items), (Some(ms(10)), ms(150), 80));
    let near = |estimate: Option<Duration>, truth| estimate.is_some_and(|q| q.abs_diff(truth) <= truth / 16);
    assert!(near(flush.p50, ms(20)) && near(flush.p99, ms(30)), "{flush:?}");
}

#[test]
fn d6_the_longest_durations_are_told_without_overflow() {
    let part = Part::of(2);
    part.reporter.producer_wait(clock(), Duration::MAX);
    let flushed = Flushed { at: clock(), latency: Duration::MAX, items: usize::MAX, reason: FlushReason::Linger };
    part.reporter.flushed(flushed);
    part.reporter.flushed(flushed);
    part.reporter.paced(Duration::MAX, usize::MAX);
    let both = backpressure_core::Gauge::worst_of([part.gauge.clone(), part.gauge]).snapshot();
    assert_eq!(both.flush.batch_items, usize::MAX);
    assert_eq!(
        (both.flush.last, both.flush.interval),
        (Some(Duration::from_nanos(u64::MAX)), Duration::from_nanos(u64::MAX))
    );
    assert!(both.flush.p99.is_some() && both.producer_wait_p99.is_some());
}
