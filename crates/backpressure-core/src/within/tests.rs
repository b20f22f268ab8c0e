//! A consumer, simulated item by item, behind a queue that is always offered more than it takes.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A saturated queue with this capacity, in front of a consumer. Time is in microseconds.
struct Line {
    capacity: TimedCapacity,
    start: Instant,
    at: u64,
    queue: VecDeque<u64>,
}

impl Line {
    fn new(capacity: Capacity) -> Self {
        Self { capacity: TimedCapacity::new(capacity), start: Instant::now(), at: 0, queue: VecDeque::new() }
    }

    /// Producers fill what is free.
    fn fill(&mut self) {
        while self.queue.len() < self.capacity.items() {
            self.queue.push_back(self.at);
        }
    }

    fn look(&mut self) {
        self.capacity.observe(self.start + Duration::from_micros(self.at), self.queue.len());
    }

    /// The consumer takes an item every `pace` microseconds, for so long. Answers the longest delay of an item that came after
    /// `settled`, counted from now.
    fn run(&mut self, pace: u64, time: Duration, settled: Duration) -> Duration {
        let (begin, end) = (self.at, self.at + time.as_micros() as u64);
        let mut longest = 0;
        while self.at < end {
            self.fill();
            self.at += pace;
            if let Some(came) = self.queue.pop_front() {
                if self.capacity.drained(1, self.queue.len()) {
                    self.look();
                }
                if came >= begin + settled.as_micros() as u64 {
                    longest = longest.max(self.at - came);
                }
            }
        }
        Duration::from_micros(longest)
    }
}

#[test]
fn q1_the_delay_is_bounded_whatever_the_rate() {
    let within = 200 * MS;
    let mut line = Line::new(Capacity::within(within).floor(10).ceiling(1_000_000));
    // What is queued when the rate falls tenfold takes ten times the duration to drain.
    for (pace, settled) in
        [(1_000, within), (100, within), (10, within), (100, 11 * within), (1_000, 11 * within), (50, within)]
    {
        let longest = line.run(pace, 15 * within, settled);
        assert!(longest <= 2 * within, "{longest:?} at {pace} µs an item");
        assert!(longest >= within / 2, "{longest:?} at {pace} µs an item: the queue is of use");
    }
}

#[test]
fn q1_a_tenfold_change_is_followed_within_eight_windows() {
    let capacity = Capacity::within(400 * MS).floor(1).ceiling(1_000_000);
    for (before, after) in [(1_000_u64, 100_u64), (100, 1_000)] {
        let mut line = Line::new(capacity);
        line.run(before, 2_000 * MS, Duration::ZERO);
        line.run(after, 8 * line.capacity.window(), Duration::ZERO);
        let (expected, found) = (400_000 / after, line.capacity.items() as u64);
        assert!(found.abs_diff(expected) <= expected / 10, "{found} of {expected}");
    }
}

#[test]
fn q2_a_consumer_that_stands_still_comes_to_the_floor_and_back() {
    let within = 400 * MS;
    let mut line = Line::new(Capacity::within(within).floor(5).ceiling(10_000));
    line.run(1_000, 4 * within, Duration::ZERO);
    assert_eq!(line.capacity.items(), 400);
    for _ in 0..8 {
        line.at += 100_000;
        line.look();
    }
    assert_eq!(line.capacity.items(), 5, "the floor, and not 0");
    line.run(1_000, 7 * line.capacity.window(), Duration::ZERO);
    assert!(line.capacity.items() >= 360, "{}", line.capacity.items());
}

#[test]
fn q2_nobody_who_looked_for_long_is_as_good_as_many_who_looked() {
    let within = 400 * MS;
    let mut line = Line::new(Capacity::within(within).floor(5).ceiling(10_000));
    line.run(1_000, 4 * within, Duration::ZERO);
    line.at += 1_000_000_000;
    line.look();
    assert_eq!(line.capacity.items(), 5);
}

#[test]
fn q2_a_consumer_that_waits_for_items_is_not_slow() {
    let (start, mut capacity) = (Instant::now(), TimedCapacity::new(Capacity::within(100 * MS).floor(1)));
    capacity.observe(start, 100);
    capacity.drained(100, 9);
    assert_eq!(capacity.observe(start + 25 * MS, 0), Some(400));
    for window in 2..50 {
        capacity.drained(1, 0);
        assert_eq!(capacity.observe(start + window * 25 * MS, 0), None, "one at a time is what came");
    }
    capacity.drained(300, 9);
    assert_eq!(capacity.observe(start + 50 * 25 * MS, 9), Some(800), "half of the way to 1200");
    capacity.drained(1, 0);
    assert_eq!(capacity.observe(start + 51 * 25 * MS, 9), None);
    assert_eq!(capacity.observe(start + 52 * 25 * MS, 9), Some(400), "with items to drain, none was");
}

#[test]
fn r1_another_duration_keeps_what_is_known() {
    let (start, mut capacity) = (Instant::now(), TimedCapacity::new(Capacity::within(1_000 * MS).floor(1)));
    capacity.observe(start, 1);
    capacity.drained(250, 1);
    capacity.observe(start + 250 * MS, 1);
    assert_eq!(capacity.items(), 1_000);
    capacity.reconfigure(Capacity::within(100 * MS).floor(1));
    assert_eq!((capacity.items(), capacity.window()), (100, 25 * MS));
    capacity.reconfigure(Capacity::within(100 * MS).floor(300));
    assert_eq!(capacity.items(), 300);
}

#[test]
fn d6_k1_the_extremes_neither_panic_nor_overflow() {
    let start = Instant::now();
    for within in [Duration::from_nanos(1), Duration::MAX] {
        let mut capacity = TimedCapacity::new(Capacity::within(within).floor(1).ceiling(usize::MAX));
        capacity.observe(start + 1_000 * MS, 1);
        capacity.drained(usize::MAX, 1);
        capacity.drained(usize::MAX, 1);
        capacity.observe(start, 1);
        capacity.observe(start + 2_000 * MS, 1);
        assert!((1..=usize::MAX).contains(&capacity.items()));
    }
}

proptest! {
    /// At every rate between one item and ten thousand in the duration, after any other such rate.
    #[test]
    fn q1_the_delay_settles_below_twice_the_duration(before in 10u64..10_000, after in 10u64..10_000) {
        let within = 100 * MS;
        let mut line = Line::new(Capacity::within(within).floor(1).ceiling(1_000_000));
        line.run(before, 4 * within, Duration::ZERO);
        // What is queued from before, and the items that came while the capacity was on its way.
        let drained = Duration::from_micros(after * line.queue.len() as u64);
        let settled = drained + 3 * within;
        let longest = line.run(after, settled + 4 * within, settled);
        prop_assert!(longest <= 2 * within, "{:?}", longest);
    }

    #[test]
    fn the_capacity_stays_in_bounds_whatever_is_seen(
        bounds in (1usize..500, 1usize..500),
        steps in prop::collection::vec((0u64..1_000, any::<usize>(), 0usize..3), 0..100),
    ) {
        let (floor, ceiling) = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
        let mut capacity = TimedCapacity::new(Capacity::within(100 * MS).floor(floor).ceiling(ceiling));
        let mut now = Instant::now();
        for (passed, drained, queued) in steps {
            now += Duration::from_millis(passed);
            capacity.drained(drained % 10_000, queued);
            let changed = capacity.observe(now, queued);
            prop_assert!(changed.is_none_or(|items| items == capacity.items()));
            prop_assert!((floor..=ceiling).contains(&capacity.items()));
        }
    }
}
