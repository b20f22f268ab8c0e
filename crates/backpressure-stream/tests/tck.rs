//! The conformance kit on the stream adapters.

use std::time::Duration;

use backpressure_core::{BackpressureConfig, BatchConfig, Strategy};
use backpressure_stream::BackpressureStreamExt;
use backpressure_tck::{Streams, conforms};

const LINGER: Duration = Duration::from_millis(20);

fn buffered(strategy: Strategy) -> BackpressureConfig {
    BackpressureConfig::builder().capacity(3).batch_items(1).strategy(strategy).build().unwrap()
}

fn batches(most: usize) -> BatchConfig {
    BatchConfig::builder().max_items(most).linger(LINGER).build().unwrap()
}

conforms! {
    backpressure = Streams::of(|up| up.backpressure(buffered(Strategy::block_forever()))).ahead(3);
    backpressure_drop_oldest = Streams::of(|up| up.backpressure(buffered(Strategy::DropOldest))).loses();
    backpressure_drop_newest = Streams::of(|up| up.backpressure(buffered(Strategy::DropNewest))).loses();
    spawned = Streams::of(|up| up.backpressure(buffered(Strategy::block_forever())).spawn()).ahead(4);
    micro_batch = Streams::batches(|up, most| up.micro_batch(batches(most))).ahead(3).linger(LINGER);
    micro_batch_of_a_buffer = Streams::batches(|up, most| {
        up.backpressure(buffered(Strategy::block_forever())).micro_batch(batches(most))
    })
    .ahead(6)
    .linger(LINGER);
}
