//! The conformance kit on the layers.

use std::time::Duration;

use backpressure_tck::{Failed, Inner, Services, conforms};
use backpressure_tower::{Batch, BatchLayer, Limiter, ShedLayer};
use tower::Layer;

fn batch(layer: &BatchLayer<u32, u32>, inner: Inner) -> Batch<u32, u32, Failed> {
    layer.layer(inner.many())
}

conforms! {
    batch_at_once = Services::of(|inner| batch(&BatchLayer::builder().max_items(3).build().unwrap(), inner));
    batch_that_lingers = Services::of(|inner| {
        let layer = BatchLayer::builder().max_items(3).linger(Duration::from_millis(20)).concurrency(2);
        batch(&layer.build().unwrap(), inner)
    });
    batch_over_one_permit = Services::of(|inner| {
        let layer = BatchLayer::builder().max_items(3).linger(Duration::from_millis(20)).concurrency(2);
        batch(&layer.build().unwrap(), inner)
    })
    .inner_limit(1);
    limit_that_waits = Services::of(|inner: Inner| {
        ShedLayer::builder().limiter(Limiter::fixed(2).unwrap()).wait().build().layer(inner.one())
    })
    .inner_limit(3)
    .limit(2);
}
