//! What a configuration may be, and what it says when it may not.

use std::time::Duration;

use backpressure_core::{BackpressureConfig, BackpressureConfigBuilder, Oversize, Strategy, Watermarks};

const MS: Duration = Duration::from_millis(1);
const NOTHING: Duration = Duration::ZERO;

fn builder() -> BackpressureConfigBuilder {
    BackpressureConfig::builder()
}

/// Checks that each is refused with this message, which begins with the field's name.
fn refused(cases: impl IntoIterator<Item = (BackpressureConfigBuilder, &'static str)>) {
    for (builder, message) in cases {
        let error = builder.build().expect_err(message);
        assert_eq!(error.to_string(), message);
        assert_eq!(format!("{} is {}, but must be {}", error.field(), error.value(), error.bound()), message);
    }
}

#[test]
fn defaults_are_as_documented() {
    let config = builder().build().unwrap();
    assert_eq!(config, BackpressureConfig::default());
    assert_eq!((config.capacity(), config.max_weight()), (10_000, None));
    assert_eq!(config.oversize(), Oversize::AdmitAlone);
    assert_eq!((config.watermarks(), config.hysteresis()), (Watermarks::default(), 0.0));
    assert_eq!(config.strategy(), Strategy::Block { max_wait: Duration::from_secs(5) });
    assert_eq!(config.max_age(), None);
    assert_eq!((config.batch_items(), config.batch_weight()), (100, None));
    assert_eq!(config.flush_interval(), (100 * MS, Duration::from_secs(30)));
    assert_eq!(config.target_latency(), 500 * MS);
}

#[test]
fn every_field_arrives() {
    let config = builder()
        .capacity(7)
        .max_weight(70)
        .oversize(Oversize::Refuse)
        .low_watermark(0.25)
        .high_watermark(0.75)
        .hysteresis(0.125)
        .strategy(Strategy::sample())
        .max_age(5 * MS)
        .batch_items(6)
        .batch_weight(60)
        .flush_interval(2 * MS, 3 * MS)
        .target_latency(4 * MS)
        .build()
        .unwrap();
    assert_eq!((config.capacity(), config.max_weight(), config.oversize()), (7, Some(70), Oversize::Refuse));
    assert_eq!((config.watermarks(), config.hysteresis()), (Watermarks::new(0.25, 0.75).unwrap(), 0.125));
    assert_eq!((config.strategy(), config.max_age()), (Strategy::Sample { one_in: 10 }, Some(5 * MS)));
    assert_eq!((config.batch_items(), config.batch_weight()), (6, Some(60)));
    assert_eq!((config.flush_interval(), config.target_latency()), ((2 * MS, 3 * MS), 4 * MS));
}

#[test]
fn a_batch_of_default_size_fits_a_small_buffer() {
    for (capacity, batch) in [(1, 1), (99, 99), (100, 100), (101, 100)] {
        assert_eq!(builder().capacity(capacity).build().unwrap().batch_items(), batch);
    }
}

#[test]
fn d7_zeros_are_refused() {
    refused([
        (builder().max_age(NOTHING), "max_age is 0s, but must be above 0"),
        (builder().capacity(0), "capacity is 0, but must be at least 1"),
        (builder().max_weight(0), "max_weight is 0, but must be at least 1"),
        (builder().batch_items(0), "batch_items is 0, but must be at least 1"),
        (builder().max_weight(9).batch_weight(0), "batch_weight is 0, but must be at least 1"),
        (builder().strategy(Strategy::Sample { one_in: 0 }), "one_in is 0, but must be at least 1"),
        (builder().flush_interval(NOTHING, MS), "flush_interval_min is 0, but must be above 0"),
        (builder().target_latency(NOTHING), "target_latency is 0, but must be above 0"),
    ]);
}

#[test]
fn what_cannot_fit_is_refused() {
    refused([
        (builder().capacity(10).batch_items(11), "batch_items is 11, but must be at most the capacity (10)"),
        (builder().max_weight(10).batch_weight(11), "batch_weight is 11, but must be at most max_weight (10)"),
        (builder().batch_weight(5), "batch_weight is 5, but must be unset while max_weight is unset"),
        (
            builder().flush_interval(3 * MS, 2 * MS),
            "flush_interval_min is 3ms, but must be at most flush_interval_max (2ms)",
        ),
    ]);
}

#[test]
fn watermarks_and_hysteresis_out_of_range_are_refused() {
    let (low, high) = (|share| builder().low_watermark(share), |share| builder().high_watermark(share));
    refused([
        (low(0.0), "low_watermark is 0, but must be above 0 and below 1"),
        (low(-0.1), "low_watermark is -0.1, but must be above 0 and below 1"),
        (low(f64::NAN), "low_watermark is NaN, but must be above 0 and below 1"),
        (low(0.8), "low_watermark is 0.8, but must be below high_watermark (0.8)"),
        (low(0.9), "low_watermark is 0.9, but must be below high_watermark (0.8)"),
        (high(1.0), "high_watermark is 1, but must be above 0 and below 1"),
        (high(f64::NAN), "high_watermark is NaN, but must be above 0 and below 1"),
        (high(f64::INFINITY), "high_watermark is inf, but must be above 0 and below 1"),
        (high(0.4), "low_watermark is 0.5, but must be below high_watermark (0.4)"),
        (builder().hysteresis(0.5), "hysteresis is 0.5, but must be at least 0 and below low_watermark (0.5)"),
        (builder().hysteresis(-0.1), "hysteresis is -0.1, but must be at least 0 and below low_watermark (0.5)"),
        (builder().hysteresis(f64::NAN), "hysteresis is NaN, but must be at least 0 and below low_watermark (0.5)"),
    ]);
}

#[test]
fn d6_each_bound_itself_is_accepted() {
    let max = Duration::MAX;
    for builder in [
        builder().capacity(1),
        builder().capacity(usize::MAX).batch_items(usize::MAX),
        builder().max_weight(1).batch_weight(1),
        builder().max_weight(usize::MAX).batch_weight(usize::MAX),
        builder().low_watermark(f64::MIN_POSITIVE),
        builder().high_watermark(1.0_f64.next_down()),
        builder().low_watermark(0.8_f64.next_down()),
        builder().hysteresis(0.5_f64.next_down()),
        builder().capacity(3).batch_items(3),
        builder().strategy(Strategy::Sample { one_in: 1 }),
        builder().strategy(Strategy::Sample { one_in: u32::MAX }),
        builder().strategy(Strategy::block_forever()),
        builder().strategy(Strategy::Block { max_wait: NOTHING }),
        builder().flush_interval(max, max).target_latency(max),
        builder()
            .flush_interval(Duration::from_nanos(1), Duration::from_nanos(1))
            .target_latency(Duration::from_nanos(1)),
    ] {
        assert!(builder.clone().build().is_ok(), "{builder:?}");
    }
}
