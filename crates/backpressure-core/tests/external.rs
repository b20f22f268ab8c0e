//! Configurations from TOML, JSON and the environment: the same keys, the same checks, the same words.

use std::time::Duration;

use backpressure_core::limit::Bounds;
use backpressure_core::{BackpressureConfig, BatchConfig, BatchSizer, FlushPacer, Oversize, Strategy, Watermarks};
use serde::de::DeserializeOwned;

const MS: Duration = Duration::from_millis(1);

/// Reads the same keys from all three.
fn read<T: DeserializeOwned + PartialEq + std::fmt::Debug>(keys: &[(&str, &str)]) -> Result<T, [String; 3]> {
    let is_number = |value: &str| value.parse::<f64>().is_ok();
    let quoted = |value: &str| if is_number(value) { value.to_owned() } else { format!("{value:?}") };
    let lines =
        |between: &str| keys.iter().map(|(key, value)| format!("{key}{between}{}", quoted(value))).collect::<Vec<_>>();
    let toml = toml::from_str(&lines(" = ").join("\n"));
    let members: Vec<_> = keys.iter().map(|(key, value)| format!("{key:?}: {}", quoted(value))).collect();
    let json = serde_json::from_str(&format!("{{{}}}", members.join(", ")));
    let variables = keys.iter().map(|(key, value)| (format!("APP_{}", key.to_uppercase()), (*value).to_owned()));
    let env = envy::prefixed("APP_").from_iter(variables);
    match (toml, json, env) {
        (Ok(toml), Ok(json), Ok(env)) => {
            let toml: T = toml;
            assert_eq!((&toml, &toml), (&json, &env), "{keys:?}");
            Ok(toml)
        }
        (Err(toml), Err(json), Err(env)) => Err([toml.to_string(), json.to_string(), env.to_string()]),
        different => panic!("{keys:?}: {different:?}"),
    }
}

fn refused<T: DeserializeOwned + PartialEq + std::fmt::Debug>(keys: &[(&str, &str)], message: &str) {
    for error in read::<T>(keys).expect_err(message) {
        assert!(error.contains(message), "{keys:?}: {error:?} instead of {message:?}");
    }
}

#[test]
fn nothing_is_the_default() {
    assert_eq!(read(&[]), Ok(BackpressureConfig::default()));
    assert_eq!(read(&[]), Ok(BatchConfig::default()));
    assert_eq!(read(&[]), Ok(Watermarks::default()));
    assert_eq!(read(&[]), Ok(Bounds::default()));
}

#[test]
fn every_key_is_what_its_builder_sets() {
    let config = read::<BackpressureConfig>(&[
        ("capacity", "500"),
        ("max_weight", "4096"),
        ("oversize", "refuse"),
        ("low_watermark", "0.25"),
        ("high_watermark", "0.75"),
        ("hysteresis", "0.05"),
        ("strategy", "sample"),
        ("one_in", "7"),
        ("max_age", "90s"),
        ("batch_items", "50"),
        ("batch_weight", "1024"),
        ("flush_interval_min", "20ms"),
        ("flush_interval_max", "1m 30s"),
        ("target_latency", "250ms"),
    ]);
    let built = BackpressureConfig::builder()
        .capacity(500)
        .max_weight(4096)
        .oversize(Oversize::Refuse)
        .low_watermark(0.25)
        .high_watermark(0.75)
        .hysteresis(0.05)
        .strategy(Strategy::Sample { one_in: 7 })
        .max_age(90_000 * MS)
        .batch_items(50)
        .batch_weight(1024)
        .flush_interval(20 * MS, 90_000 * MS)
        .target_latency(250 * MS)
        .build();
    assert_eq!(config.ok(), built.ok());
    let batch = read(&[("max_items", "7"), ("max_weight", "9"), ("linger", "5ms"), ("quiet", "1ms")]);
    assert_eq!(batch.ok(), BatchConfig::builder().max_items(7).max_weight(9).linger(5 * MS).quiet(MS).build().ok());
    let bounds = read(&[("limit_min", "4"), ("limit_max", "64"), ("limit_start", "8")]);
    assert_eq!(bounds.ok(), Bounds::new(4, 64).and_then(|bounds| bounds.start(8)).ok());
    assert_eq!(read(&[("low_watermark", "0.6")]).ok(), Watermarks::new(0.6, 0.8).ok());
}

#[test]
fn what_adapts_has_the_bounds_of_its_keys() {
    let shown = |it: &dyn std::fmt::Debug| format!("{it:?}");
    let pacer: FlushPacer =
        toml::from_str("flush_interval_min = \"1ms\"\nflush_interval_max = \"9ms\"\ntarget_latency = \"5ms\"").unwrap();
    assert_eq!(shown(&pacer), shown(&FlushPacer::new(MS, 9 * MS, 5 * MS).unwrap()));
    let sizer: BatchSizer = toml::from_str("batch_size_min = 3\nbatch_size_max = 9\ntarget_latency = \"5ms\"").unwrap();
    assert_eq!(shown(&sizer), shown(&BatchSizer::new(3, 9, 5 * MS).unwrap()));
    let config = BackpressureConfig::default();
    let ((min, max), target) = (config.flush_interval(), config.target_latency());
    let pacer: FlushPacer = toml::from_str("").unwrap();
    assert_eq!(shown(&pacer), shown(&FlushPacer::new(min, max, target).unwrap()));
    let sizer: BatchSizer = toml::from_str("").unwrap();
    assert_eq!(shown(&sizer), shown(&BatchSizer::new(1, config.batch_items(), target).unwrap()));

    let refused = toml::from_str::<FlushPacer>("flush_interval_min = \"0s\"").unwrap_err();
    assert_eq!(refused.message(), "flush_interval_min is 0, but must be above 0");
    let refused = toml::from_str::<BatchSizer>("batch_size_min = 9\nbatch_size_max = 8").unwrap_err();
    assert_eq!(refused.message(), "batch_size_min is 9, but must be at most batch_size_max (8)");
    let refused = toml::from_str::<BatchSizer>("batch_size = 9").unwrap_err();
    assert!(refused.message().starts_with("unknown field `batch_size`"));
}

#[test]
fn every_strategy_has_its_name() {
    let strategy = |keys: &[(&str, &str)]| read::<BackpressureConfig>(keys).unwrap().strategy();
    for known in [
        Strategy::block(),
        Strategy::DropOldest,
        Strategy::DropNewest,
        Strategy::sample(),
        Strategy::Reject,
        Strategy::DropLowest,
    ] {
        assert_eq!(strategy(&[("strategy", known.as_str())]), known);
    }
    assert_eq!(strategy(&[("max_wait", "forever")]), Strategy::block_forever());
    assert_eq!(strategy(&[("strategy", "block"), ("max_wait", "250ms")]), Strategy::Block { max_wait: 250 * MS });
}

#[test]
fn d7_what_the_builder_refuses_is_refused_in_its_words() {
    type Buffer = BackpressureConfig;
    refused::<Buffer>(&[("capacity", "0")], "capacity is 0, but must be at least 1");
    refused::<Buffer>(
        &[("capacity", "10"), ("batch_items", "20")],
        "batch_items is 20, but must be at most the capacity (10)",
    );
    refused::<Buffer>(&[("low_watermark", "0.9")], "low_watermark is 0.9, but must be below high_watermark (0.8)");
    refused::<Buffer>(&[("strategy", "sample"), ("one_in", "0")], "one_in is 0, but must be at least 1");
    refused::<Buffer>(&[("flush_interval_min", "0s")], "flush_interval_min is 0, but must be above 0");
    refused::<Buffer>(
        &[("flush_interval_min", "2s"), ("flush_interval_max", "1s")],
        "flush_interval_min is 2s, but must be at most flush_interval_max (1s)",
    );
    refused::<BatchConfig>(&[("max_items", "0")], "max_items is 0, but must be at least 1");
    refused::<Bounds>(&[("limit_min", "9"), ("limit_max", "8")], "limit_min is 9, but must be at most limit_max (8)");
    refused::<Bounds>(&[("limit_start", "0")], "limit_start is 0, but must be from ");
    refused::<Watermarks>(&[("high_watermark", "1.5")], "high_watermark is 1.5, but must be above 0 and below 1");
}

#[test]
fn what_no_builder_could_be_told_is_refused_in_the_same_form() {
    type Buffer = BackpressureConfig;
    let times = "but must be a length of time, such as 250ms, 1m 30s or forever";
    refused::<Buffer>(&[("target_latency", "soon")], &format!("target_latency is \"soon\", {times}"));
    refused::<BatchConfig>(&[("linger", "5 parsecs")], &format!("linger is \"5 parsecs\", {times}"));
    refused::<Buffer>(
        &[("strategy", "drop")],
        "strategy is \"drop\", but must be one of block, drop-oldest, drop-newest",
    );
    refused::<Buffer>(&[("oversize", "split")], "oversize is \"split\", but must be admit-alone or refuse");
    let keys = [("strategy", "reject"), ("max_wait", "1s")];
    refused::<Buffer>(&keys, "max_wait is 1s, but must be unset unless strategy is block");
    refused::<Buffer>(&[("one_in", "3")], "one_in is 3, but must be unset unless strategy is sample");
}

#[test]
fn a_key_that_is_unknown_is_named() {
    refused::<BackpressureConfig>(&[("capcity", "10")], "unknown field `capcity`");
    refused::<BatchConfig>(&[("max_item", "10")], "unknown field `max_item`");
    refused::<Watermarks>(&[("low", "10")], "unknown field `low`");
    refused::<Bounds>(&[("minimum", "10")], "unknown field `minimum`");
}

#[test]
fn a_capacity_by_time_is_read_and_refused_in_the_words_of_its_keys() {
    let read = |text: &str| toml::from_str::<BackpressureConfig>(text);
    let config = read("capacity_within = \"200ms\"\ncapacity_floor = 10\ncapacity_ceiling = 500").unwrap();
    let capacity = backpressure_core::Capacity::within(Duration::from_millis(200)).floor(10).ceiling(500);
    assert_eq!((config.capacity_within(), config.capacity(), config.batch_items()), (Some(capacity), 10, 10));
    for (text, refusal) in [
        ("capacity_within = \"0s\"", "capacity_within is 0, but must be above 0"),
        ("capacity_floor = 3", "capacity_floor is 3, but must be unset while capacity_within is unset"),
        ("capacity_within = \"1s\"\ncapacity = 3", "capacity is 3, but must be unset while capacity_within is set"),
        (
            "capacity_within = \"1s\"\ncapacity_ceiling = 3",
            "capacity_floor is 100, but must be at most capacity_ceiling (3)",
        ),
        ("capacity_within = \"1s\"\nbatch_items = 500", "batch_items is 500, but must be at most capacity_floor (100)"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(refusal), "{error}");
    }
}
