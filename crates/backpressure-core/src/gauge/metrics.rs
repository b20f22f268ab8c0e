//! A snapshot under the names that dashboards expect.

use std::time::Duration;

use super::snapshot::Snapshot;
use crate::batch::FlushReason;
use crate::offer::DropReason;
use crate::state::State;

/// One number of a [`Snapshot`], under its OpenTelemetry name and UCUM unit. The attribute `stage`, which tells parts
/// apart, is the exporter's to add.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// The dotted name.
    pub name: &'static str,
    /// The UCUM unit: `{item}`, `s`, `1`, …
    pub unit: &'static str,
    /// Whether the number only grows.
    pub kind: MetricKind,
    /// An attribute's name and value, where several metrics share a name.
    pub attribute: Option<(&'static str, &'static str)>,
    /// The number.
    pub value: f64,
}

/// How a metric behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl Snapshot {
    /// Every number under its metric name, for whatever exporter is in use. What is not known yet is left out.
    ///
    /// ```
    /// use backpressure_core::Snapshot;
    ///
    /// let snapshot = Snapshot::default();
    /// let received = snapshot.metrics().find(|metric| metric.name == "backpressure.item.received").unwrap();
    /// assert_eq!((received.unit, received.value), ("{item}", 0.0));
    /// ```
    pub fn metrics(&self) -> impl Iterator<Item = Metric> + '_ {
        let counts = &self.counts;
        let levels = [
            gauge("backpressure.state", "1", f64::from(self.state.as_u8())),
            gauge("backpressure.queue.size", "{item}", counts.queued as f64),
            gauge("backpressure.queue.capacity", "{item}", self.capacity as f64),
            gauge("backpressure.queue.weight", "1", self.weight as f64),
            gauge("backpressure.queue.utilization", "1", self.utilization),
            gauge("backpressure.item.in_flight", "{item}", counts.in_flight as f64),
            gauge("backpressure.stream.open", "{stream}", self.streams as f64),
            gauge("backpressure.producer.waiting", "{producer}", self.producers_waiting as f64),
        ];
        let fates = [
            counter("backpressure.item.received", counts.received),
            counter("backpressure.item.delivered", counts.delivered),
            counter("backpressure.item.rejected", counts.rejected),
        ];
        let drops = DropReason::ALL.into_iter().map(|reason| {
            counter("backpressure.item.dropped", counts.lost(reason)).with("error.type", reason.as_str())
        });
        let batches = FlushReason::ALL.into_iter().map(|reason| {
            let fill = counter("backpressure.batch.fill", self.flush.by_reason[reason as usize]);
            Metric { unit: "{batch}", ..fill }.with("flush.cause", reason.as_str())
        });
        let durations = [
            seconds("backpressure.queue.oldest.age", self.oldest_age),
            seconds("backpressure.producer.blocked.duration", self.producer_wait_p99)
                .map(|p99| p99.with("quantile", "0.99")),
            seconds("backpressure.flush.duration", self.flush.p50).map(|p50| p50.with("quantile", "0.5")),
            seconds("backpressure.flush.duration", self.flush.p99).map(|p99| p99.with("quantile", "0.99")),
        ];
        let times = State::ALL.into_iter().filter_map(|state| {
            let time = seconds("backpressure.state.time", Some(self.time_in(state)))?;
            Some(Metric { kind: MetricKind::Counter, ..time.with("state", state.as_str()) })
        });
        let size = (self.flush.items > 0).then(|| {
            gauge("backpressure.batch.size", "{item}", self.flush.items as f64 / self.flush.batches().max(1) as f64)
        });
        let rest = durations.into_iter().flatten().chain(times).chain(size);
        levels.into_iter().chain(fates).chain(drops).chain(batches).chain(rest)
    }
}

impl Metric {
    const fn with(self, name: &'static str, value: &'static str) -> Self {
        Self { attribute: Some((name, value)), ..self }
    }
}

const fn gauge(name: &'static str, unit: &'static str, value: f64) -> Metric {
    Metric { name, unit, kind: MetricKind::Gauge, attribute: None, value }
}

const fn counter(name: &'static str, value: u64) -> Metric {
    Metric { name, unit: "{item}", kind: MetricKind::Counter, attribute: None, value: value as f64 }
}

fn seconds(name: &'static str, value: Option<Duration>) -> Option<Metric> {
    value.map(|value| gauge(name, "s", value.as_secs_f64()))
}
