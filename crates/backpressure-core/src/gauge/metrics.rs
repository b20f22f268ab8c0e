//! The metrics of a snapshot, under the names that dashboards expect.

use std::time::Duration;

use super::snapshot::Snapshot;
use crate::batch::FlushReason;
use crate::flow::Work;
use crate::metric::{Family, Metric};
use crate::offer::DropReason;
use crate::state::State;

static STATE: Family = Family::gauge(
    "backpressure.state",
    "{state}",
    "The state: 0 normal, 1 elevated, 2 critical, 3 blocked, 4 draining.",
);
static TRANSITIONS: Family =
    Family::counter("backpressure.state.transitions", "{transition}", "How often the state has changed.");
static STATE_TIME: Family = Family::counter("backpressure.state.time", "s", "Time spent in each state.").by("state");
static QUEUE_SIZE: Family = Family::gauge("backpressure.queue.size", "{item}", "Items queued.");
static QUEUE_CAPACITY: Family = Family::gauge("backpressure.queue.capacity", "{item}", "Most items held.");
static QUEUE_WEIGHT: Family = Family::gauge("backpressure.queue.weight", "{weight}", "Weight held.");
static QUEUE_MAX_WEIGHT: Family = Family::gauge("backpressure.queue.max_weight", "{weight}", "Most weight held.");
static UTILIZATION: Family =
    Family::gauge("backpressure.queue.utilization", "1", "The filled share of the tighter bound, or of the limit.");
static OLDEST_AGE: Family = Family::gauge(
    "backpressure.queue.oldest.age",
    "s",
    "The longest that the oldest queued item can have been queued.",
);
static CALLS: Family = Family::durations(
    "backpressure.call.duration",
    "How long calls took from their slot to their answer, of those that were timed.",
);
static LIMIT: Family = Family::gauge("backpressure.limit", "{call}", "Most calls in flight.");
static IN_FLIGHT: Family =
    Family::gauge("backpressure.item.in_flight", "{item}", "Items taken and not answered for yet.");
static STREAMS: Family =
    Family::gauge("backpressure.stream.open", "{stream}", "Answers that are streams and still open.");
static RECEIVED: Family = Family::counter("backpressure.item.received", "{item}", "Offers made, whatever the answer.");
static DELIVERED: Family = Family::counter("backpressure.item.delivered", "{item}", "Items delivered.");
static REJECTED: Family =
    Family::counter("backpressure.item.rejected", "{item}", "Items handed back to their producer.");
static DROPPED: Family =
    Family::counter("backpressure.item.dropped", "{item}", "Items lost, by reason.").by("error.type");
static WAITING: Family = Family::gauge("backpressure.producer.waiting", "{producer}", "Producers that wait for room.");
static WAITS: Family =
    Family::durations("backpressure.producer.blocked.duration", "How long producers waited for room.");
static FLUSHES: Family = Family::durations("backpressure.flush.duration", "How long flushes took.");
static FLUSH_BATCHES: Family =
    Family::counter("backpressure.flush.batches", "{batch}", "Batches flushed, by what closed them.").by("flush.cause");
static FLUSH_ITEMS: Family = Family::counter("backpressure.flush.items", "{item}", "Items in the batches flushed.");
static FLUSH_INTERVAL: Family =
    Family::gauge("backpressure.flush.interval", "s", "How long a partial batch waits at most.");
static BATCH_LIMIT: Family = Family::gauge("backpressure.batch.limit", "{item}", "Most items in a batch.");
static WORK: Family =
    Family::counter("backpressure.work.time", "s", "Time spent idle, busy, and blocked by what is behind.").by("work");

impl Snapshot {
    /// Every number under its metric name, for whatever exporter is in use. What does not apply to the part, and what is not
    /// known yet, is left out.
    ///
    /// ```
    /// use backpressure_core::Snapshot;
    ///
    /// let snapshot = Snapshot::default();
    /// let received = snapshot.metrics().find(|metric| metric.family.name == "backpressure.item.received").unwrap();
    /// assert_eq!((received.family.unit, received.as_f64()), ("{item}", 0.0));
    /// ```
    pub fn metrics(&self) -> impl Iterator<Item = Metric> + '_ {
        let gauges = [
            Some(Metric::count(&STATE, self.state.as_u8().into())),
            Some(Metric::count(&TRANSITIONS, self.transitions)),
            Some(Metric::number(&UTILIZATION, self.utilization)),
        ];
        let gauges = gauges.into_iter().chain(self.of_the_bound()).flatten();
        gauges.chain(self.fates()).chain(self.flushes()).chain(self.times())
    }

    fn of_the_bound(&self) -> [Option<Metric>; 8] {
        let count = |applies: bool, family, value| applies.then(|| Metric::count(family, value));
        let (calls, counts) = (self.admits_calls, &self.counts);
        [
            count(calls, &LIMIT, self.capacity as u64),
            count(calls, &STREAMS, self.streams as u64),
            count(!calls, &QUEUE_CAPACITY, self.capacity as u64),
            count(true, &QUEUE_SIZE, counts.queued),
            count(self.max_weight.is_some(), &QUEUE_WEIGHT, self.weight as u64),
            self.max_weight.map(|max| Metric::count(&QUEUE_MAX_WEIGHT, max as u64)),
            count(calls || self.tracked, &IN_FLIGHT, counts.in_flight),
            self.oldest_age.map(|age| seconds(&OLDEST_AGE, age)),
        ]
    }

    fn fates(&self) -> impl Iterator<Item = Metric> + '_ {
        let counts = &self.counts;
        let fates = [(&RECEIVED, counts.received), (&DELIVERED, counts.delivered), (&REJECTED, counts.rejected)];
        let fates = fates.into_iter().map(|(family, value)| Metric::count(family, value));
        let reasons = DropReason::ALL.into_iter().filter(|&reason| self.may_lose_for(reason));
        let drops = reasons.map(|reason| Metric::count(&DROPPED, counts.lost(reason)).with(reason.as_str()));
        let waits = self.producer_waits.iter().map(|waits| Metric::durations(&WAITS, **waits));
        let calls = self.calls.iter().map(|calls| Metric::durations(&CALLS, calls.durations));
        let waiting = (!self.admits_calls).then(|| Metric::count(&WAITING, self.producers_waiting as u64));
        fates.chain(drops).chain(waiting).chain(waits).chain(calls)
    }

    /// Whether items may be lost so in a part like this. Those that were are counted in any case.
    fn may_lose_for(&self, reason: DropReason) -> bool {
        let by_kind = match reason {
            DropReason::Overflow | DropReason::Evicted | DropReason::Sampled => self.strategy.may_lose_for(reason),
            DropReason::Closed => true,
            DropReason::TimedOut => self.admits_calls,
            DropReason::Expired => self.admits_calls || self.tracked || self.max_age.is_some(),
            _ => self.admits_calls || self.tracked,
        };
        by_kind || self.counts.lost(reason) > 0
    }

    fn flushes(&self) -> impl Iterator<Item = Metric> + '_ {
        let flush = &self.flush;
        let batches = FlushReason::ALL
            .into_iter()
            .map(|reason| Metric::count(&FLUSH_BATCHES, flush.by_reason[reason as usize]).with(reason.as_str()));
        let pace = [
            Metric::count(&FLUSH_ITEMS, flush.items),
            Metric::count(&BATCH_LIMIT, flush.batch_items as u64),
            seconds(&FLUSH_INTERVAL, flush.interval),
        ];
        let durations = flush.durations.iter().map(|durations| Metric::durations(&FLUSHES, **durations));
        batches.chain(pace).chain(durations).filter(|_| flush.applies())
    }

    fn times(&self) -> impl Iterator<Item = Metric> + '_ {
        let states = State::ALL.into_iter().map(|state| seconds(&STATE_TIME, self.time_in(state)).with(state.as_str()));
        let work = self.work.into_iter().flat_map(|times| {
            Work::ALL.into_iter().map(move |work| seconds(&WORK, times.time(work)).with(work.as_str()))
        });
        states.chain(work)
    }
}

fn seconds(family: &'static Family, value: Duration) -> Metric {
    Metric::number(family, value.as_secs_f64())
}
