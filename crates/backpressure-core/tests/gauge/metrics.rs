//! The names that dashboards rely on.

use std::time::Duration;

use backpressure_core::{
    BackpressureConfig, DropReason, Family, FlushReason, Flushed, Metric, MetricKind, MetricValue, Snapshot, Strategy,
    Work,
};

use crate::part::{Part, clock, set_clock};

/// Name, attribute, unit and kind of everything, in order.
const GOLDEN: &str = "\
backpressure.state {state} gauge
backpressure.state.transitions {transition} counter
backpressure.queue.utilization 1 gauge
backpressure.queue.capacity {item} gauge
backpressure.queue.size {item} gauge
backpressure.queue.weight {weight} gauge
backpressure.queue.max_weight {weight} gauge
backpressure.item.in_flight {item} gauge
backpressure.queue.oldest.age s gauge
backpressure.item.received {item} counter
backpressure.item.delivered {item} counter
backpressure.item.rejected {item} counter
backpressure.item.dropped{error.type=closed} {item} counter
backpressure.item.dropped{error.type=expired} {item} counter
backpressure.item.dropped{error.type=drain_deadline} {item} counter
backpressure.item.dropped{error.type=failed} {item} counter
backpressure.item.dropped{error.type=cancelled} {item} counter
backpressure.producer.waiting {producer} gauge
backpressure.producer.blocked.duration s histogram
backpressure.flush.batches{flush.cause=full} {batch} counter
backpressure.flush.batches{flush.cause=weight} {batch} counter
backpressure.flush.batches{flush.cause=linger} {batch} counter
backpressure.flush.batches{flush.cause=quiet} {batch} counter
backpressure.flush.batches{flush.cause=flush} {batch} counter
backpressure.flush.batches{flush.cause=end} {batch} counter
backpressure.flush.items {item} counter
backpressure.batch.limit {item} gauge
backpressure.flush.interval s gauge
backpressure.flush.duration s histogram
backpressure.state.time{state=normal} s counter
backpressure.state.time{state=elevated} s counter
backpressure.state.time{state=critical} s counter
backpressure.state.time{state=blocked} s counter
backpressure.state.time{state=draining} s counter
backpressure.work.time{work=idle} s counter
backpressure.work.time{work=busy} s counter
backpressure.work.time{work=blocked} s counter
";

fn line(metric: &Metric) -> String {
    let Family { name, unit, kind, attribute, .. } = metric.family;
    let attribute = metric.attribute.map(|value| format!("{{{attribute}={value}}}")).unwrap_or_default();
    let kind = match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
        _ => "unknown",
    };
    format!("{name}{attribute} {unit} {kind}\n")
}

/// A part about which everything is known.
fn busy() -> Snapshot {
    let mut part = Part::new(BackpressureConfig::builder().capacity(4).max_weight(100), true);
    part.gauge.snapshot();
    part.gauge.time_work();
    part.reporter.works(Work::Idle);
    part.hold(4);
    part.hold(3);
    part.reporter.rejected();
    part.reporter.producer_waits();
    part.reporter.producer_wait(clock(), Duration::from_millis(20));
    let flushed = Flushed { at: clock(), latency: Duration::from_millis(5), items: 3, reason: FlushReason::Linger };
    part.reporter.flushed(flushed);
    part.reporter.flushed(Flushed { items: 4, ..flushed });
    set_clock(Duration::from_secs(2));
    part.gauge.snapshot()
}

#[test]
fn every_metric_has_its_name_and_unit() {
    let lines: String = busy().metrics().map(|metric| line(&metric)).collect();
    assert_eq!(lines, GOLDEN);
}

#[test]
fn what_does_not_apply_and_what_is_not_known_yet_is_left_out() {
    let plain = Part::new(BackpressureConfig::builder().capacity(4).strategy(Strategy::DropOldest), false).gauge;
    let lines: String = plain.snapshot().metrics().map(|metric| line(&metric)).collect();
    let absent = ["weight", "in_flight", "oldest.age", "closed", "=expired", "=drain_", "=failed", "=cancelled"];
    let absent = absent.into_iter().chain(["blocked.duration", "flush", "batch", "work"]);
    let absent: Vec<_> = absent.collect();
    let mut expected: String =
        GOLDEN.split_inclusive('\n').filter(|golden| !absent.iter().any(|name| golden.contains(name))).collect();
    let lost = "backpressure.item.dropped{error.type=%} {item} counter\n";
    let lost: String = ["overflow", "evicted", "closed"].map(|reason| lost.replace('%', reason)).concat();
    expected.insert_str(expected.find("backpressure.producer").unwrap(), &lost);
    assert_eq!(lines, expected);
}

#[test]
fn a_loss_that_was_not_expected_is_told_all_the_same() {
    let part = Part::new(BackpressureConfig::builder().capacity(4), false);
    part.reporter.refused(DropReason::Sampled);
    let snapshot = part.gauge.snapshot();
    let told = snapshot.metrics().find(|metric| metric.attribute == Some("sampled")).unwrap();
    assert_eq!(told.value, MetricValue::Count(1));
}

#[test]
fn each_value_is_under_its_name() {
    let snapshot = busy();
    let value = |wanted: &str| {
        let found = snapshot.metrics().find(|metric| line(metric).starts_with(&format!("{wanted} ")));
        found.unwrap_or_else(|| panic!("no {wanted}"))
    };
    for (name, expected) in [
        ("backpressure.state", 1.0),
        ("backpressure.queue.size", 3.0),
        ("backpressure.queue.capacity", 4.0),
        ("backpressure.queue.weight", 3.0),
        ("backpressure.queue.max_weight", 100.0),
        ("backpressure.queue.utilization", 0.75),
        ("backpressure.item.in_flight", 1.0),
        ("backpressure.producer.waiting", 1.0),
        ("backpressure.item.received", 5.0),
        ("backpressure.item.rejected", 1.0),
        ("backpressure.flush.batches{flush.cause=linger}", 2.0),
        ("backpressure.flush.items", 7.0),
        ("backpressure.queue.oldest.age", 2.0),
        ("backpressure.state.time{state=elevated}", 2.0),
        ("backpressure.work.time{work=idle}", 2.0),
    ] {
        assert_eq!(value(name).as_f64(), expected, "{name}");
    }
    for (name, count, sum) in [("producer.blocked.duration", 1, 20), ("flush.duration", 2, 10)] {
        let MetricValue::Durations(durations) = value(&format!("backpressure.{name}")).value else { panic!("{name}") };
        assert_eq!((durations.count(), durations.sum()), (count, Duration::from_millis(sum)));
    }
}
