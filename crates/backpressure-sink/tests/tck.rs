//! The conformance kit on the sink adapters.

use std::time::Duration;

use backpressure_core::{BackpressureConfig, Strategy};
use backpressure_sink::BackpressureSinkExt;
use backpressure_tck::{Sinks, conforms};

fn config() -> BackpressureConfig {
    BackpressureConfig::builder()
        .capacity(3)
        .batch_items(1)
        .strategy(Strategy::block_forever())
        .flush_interval(Duration::from_millis(1), Duration::from_millis(5))
        .build()
        .unwrap()
}

conforms! {
    backpressure_sink = Sinks::of(|down| down.bounded(config())).bound(4);
}
