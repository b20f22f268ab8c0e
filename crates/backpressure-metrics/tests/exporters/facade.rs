//! The `metrics` facade, with its Prometheus exporter.

use std::time::Instant;

use backpressure_core::Durations;
use backpressure_metrics::Registry;
use backpressure_metrics::facade::Facade;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::parts::Queue;

#[test]
fn counts_are_absolute_and_durations_are_told_once() {
    let registry = Registry::new();
    let mut queue = Queue::new();
    queue.offer();
    queue.flush(20);
    registry.add("db", queue.gauge()).unwrap();
    let recorder = PrometheusBuilder::new().set_buckets(&Durations::EDGES).unwrap().build_recorder();
    let mut facade = Facade::new();
    let mut render = || {
        metrics::with_local_recorder(&recorder, || facade.record(&registry.observe(Instant::now())));
        recorder.handle().run_upkeep();
        recorder.handle().render()
    };
    for _ in 0..3 {
        let text = render();
        assert!(text.contains("backpressure_item_received{stage=\"db\"} 1\n"), "{text}");
        assert!(text.contains("backpressure_flush_duration_count{stage=\"db\"} 1\n"), "{text}");
        assert!(text.contains("backpressure_flush_duration_bucket{stage=\"db\",le=\"0.01\"} 0\n"), "{text}");
        assert!(text.contains("backpressure_flush_duration_bucket{stage=\"db\",le=\"0.025\"} 1\n"), "{text}");
    }
    queue.flush(3);
    queue.offer();
    let text = render();
    assert!(text.contains("backpressure_item_received{stage=\"db\"} 2\n"), "{text}");
    assert!(text.contains("backpressure_flush_duration_count{stage=\"db\"} 2\n"), "{text}");
}

#[test]
fn without_buckets_the_exporter_renders_a_summary() {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || metrics::histogram!("a.duration").record(0.02));
    recorder.handle().run_upkeep();
    assert!(recorder.handle().render().contains("# TYPE a_duration summary"));
}
