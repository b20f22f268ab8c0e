//! The table of names: ours, and what each exporter makes of them.

use std::collections::BTreeMap;
use std::time::Instant;

use backpressure_core::MetricKind;
use backpressure_metrics::facade::Facade;
use backpressure_metrics::otel::Bridge;
use backpressure_metrics::prometheus::{Format, render};
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::TextEncoder;

use crate::parts::of_every_kind;

/// The `# TYPE` lines of a text, by the name without what the exporters append.
fn types(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types: Vec<_> = lines
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .filter(|(name, _)| name.starts_with("backpressure_"))
        .collect();
    let mut names: Vec<_> = types.iter().map(|(name, _)| name).collect();
    names.sort();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a family stands there twice: {names:?}");
    types
}

/// What a text calls this metric.
fn called<'a>(types: &'a [(String, String)], dotted: &str) -> &'a (String, String) {
    let base = dotted.replace('.', "_");
    let suffixes = ["", "_total", "_seconds", "_seconds_total", "_ratio"].map(|suffix| format!("{base}{suffix}"));
    let found: Vec<_> = types.iter().filter(|(name, _)| suffixes.contains(name)).collect();
    assert_eq!(found.len(), 1, "{dotted}: {found:?}");
    found[0]
}

#[test]
fn the_table_in_the_docs_is_what_the_exporters_make_of_the_names() {
    let (registry, _parts) = of_every_kind();
    let seen = registry.observe(Instant::now());
    let ours = types(&render(&seen, Format::Text));

    let recorder = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets(&backpressure_core::Durations::EDGES)
        .unwrap()
        .build_recorder();
    metrics::with_local_recorder(&recorder, || Facade::new().record(&seen));
    recorder.handle().run_upkeep();
    let facade = types(&recorder.handle().render());

    let gathered = prometheus::Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(gathered.clone()).build().unwrap();
    let provider = SdkMeterProvider::builder().with_reader(exporter).build();
    let _bridge = Bridge::new(&registry, &provider.meter("pressure"));
    // What is recorded while others are observed shows in the collection after.
    gathered.gather();
    let otel = types(&TextEncoder::new().encode_to_string(&gathered.gather()).unwrap());

    let mut families = BTreeMap::new();
    for series in seen.series() {
        families.insert(series.family.name, series.family);
    }
    let mut table = String::new();
    for (name, family) in families {
        let kind = match family.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            _ => "histogram",
        };
        let [(text, kind_of_text), (otel, kind_of_otel), (facade, kind_of_facade)] =
            [&ours, &otel, &facade].map(|types| called(types, name).clone());
        assert_eq!((kind_of_text.as_str(), kind_of_otel.as_str()), (kind, kind), "{name}");
        assert_eq!(text, otel, "the bridge and the text agree");
        let attribute = if family.attribute.is_empty() { "" } else { family.attribute };
        let facade = if facade == text { "same".into() } else { format!("`{facade}`") };
        let facade = if kind_of_facade == kind { facade } else { format!("{facade}, a {kind_of_facade}") };
        table += &format!(
            "| `{name}` | `{}` | {kind} | {attribute} | `{text}` | {facade} | {} |\n",
            family.unit, family.help
        );
    }
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md")).unwrap();
    assert!(docs.contains(&table), "the table of docs/metrics.md should be:\n{table}");
}
