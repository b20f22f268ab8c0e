//! Everything that has to do with the clock.

use std::time::Duration;

use backpressure_core::{FlushReason, Flushed, Health, State};

use crate::part::{Part, clock, clock_reads, set_clock};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn m3_until_somebody_looks_the_clock_is_not_read() {
    let mut part = Part::of(4);
    let built = clock_reads();
    for _ in 0..100 {
        part.hold(4);
        part.hold(0);
    }
    part.reporter.rejected();
    part.reporter.producer_waits();
    assert_eq!((part.gauge.state(), part.gauge.utilization()), (State::Normal, 0.0));
    assert_eq!(clock_reads(), built);
}

#[test]
fn m3_afterwards_it_is_read_on_edges_alone() {
    let mut part = Part::of(100);
    part.gauge.snapshot();
    let looked = clock_reads();
    part.hold(49);
    part.hold(0);
    assert_eq!(clock_reads(), looked);
    part.hold(79);
    assert_eq!(clock_reads(), looked + 1);
}

#[test]
fn time_is_told_by_state_from_the_first_snapshot_on() {
    let mut part = Part::of(2);
    set_clock(seconds(100));
    part.hold(2);
    assert_eq!(part.gauge.snapshot().time_in_state, [Duration::ZERO; 5], "nobody looked before");
    set_clock(seconds(103));
    part.hold(1);
    set_clock(seconds(104));
    part.hold(0);
    set_clock(seconds(114));
    part.hold(2);
    set_clock(seconds(115));
    part.drain();
    set_clock(seconds(135));
    let snapshot = part.gauge.snapshot();
    assert_eq!(snapshot.time_in_state, [10, 1, 0, 4, 20].map(seconds));
    assert_eq!(snapshot.time_in(State::Blocked), seconds(4));
    assert_eq!(part.gauge.snapshot(), snapshot, "looking changes nothing");
}

#[test]
fn time_can_be_told_from_the_start() {
    let mut part = Part::of(2);
    part.reporter.start_timing(clock());
    set_clock(seconds(5));
    part.hold(2);
    set_clock(seconds(6));
    part.reporter.start_timing(clock());
    assert_eq!(part.gauge.snapshot().time_in_state, [5, 0, 0, 1, 0].map(seconds));
}

#[test]
fn m2_k1_a_clock_that_goes_back_takes_nothing_away() {
    let mut part = Part::of(2);
    part.gauge.snapshot();
    set_clock(seconds(10));
    part.hold(1);
    set_clock(seconds(4));
    part.hold(2);
    let snapshot = part.gauge.snapshot();
    assert_eq!(snapshot.time_in(State::Normal), seconds(10));
    assert_eq!(snapshot.time_in(State::Elevated), Duration::ZERO);
    set_clock(seconds(12));
    assert!(part.gauge.snapshot().time_in(State::Blocked) <= seconds(8));
}

#[test]
fn k1_jumps_by_centuries_do_not_panic() {
    let centuries = Duration::from_nanos(u64::MAX);
    let mut part = Part::of(1);
    for elapsed in [centuries, Duration::ZERO, centuries * 2, seconds(1), centuries] {
        set_clock(elapsed);
        part.gauge.snapshot();
        part.hold(1);
        set_clock(Duration::ZERO);
        part.hold(0);
        part.gauge.snapshot();
    }
}

#[test]
fn the_age_of_the_oldest_item_is_bounded_by_earlier_snapshots() {
    let mut part = Part::of(10);
    part.gauge.snapshot();
    set_clock(seconds(3));
    part.hold(2);
    assert_eq!(part.gauge.snapshot().oldest_age, Some(seconds(3)));
    set_clock(seconds(7));
    part.hold(4);
    part.hold(2);
    assert_eq!(part.gauge.snapshot().oldest_age, Some(seconds(4)), "the third came after the snapshot at 3 s");
    part.hold(0);
    assert_eq!(part.gauge.snapshot().oldest_age, None);
}

#[test]
fn what_is_recent_is_forgotten_even_if_nothing_follows() {
    let part = Part::of(2);
    part.reporter.producer_wait(clock(), seconds(1));
    part.reporter.flushed(Flushed { at: clock(), latency: seconds(1), items: 1, reason: FlushReason::Full });
    set_clock(seconds(9));
    let snapshot = part.gauge.snapshot();
    assert!(snapshot.producer_wait_p99.is_some() && snapshot.flush.p50.is_some() && snapshot.flush.p99.is_some());
    assert_eq!(snapshot.health(None), Health::Critical, "producers waited for a second");

    set_clock(seconds(21));
    let snapshot = part.gauge.snapshot();
    assert_eq!((snapshot.producer_wait_p99, snapshot.flush.p50, snapshot.flush.p99), (None, None, None));
    assert_eq!(snapshot.flush.last, Some(seconds(1)), "the last is the last however long ago");
    assert_eq!(snapshot.health(None), Health::Healthy);
}
