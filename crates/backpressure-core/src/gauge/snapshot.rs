//! The snapshot: everything known about a part at one instant.

use std::time::{Duration, Instant};

use backpressure_rt::lock;
use backpressure_rt::sync::Ordering;

use super::call_times::CallTimes;
use super::flushes::FlushCells;
use super::shared::Shared;
use crate::batch::FlushReason;
use crate::flow::WorkTimes;
use crate::ledger::Counts;
use crate::metric::Durations;
use crate::state::State;
use crate::strategy::Strategy;

/// What a [`Gauge`](crate::Gauge) says at one instant.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The state.
    pub state: State,
    /// The filled share of the tighter bound, 0 to 1. Above 1 while one oversize item is held alone, and while more is held than a
    /// bound that was lowered allows.
    pub utilization: f64,
    /// Most items held.
    pub capacity: usize,
    /// Weight held; 0 where nothing is weighed.
    pub weight: usize,
    /// Most weight held, if bounded.
    pub max_weight: Option<usize>,
    /// What a full buffer does; of several parts, one that may lose items if there is one.
    pub strategy: Strategy,
    /// The age at which queued items expire, if they do.
    pub max_age: Option<Duration>,
    /// The fates of all items.
    pub counts: Counts,
    /// Answers that are streams and still open: they have given their slots back. 0 where no calls are admitted.
    pub streams: usize,
    /// How often the state has changed.
    pub transitions: u64,
    /// Time spent in each state, in the order of [`State::ALL`], since the first snapshot or the start of a controller.
    pub time_in_state: [Duration; State::ALL.len()],
    /// Producers waiting for room.
    pub producers_waiting: usize,
    /// How long producers that had to wait waited, in vain or not: 99th percentile of the last ten to twenty seconds.
    pub producer_wait_p99: Option<Duration>,
    /// The longest that the oldest queued item can have been queued; `None` while nothing is queued, or while no earlier
    /// snapshot bounds it.
    pub oldest_age: Option<Duration>,
    /// How long all producers that ever had to wait waited; `None` before the first.
    pub producer_waits: Option<Box<Durations>>,
    /// The flushes, where batches are flushed.
    pub flush: FlushStats,
    /// How long calls took, where they are admitted; `None` before the first that was timed since the first snapshot.
    pub calls: Option<Box<CallTimes>>,
    /// Time spent idle, busy and blocked, in a part that tells, since [it is asked for](crate::Gauge::time_work).
    pub work: Option<WorkTimes>,
    /// Whether items taken are in flight until they are answered for.
    pub tracked: bool,
    /// Whether this is of calls in flight, of which `capacity` is the limit, rather than of a buffer.
    pub admits_calls: bool,
    /// Whether the part is gone: nothing more will come to it.
    pub ended: bool,
}

/// How the flushes went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FlushStats {
    /// Batches answered, by what closed them, in the order of [`FlushReason::ALL`].
    pub by_reason: [u64; FlushReason::ALL.len()],
    /// Items in those batches.
    pub items: u64,
    /// Latency of the last flush that was timed.
    pub last: Option<Duration>,
    /// Median latency of the last ten to twenty seconds.
    pub p50: Option<Duration>,
    /// 99th percentile of the same.
    pub p99: Option<Duration>,
    /// How long all flushes took; `None` before the first.
    pub durations: Option<Box<Durations>>,
    /// The paced interval; zero where nothing is paced.
    pub interval: Duration,
    /// Most items in a batch; 0 where nothing is batched.
    pub batch_items: usize,
}

impl FlushStats {
    /// Batches answered.
    pub fn batches(&self) -> u64 {
        self.by_reason.iter().sum()
    }

    /// Whether anything is flushed here.
    pub(super) fn applies(&self) -> bool {
        self.batch_items > 0 || self.batches() > 0
    }

    fn of(cells: &FlushCells, now: Instant) -> Self {
        let [p50, p99] = cells.latencies.quantiles(now, [0.5, 0.99]);
        let by_reason = std::array::from_fn(|i| cells.causes[i].load(Ordering::Relaxed));
        let nanos = |cell: &backpressure_rt::sync::AtomicU64| Duration::from_nanos(cell.load(Ordering::Relaxed));
        Self {
            by_reason,
            items: cells.items.load(Ordering::Relaxed),
            last: by_reason.iter().any(|&batches| batches > 0).then(|| nanos(&cells.last)),
            p50,
            p99,
            durations: cells.latencies.ever(),
            interval: nanos(&cells.interval),
            batch_items: usize::try_from(cells.batch_items.load(Ordering::Relaxed)).unwrap_or(usize::MAX),
        }
    }

    fn merge(self, other: Self) -> Self {
        Self {
            by_reason: std::array::from_fn(|i| self.by_reason[i] + other.by_reason[i]),
            items: self.items.saturating_add(other.items),
            last: self.last.max(other.last),
            p50: self.p50.max(other.p50),
            p99: self.p99.max(other.p99),
            durations: plus(self.durations, other.durations),
            interval: self.interval.max(other.interval),
            batch_items: self.batch_items.max(other.batch_items),
        }
    }
}

impl Snapshot {
    pub(super) fn of(shared: &Shared) -> Self {
        // Acquire: pairs with the store as the recorder is dropped. It is read first: what is read of a part that has ended is all
        // that it will ever say, and whoever adds up its successors may keep it.
        let ended = shared.ended.load(Ordering::Acquire);
        let now = (shared.clock)();
        shared.times.start(now);
        let [producer_wait_p99] = shared.waits.quantiles(now, [0.99]);
        let reading = shared.ledger.read();
        let (bounds, state, filled) = shared
            .fill
            .bounds
            .read(|bounds| (bounds, shared.fill.state(), shared.fill.utilization(bounds, &shared.ledger.handed)));
        let oldest_age = lock(&shared.age).observe(now, reading.accepted, reading.oldest);
        Self {
            state,
            utilization: shared.calls().map_or(filled, |calls| calls.utilization()),
            capacity: shared.calls().map_or(bounds.capacity, |calls| calls.capacity()),
            weight: shared.fill.weight(),
            max_weight: bounds.max_weight,
            strategy: bounds.strategy,
            max_age: bounds.max_age,
            counts: shared.calls().map_or(reading.counts, |calls| calls.counts()),
            streams: shared.calls().map_or(0, |calls| calls.streams()),
            transitions: shared.times.transitions(),
            time_in_state: shared.times.read(&shared.fill, now),
            producers_waiting: shared.work.waiting(),
            producer_wait_p99,
            oldest_age,
            producer_waits: shared.waits.ever(),
            flush: FlushStats::of(&shared.flushes, now),
            calls: CallTimes::of(&shared.call_times, now),
            work: shared.work.read(now),
            tracked: shared.ledger.is_tracked(),
            admits_calls: shared.calls().is_some(),
            ended,
        }
    }

    /// The time spent in `state`.
    pub const fn time_in(&self, state: State) -> Duration {
        self.time_in_state[state as usize]
    }

    pub(super) fn merge(self, other: Self) -> Self {
        Self {
            state: self.state.max(other.state),
            utilization: self.utilization.max(other.utilization),
            capacity: self.capacity.saturating_add(other.capacity),
            weight: self.weight.saturating_add(other.weight),
            max_weight: self.max_weight.zip(other.max_weight).map(|(a, b)| a.saturating_add(b)),
            strategy: if self.strategy.is_lossy() { self.strategy } else { other.strategy },
            max_age: self.max_age.max(other.max_age),
            counts: self.counts.plus(&other.counts),
            streams: self.streams.saturating_add(other.streams),
            transitions: self.transitions + other.transitions,
            time_in_state: std::array::from_fn(|i| self.time_in_state[i].max(other.time_in_state[i])),
            producers_waiting: self.producers_waiting + other.producers_waiting,
            producer_wait_p99: self.producer_wait_p99.max(other.producer_wait_p99),
            oldest_age: self.oldest_age.max(other.oldest_age),
            producer_waits: plus(self.producer_waits, other.producer_waits),
            flush: self.flush.merge(other.flush),
            calls: both(self.calls, other.calls, CallTimes::merge),
            work: self.work.into_iter().chain(other.work).reduce(|a, b| a.plus(&b)),
            tracked: self.tracked || other.tracked,
            admits_calls: self.admits_calls && other.admits_calls,
            ended: self.ended && other.ended,
        }
    }

    /// This, with what an earlier part of the same name had counted.
    pub(crate) fn continuing(self, earlier: &Self) -> Self {
        let flush = FlushStats {
            by_reason: std::array::from_fn(|i| self.flush.by_reason[i] + earlier.flush.by_reason[i]),
            items: self.flush.items.saturating_add(earlier.flush.items),
            durations: plus(self.flush.durations, earlier.flush.durations.clone()),
            ..self.flush
        };
        Self {
            counts: self.counts.plus(&earlier.counts),
            transitions: self.transitions + earlier.transitions,
            time_in_state: std::array::from_fn(|i| self.time_in_state[i] + earlier.time_in_state[i]),
            producer_waits: plus(self.producer_waits, earlier.producer_waits.clone()),
            calls: match (self.calls, &earlier.calls) {
                (None, Some(earlier)) => Some(Box::new(CallTimes::default().continuing(earlier))),
                (calls, earlier) => both(calls, earlier.clone(), CallTimes::continuing),
            },
            work: self.work.into_iter().chain(earlier.work).reduce(|a, b| a.plus(&b)),
            flush,
            ..self
        }
    }
}

fn plus(a: Option<Box<Durations>>, b: Option<Box<Durations>>) -> Option<Box<Durations>> {
    both(a, b, Durations::plus)
}

fn both<T>(a: Option<Box<T>>, b: Option<Box<T>>, together: impl FnOnce(&T, &T) -> T) -> Option<Box<T>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(Box::new(together(&a, &b))),
        (a, b) => a.or(b),
    }
}
