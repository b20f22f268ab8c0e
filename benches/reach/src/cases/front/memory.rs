//! Before what lies in memory.

use backpressure_core::Strategy;
use backpressure_core::limit::Fixed;
use backpressure_stream::BackpressureStreamExt;
use backpressure_tower::ShedLayer;
use futures_util::{Stream, StreamExt, future};
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, service_fn};

use super::{CAPACITY, behind, config};
use crate::case::{Case, Setup, Tolerance};
use crate::cases::http2;
use crate::cases::tower::{calls, never};
use crate::reach::Reach;

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, start| Case { name, lies, setting, tolerance: Tolerance::Counted, start };
    vec![
        case("`.backpressure(16)` before an HTTP/2 response", "the window, and the adapter", "both bounds", |reach| {
            Box::pin(async move {
                let stream = reach.ready().backpressure(config(Strategy::block_forever())?);
                reach.shows(stream.gauge());
                http2::down(reach, stream, http2::DEFAULT).await
            })
        }),
        case(
            "`.backpressure(16).spawn()` before a stream's consumer, after one item",
            "the channel",
            "its capacity",
            |reach| after_one(reach, |stream| stream),
        ),
        case(
            "`.backpressure(16).spawn()` before `buffered(16)`, after one item",
            "the adapter, and the channel",
            "both numbers",
            |reach| after_one(reach, |stream| stream.map(future::ready).buffered(CAPACITY)),
        ),
        case(
            "`.backpressure(16).spawn()` before `ready_chunks(16)`, after one chunk",
            "the consumer, and the channel",
            "both numbers",
            |reach| after_one(reach, |stream| stream.ready_chunks(CAPACITY)),
        ),
        case("`ShedLayer` with a limit of 8 over tower `Buffer(8)`", "the service", "the limit", |reach| {
            Box::pin(async move {
                let layer = ShedLayer::builder().limit(Fixed::new(8)?).wait().build();
                reach.shows(layer.handle().gauge());
                calls(reach, layer.layer(Buffer::new(service_fn(never), 8))).await
            })
        }),
        case(
            "`ShedLayer` with a limit of 24 over tower `Buffer(8)` over `ConcurrencyLimit(8)`",
            "the service, the buffer and the callers",
            "all three numbers",
            |reach| {
                Box::pin(async move {
                    let layer = ShedLayer::builder().limit(Fixed::new(24)?).wait().build();
                    reach.shows(layer.handle().gauge());
                    let inner = ConcurrencyLimit::new(service_fn(never), 8);
                    calls(reach, layer.layer(Buffer::new(inner, 8))).await
                })
            },
        ),
    ]
}

fn after_one<St: Stream + 'static>(reach: Reach, over: fn(super::Blocking) -> St) -> Setup {
    let source = reach.ready();
    behind(reach, source, move |_, stream| {
        let mut stream = Box::pin(over(stream));
        Box::pin(async move {
            stream.next().await;
            Ok(Box::new(stream) as _)
        })
    })
}
