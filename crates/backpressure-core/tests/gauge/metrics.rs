//! The names that dashboards rely on.

use std::time::Duration;

use backpressure_core::{BackpressureConfig, FlushReason, Flushed, Metric, MetricKind, Snapshot};

use crate::part::{Part, clock, set_clock};

/// Name, attribute, unit and kind of everything, in order.
const GOLDEN: &str = "\
backpressure.state 1 gauge
backpressure.queue.size {item} gauge
backpressure.queue.capacity {item} gauge
backpressure.queue.weight 1 gauge
backpressure.queue.utilization 1 gauge
backpressure.item.in_flight {item} gauge
backpressure.stream.open {stream} gauge
backpressure.producer.waiting {producer} gauge
backpressure.item.received {item} counter
backpressure.item.delivered {item} counter
backpressure.item.rejected {item} counter
backpressure.item.dropped{error.type=overflow} {item} counter
backpressure.item.dropped{error.type=evicted} {item} counter
backpressure.item.dropped{error.type=sampled} {item} counter
backpressure.item.dropped{error.type=timed_out} {item} counter
backpressure.item.dropped{error.type=closed} {item} counter
backpressure.item.dropped{error.type=expired} {item} counter
backpressure.item.dropped{error.type=drain_deadline} {item} counter
backpressure.item.dropped{error.type=failed} {item} counter
backpressure.item.dropped{error.type=cancelled} {item} counter
backpressure.batch.fill{flush.cause=full} {batch} counter
backpressure.batch.fill{flush.cause=weight} {batch} counter
backpressure.batch.fill{flush.cause=linger} {batch} counter
backpressure.batch.fill{flush.cause=quiet} {batch} counter
backpressure.batch.fill{flush.cause=flush} {batch} counter
backpressure.batch.fill{flush.cause=end} {batch} counter
backpressure.queue.oldest.age s gauge
backpressure.producer.blocked.duration{quantile=0.99} s gauge
backpressure.flush.duration{quantile=0.5} s gauge
backpressure.flush.duration{quantile=0.99} s gauge
backpressure.state.time{state=normal} s counter
backpressure.state.time{state=elevated} s counter
backpressure.state.time{state=critical} s counter
backpressure.state.time{state=blocked} s counter
backpressure.state.time{state=draining} s counter
backpressure.batch.size {item} gauge
";

fn line(metric: &Metric) -> String {
    let attribute = metric.attribute.map(|(name, value)| format!("{{{name}={value}}}")).unwrap_or_default();
    let kind = match metric.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        _ => "unknown",
    };
    format!("{}{attribute} {} {kind}\n", metric.name, metric.unit)
}

/// A part about which everything is known.
fn busy() -> Snapshot {
    let mut part = Part::new(BackpressureConfig::builder().capacity(4).max_weight(100), true);
    part.gauge.snapshot();
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
fn what_is_not_known_yet_is_left_out() {
    let known: Vec<_> = Snapshot::default().metrics().map(|metric| line(&metric)).collect();
    let unknown = ["queue.oldest.age", "producer.blocked.duration", "flush.duration", "batch.size"];
    let expected = GOLDEN.lines().filter(|golden| !unknown.iter().any(|name| golden.contains(name)));
    assert!(known.iter().map(|line| line.trim_end()).eq(expected), "{known:#?}");
}

#[test]
fn each_value_is_under_its_name() {
    let snapshot = busy();
    let value = |wanted: &str| {
        let found = snapshot.metrics().find(|metric| line(metric).starts_with(&format!("{wanted} ")));
        found.unwrap_or_else(|| panic!("no {wanted}")).value
    };
    for (name, expected) in [
        ("backpressure.state", 1.0),
        ("backpressure.queue.size", 3.0),
        ("backpressure.queue.capacity", 4.0),
        ("backpressure.queue.weight", 3.0),
        ("backpressure.queue.utilization", 0.75),
        ("backpressure.item.in_flight", 1.0),
        ("backpressure.stream.open", 0.0),
        ("backpressure.producer.waiting", 1.0),
        ("backpressure.item.received", 5.0),
        ("backpressure.item.rejected", 1.0),
        ("backpressure.batch.fill{flush.cause=linger}", 2.0),
        ("backpressure.batch.size", 3.5),
        ("backpressure.queue.oldest.age", 2.0),
        ("backpressure.state.time{state=elevated}", 2.0),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    let near = |name, truth: f64| assert!((value(name) - truth).abs() <= truth / 16.0, "{name}");
    near("backpressure.producer.blocked.duration{quantile=0.99}", 0.02);
    near("backpressure.flush.duration{quantile=0.5}", 0.005);
}
