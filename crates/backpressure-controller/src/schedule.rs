//! The flush schedule: a full batch at once, a partial one after the paced interval.

use std::time::{Duration, Instant};

use backpressure_channel::Demand;
use backpressure_core::{BackpressureConfig, BatchSizer, ConfigError, FlushPacer, FlushReason};

/// Decides when the next batch leaves the buffer. Pure: time and depth come in, a decision comes out.
#[derive(Debug)]
pub(crate) struct Schedule {
    pacer: FlushPacer,
    sizer: Option<BatchSizer>,
    target: Duration,
    full: Demand,
    /// Since when the oldest queued items wait for their batch, as far as this schedule was told.
    since: Option<Instant>,
}

/// How full the buffer is, and why a partial batch should not wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depth {
    pub(crate) items: usize,
    pub(crate) weight: usize,
    /// Whether producers wait for room, which with uneven weights they may do beside a batch that is not full.
    pub(crate) producers_wait: bool,
    pub(crate) closed: bool,
    pub(crate) hurry: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Take a batch now.
    Take(FlushReason),
    /// Wait until as much is queued or the time has come.
    Wait { demand: Demand, until: Option<Instant> },
}

impl Schedule {
    /// With `smallest`, the batch size adapts between that and the configured one.
    pub(crate) fn new(config: &BackpressureConfig, smallest: Option<usize>) -> Result<Self, ConfigError> {
        let (floor, ceiling) = config.flush_interval();
        let (target, full) = (config.target_latency(), full(config));
        Ok(Self {
            pacer: FlushPacer::new(floor, ceiling, target)?,
            sizer: smallest.map(|min| BatchSizer::new(min, full.items, target)).transpose()?,
            target,
            full,
            since: None,
        })
    }

    pub(crate) fn next(&mut self, now: Instant, depth: Depth) -> Next {
        let full = self.full();
        if depth.items == 0 {
            self.since = None;
            return Next::Wait { demand: Demand::ANY, until: None };
        }
        if depth.items >= full.items {
            return Next::Take(FlushReason::Full);
        }
        if depth.weight >= full.weight || depth.producers_wait {
            return Next::Take(FlushReason::Weight);
        }
        if depth.closed {
            return Next::Take(FlushReason::End);
        }
        if depth.hurry {
            return Next::Take(FlushReason::Flush);
        }
        let due = self.since.get_or_insert(now).checked_add(self.pacer.interval());
        if due.is_some_and(|due| due <= now) {
            return Next::Take(FlushReason::Linger);
        }
        Next::Wait { demand: full, until: due }
    }

    /// A batch was taken and `left` items stayed behind, which came after the batch was complete.
    pub(crate) fn taken(&mut self, now: Instant, left: usize) {
        self.since = (left > 0).then_some(now);
    }

    /// A flush was answered. One that failed may have been slow, but says nothing about how fast the target is.
    pub(crate) fn answered(&mut self, items: usize, latency: Duration, failed: bool) {
        if failed && latency <= self.target {
            return;
        }
        self.pacer.record(latency);
        if let Some(sizer) = &mut self.sizer {
            sizer.record(items, latency);
        }
    }

    /// From now on this is what makes a batch full, and how long it waits; what was learned is kept within the new bounds. A
    /// batch that waits has waited since its first item.
    pub(crate) fn reconfigure(&mut self, config: &BackpressureConfig) {
        let (floor, ceiling) = config.flush_interval();
        self.target = config.target_latency();
        self.full = full(config);
        self.pacer.reconfigure(floor, ceiling, self.target);
        if let Some(sizer) = &mut self.sizer {
            sizer.reconfigure(self.full.items, self.target);
        }
    }

    /// What makes a batch full.
    pub(crate) fn full(&self) -> Demand {
        let items = self.sizer.as_ref().map_or(self.full.items, BatchSizer::limit);
        Demand { items, ..self.full }
    }

    pub(crate) fn interval(&self) -> Duration {
        self.pacer.interval()
    }
}

/// What makes a batch full that does not adapt.
fn full(config: &BackpressureConfig) -> Demand {
    // A buffer that is full by weight has nothing to wait for, whatever the size of a batch.
    let weight = config.batch_weight().or(config.max_weight()).unwrap_or(usize::MAX);
    Demand { items: config.batch_items(), weight }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn schedule() -> Schedule {
        let config = BackpressureConfig::builder()
            .capacity(100)
            .max_weight(1000)
            .batch_items(10)
            .batch_weight(50)
            .flush_interval(100 * MS, 1000 * MS)
            .target_latency(10 * MS)
            .build();
        Schedule::new(&config.expect("a valid config"), None).expect("a valid schedule")
    }

    fn depth(items: usize) -> Depth {
        Depth { items, weight: items, producers_wait: false, closed: false, hurry: false }
    }

    #[test]
    fn b2_a_partial_batch_leaves_after_the_interval_since_its_first_item() {
        let (start, mut schedule) = (Instant::now(), schedule());
        let full = Demand { items: 10, weight: 50 };
        let wait = Next::Wait { demand: full, until: Some(start + 100 * MS) };
        assert_eq!(schedule.next(start, depth(1)), wait);
        assert_eq!(schedule.next(start + 99 * MS, depth(9)), wait, "later arrivals do not prolong it");
        assert_eq!(schedule.next(start + 100 * MS, depth(9)), Next::Take(FlushReason::Linger));
    }

    #[test]
    fn a_full_batch_leaves_at_once() {
        let (now, mut schedule) = (Instant::now(), schedule());
        assert_eq!(schedule.next(now, depth(10)), Next::Take(FlushReason::Full));
        assert_eq!(schedule.next(now, Depth { weight: 50, ..depth(2) }), Next::Take(FlushReason::Weight));
        assert_eq!(schedule.next(now, Depth { producers_wait: true, ..depth(2) }), Next::Take(FlushReason::Weight));
        assert_eq!(schedule.next(now, Depth { closed: true, ..depth(2) }), Next::Take(FlushReason::End));
        assert_eq!(schedule.next(now, Depth { hurry: true, ..depth(2) }), Next::Take(FlushReason::Flush));
    }

    #[test]
    fn b5_the_deadline_of_one_batch_does_not_close_the_next() {
        let (start, mut schedule) = (Instant::now(), schedule());
        schedule.next(start, depth(1));
        schedule.taken(start + 90 * MS, 3);
        let next = schedule.next(start + 110 * MS, depth(3));
        assert!(matches!(next, Next::Wait { until: Some(until), .. } if until == start + 190 * MS), "{next:?}");
        schedule.taken(start + 190 * MS, 0);
        let idle = Next::Wait { demand: Demand::ANY, until: None };
        assert_eq!(
            schedule.next(start + 200 * MS, depth(0)),
            idle,
            "an empty buffer waits for an item, not for a time"
        );
        let fresh = schedule.next(start + 500 * MS, depth(1));
        assert!(matches!(fresh, Next::Wait { until: Some(until), .. } if until == start + 600 * MS), "{fresh:?}");
    }

    #[test]
    fn r1_a_batch_that_waits_obeys_the_new_interval_and_the_new_size() {
        let (start, mut schedule) = (Instant::now(), schedule());
        schedule.next(start, depth(5));
        schedule.answered(10, 20 * MS, false);
        let config = BackpressureConfig::builder().capacity(100).batch_items(20).flush_interval(MS, 30 * MS);
        schedule.reconfigure(&config.target_latency(10 * MS).build().unwrap());
        assert_eq!((schedule.interval(), schedule.full().items), (30 * MS, 20), "150 ms, within the new bounds");
        let next = schedule.next(start + 29 * MS, depth(15));
        assert!(matches!(next, Next::Wait { until: Some(until), .. } if until == start + 30 * MS), "{next:?}");
        assert_eq!(schedule.next(start + 30 * MS, depth(15)), Next::Take(FlushReason::Linger));
    }

    #[test]
    fn slow_flushes_lengthen_the_interval() {
        let mut schedule = schedule();
        schedule.answered(10, 20 * MS, false);
        assert_eq!(schedule.interval(), 150 * MS);
        schedule.answered(10, MS, true);
        assert_eq!(schedule.interval(), 150 * MS, "a quick failure is no sign of speed");
        schedule.answered(10, MS, false);
        assert_eq!(schedule.interval(), 120 * MS);
    }
}
