//! The OpenTelemetry bridge under cumulative and delta readers, and the facts it is built on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backpressure_core::{Durations, Family, Instrument, Metric, Reading};
use backpressure_metrics::Registry;
use backpressure_metrics::otel::Bridge;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{
    Aggregation, InMemoryMetricExporter, InMemoryMetricExporterBuilder, Instrument as Instrumented, SdkMeterProvider,
    Stream, Temporality,
};
use prometheus::TextEncoder;

use crate::parts::Queue;

struct Reader {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

impl Reader {
    fn new(temporality: Temporality) -> Self {
        let exporter = InMemoryMetricExporterBuilder::new().with_temporality(temporality).build();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
        Self { provider, exporter }
    }

    /// Collects, and answers the whole counters and the counts of histograms, by name and stage.
    fn collect(&self) -> HashMap<String, u64> {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        let mut found = HashMap::new();
        for resource in self.exporter.get_finished_metrics().unwrap() {
            for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
                let stage = |mut attributes: Box<dyn Iterator<Item = &opentelemetry::KeyValue> + '_>| {
                    let stage = attributes.find(|attribute| attribute.key.as_str() == "stage");
                    stage.map_or(String::new(), |stage| stage.value.to_string())
                };
                match metric.data() {
                    AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                        for point in sum.data_points() {
                            let stage = stage(Box::new(point.attributes()));
                            *found.entry(format!("{} {stage}", metric.name())).or_default() += point.value();
                        }
                    }
                    AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                        for point in histogram.data_points() {
                            let stage = stage(Box::new(point.attributes()));
                            found.insert(format!("{} {stage}", metric.name()), point.count());
                        }
                    }
                    _ => {}
                }
            }
        }
        found
    }
}

const RECEIVED: &str = "backpressure.item.received db";

#[test]
fn a_cumulative_reader_sees_totals_and_a_delta_reader_what_came_between() {
    for (temporality, expected) in [(Temporality::Cumulative, [3, 3, 5]), (Temporality::Delta, [3, 0, 2])] {
        let registry = Registry::new();
        let mut queue = Queue::new();
        registry.add("db", queue.gauge()).unwrap();
        let reader = Reader::new(temporality);
        let _bridge = Bridge::new(&registry, &reader.provider.meter("pressure"));
        let received = [3, 0, 2].map(|items| {
            (0..items).for_each(|_| queue.offer());
            reader.collect()[RECEIVED]
        });
        assert_eq!(received, expected, "{temporality:?}");
    }
}

#[test]
fn m2_whatever_is_replaced_or_removed_no_counter_falls_nor_is_counted_twice() {
    for temporality in [Temporality::Cumulative, Temporality::Delta] {
        let registry = Registry::new();
        let reader = Reader::new(temporality);
        let mut queue = Queue::new();
        let part = registry.add("db", queue.gauge()).unwrap();
        let _bridge = Bridge::new(&registry, &reader.provider.meter("pressure"));
        let mut total = 0;
        let mut check = |expected: u64| {
            let received = reader.collect()[RECEIVED];
            total = if temporality == Temporality::Delta { total + received } else { received };
            assert_eq!(total, expected, "{temporality:?}");
        };
        (0..4).for_each(|_| queue.offer());
        check(4);
        let mut next = Queue::new();
        drop(std::mem::replace(&mut queue, Queue::new()));
        registry.add("db", next.gauge()).unwrap();
        check(4);
        next.offer();
        check(5);
        part.remove();
        check(5);
        check(5);
        drop(next);
        registry.add("db", queue.gauge()).unwrap();
        queue.offer();
        check(6);
    }
}

#[test]
fn two_readers_see_the_same_flushes_each_once() {
    let registry = Registry::new();
    let queue = Queue::new();
    queue.flush(3);
    registry.add("db", queue.gauge()).unwrap();
    let exporters = [(); 2].map(|()| InMemoryMetricExporterBuilder::new().build());
    let readers = exporters
        .iter()
        .fold(SdkMeterProvider::builder(), |builder, exporter| builder.with_periodic_exporter(exporter.clone()));
    let provider = readers.build();
    let _bridge = Bridge::new(&registry, &provider.meter("pressure"));
    for _ in 0..3 {
        provider.force_flush().unwrap();
    }
    for exporter in exporters {
        let reader = Reader { provider: provider.clone(), exporter };
        assert_eq!(reader.collect()["backpressure.flush.duration db"], 1);
    }
}

/// What the SDK does with a counter that is not reported as the bridge does.
#[test]
fn a_counter_that_skips_a_collection_is_counted_again_from_zero_under_delta() {
    let reader = Reader::new(Temporality::Delta);
    let value = Arc::new(AtomicU64::new(10));
    let callback = {
        let value = Arc::clone(&value);
        move |observer: &dyn opentelemetry::metrics::AsyncInstrument<u64>| match value.load(Ordering::Relaxed) {
            0 => {}
            value => observer.observe(value, &[]),
        }
    };
    let _counter = reader.provider.meter("pressure").u64_observable_counter("a").with_callback(callback).build();
    assert_eq!(reader.collect()["a "], 10);
    value.store(0, Ordering::Relaxed);
    assert_eq!(reader.collect().get("a "), None);
    value.store(12, Ordering::Relaxed);
    assert_eq!(reader.collect()["a "], 12, "and not 2");
}

#[test]
fn the_unit_1_becomes_a_ratio_and_braces_vanish_and_usual_buckets_are_for_milliseconds() {
    let gathered = prometheus::Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(gathered.clone()).build().unwrap();
    let provider = SdkMeterProvider::builder().with_reader(exporter).build();
    let meter = provider.meter("facts");
    meter.u64_gauge("a.state").with_unit("1").build().record(3, &[]);
    meter.u64_counter("an.item").with_unit("{item}").build().add(1, &[]);
    meter.f64_histogram("a.duration").with_unit("s").build().record(0.02, &[]);
    let text = TextEncoder::new().encode_to_string(&gathered.gather()).unwrap();
    assert!(text.contains("# TYPE a_state_ratio gauge"), "{text}");
    assert!(text.contains("# TYPE an_item_total counter"), "{text}");
    let buckets: Vec<_> = text.lines().filter(|line| line.starts_with("a_duration_seconds_bucket")).take(2).collect();
    assert!(buckets[0].contains("le=\"0\"} 0") && buckets[1].contains("le=\"5\"} 1"), "{buckets:?}");
}

/// An instrument of somebody's own, which has nothing but how long something took.
struct Timed(Arc<std::sync::Mutex<Durations>>);

static TOOK: Family = Family::durations("shop.order.duration", "How long orders took.");

impl Instrument for Timed {
    fn read(&self) -> Reading {
        Reading::default().with(Metric::durations(&TOOK, *self.0.lock().unwrap()))
    }
}

#[test]
fn m2_whatever_is_first_and_whatever_a_view_leaves_out_the_rest_is_reported() {
    // A histogram is not observed, so it cannot be what has everything observed.
    let durations = Arc::new(std::sync::Mutex::new(Durations::default()));
    let registry = Registry::new();
    registry.add("shop", Timed(Arc::clone(&durations))).unwrap();
    let mut queue = Queue::new();
    registry.add("db", queue.gauge()).unwrap();
    let reader = Reader::new(Temporality::Cumulative);
    let _bridge = Bridge::new(&registry, &reader.provider.meter("pressure"));
    queue.offer();
    durations.lock().unwrap().record(Duration::from_millis(20));
    let seen = reader.collect();
    assert_eq!(seen.get(RECEIVED), Some(&1), "{seen:?}");
    durations.lock().unwrap().record(Duration::from_millis(20));
    reader.collect();
    assert_eq!(reader.collect().get("shop.order.duration shop"), Some(&2));

    // Nor can a metric that somebody's view drops: its callback is never called.
    let registry = Registry::new();
    registry.add("db", queue.gauge()).unwrap();
    let first = registry.observe(Instant::now()).series().next().unwrap().family.name;
    let exporter = InMemoryMetricExporterBuilder::new().build();
    let drops = move |instrument: &Instrumented| {
        (instrument.name() == first).then(|| Stream::builder().with_aggregation(Aggregation::Drop).build().unwrap())
    };
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).with_view(drops).build();
    let reader = Reader { provider, exporter };
    let _bridge = Bridge::new(&registry, &reader.provider.meter("pressure"));
    let seen = reader.collect();
    assert!(seen.keys().any(|name| name.ends_with(" db")), "{first} is dropped, but not {seen:?}");
}

#[test]
fn c2_durations_that_came_before_their_instrument_are_not_lost() {
    let registry = Registry::new();
    registry.add("db", Queue::new().gauge()).unwrap();
    let reader = Reader::new(Temporality::Cumulative);
    let bridge = Bridge::new(&registry, &reader.provider.meter("pressure"));
    let durations = Arc::new(std::sync::Mutex::new(Durations::default()));
    registry.add("shop", Timed(Arc::clone(&durations))).unwrap();
    durations.lock().unwrap().record(Duration::from_millis(20));
    reader.collect();
    bridge.update();
    reader.collect();
    assert_eq!(reader.collect().get("shop.order.duration shop"), Some(&1));
}
