//! The text, line by line.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use backpressure_core::{Durations, Family, Instrument, Metric, Reading};
use backpressure_metrics::Registry;
use backpressure_metrics::prometheus::{Format, render};
use proptest::prelude::*;

static CALLS: Family = Family::counter("shop.call", "{call}", "Calls\nin \"all\" \\.").by("how.called");
static SHARE: Family = Family::gauge("shop.share", "1", "Share.");
static TIME: Family = Family::counter("shop.time", "s", "Time.");
static TAKES: Family = Family::durations("shop.takes", "How long.");

struct Shop;

impl Instrument for Shop {
    fn read(&self) -> Reading {
        let mut durations = Durations::default();
        [20, 3, 100_000].into_iter().for_each(|ms| durations.record(Duration::from_millis(ms)));
        Reading::default()
            .with(Metric::count(&CALLS, u64::MAX).with("loud"))
            .with(Metric::count(&CALLS, 0).with("low"))
            .with(Metric::number(&SHARE, 0.25))
            .with(Metric::number(&TIME, 1.5))
            .with(Metric::durations(&TAKES, durations))
    }
}

fn shops(names: &[&str]) -> Registry {
    let registry = Registry::new();
    names.iter().for_each(|name| drop(registry.add(name, Shop).unwrap()));
    registry
}

#[test]
fn the_classic_text_of_two_parts() {
    let text = render(&shops(&["a", "b\"\\"]).observe(Instant::now()), Format::Text);
    let begin = r#"# HELP shop_call_total Calls\nin "all" \\.
# TYPE shop_call_total counter
shop_call_total{stage="a",how_called="loud"} 18446744073709551615
shop_call_total{stage="a",how_called="low"} 0
shop_call_total{stage="b\"\\",how_called="loud"} 18446744073709551615
shop_call_total{stage="b\"\\",how_called="low"} 0
# HELP shop_share_ratio Share.
# TYPE shop_share_ratio gauge
shop_share_ratio{stage="a"} 0.25
shop_share_ratio{stage="b\"\\"} 0.25
# HELP shop_time_seconds_total Time.
# TYPE shop_time_seconds_total counter
shop_time_seconds_total{stage="a"} 1.5
shop_time_seconds_total{stage="b\"\\"} 1.5
# HELP shop_takes_seconds How long.
# TYPE shop_takes_seconds histogram
shop_takes_seconds_bucket{stage="a",le="0.0001"} 0
"#;
    assert!(text.starts_with(begin), "{text}");
    for line in [
        "shop_takes_seconds_bucket{stage=\"a\",le=\"0.0025\"} 0\n",
        "shop_takes_seconds_bucket{stage=\"a\",le=\"0.005\"} 1\n",
        "shop_takes_seconds_bucket{stage=\"a\",le=\"0.025\"} 2\n",
        "shop_takes_seconds_bucket{stage=\"a\",le=\"60.0\"} 2\n",
        "shop_takes_seconds_bucket{stage=\"a\",le=\"+Inf\"} 3\n",
        "shop_takes_seconds_sum{stage=\"a\"} 100.023\nshop_takes_seconds_count{stage=\"a\"} 3\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("# UNIT") && !text.contains("# EOF"));
}

#[test]
fn openmetrics_names_families_without_their_suffix_and_says_units_and_the_end() {
    let text = render(&shops(&["a"]).observe(Instant::now()), Format::OpenMetrics);
    let begin = r#"# HELP shop_call Calls\nin \"all\" \\.
# TYPE shop_call counter
shop_call_total{stage="a",how_called="loud"} 18446744073709551615
"#;
    assert!(text.starts_with(begin), "{text}");
    let units = "# TYPE shop_share_ratio gauge\n# UNIT shop_share_ratio ratio\n";
    assert!(text.contains(units), "{text}");
    assert!(
        text.contains("# TYPE shop_time_seconds counter\n# UNIT shop_time_seconds seconds\nshop_time_seconds_total{")
    );
    assert!(text.ends_with("\n# EOF\n"));
    assert_eq!(render(&Registry::new().observe(Instant::now()), Format::OpenMetrics), "# EOF\n");
}

/// The value of a label, read as Prometheus does.
fn unescaped(value: &str) -> String {
    let mut chars = value.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(escaped) => escaped,
                None => panic!("a lone backslash ends {value}"),
            },
            c => c,
        });
    }
    plain
}

proptest! {
    #[test]
    fn any_name_comes_out_as_it_went_in_and_every_family_stands_there_once(
        names in prop::collection::hash_set("[^\\pC ]([^\\pC]{0,8}[^\\pC\\s])?", 1..5),
    ) {
        let names: Vec<_> = names.iter().map(String::as_str).filter(|name| name.trim() == *name).collect();
        let text = render(&shops(&names).observe(Instant::now()), Format::Text);
        let mut types = HashMap::new();
        let mut told = Vec::new();
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').unwrap();
                prop_assert!(types.insert(name, kind).is_none(), "{} twice", name);
            } else if let Some(labels) = line.strip_prefix("shop_share_ratio{stage=\"") {
                told.push(unescaped(labels.strip_suffix("\"} 0.25").unwrap()));
            }
        }
        prop_assert_eq!(told, names);
    }
}
