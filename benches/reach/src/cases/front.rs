//! Our own adapters in front of transports.

use axum::body::Body;
use backpressure_core::{BackpressureConfig, ConfigError, Strategy};
use backpressure_sink::BackpressureSinkExt;
use backpressure_stream::BackpressureStreamExt;
use futures_util::{SinkExt, StreamExt};
use tokio_util::codec::{FramedWrite, LengthDelimitedCodec};

use super::grpc;
use super::http2::get_and_hold;
use crate::case::{Case, Tolerance};
use crate::http::{Settings, answers};

const CAPACITY: usize = 16;

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, start| Case { name, lies, setting, tolerance: Tolerance::Counted, start };
    vec![
        case("`.backpressure(16)` before an HTTP/2 response", "the window, and the adapter", "both bounds", |reach| {
            Box::pin(async move {
                let stream = reach.ready().backpressure(config(Strategy::block_forever())?);
                reach.shows(stream.gauge());
                let body = Body::from_stream(stream.map(Ok::<_, std::io::Error>));
                get_and_hold(reach, answers(body), Settings::default()).await
            })
        }),
        case(
            "`.backpressure(16).spawn()` before an HTTP/2 response",
            "the window, and the channel",
            "both bounds",
            |reach| {
                Box::pin(async move {
                    let stream = reach.ready().backpressure(config(Strategy::block_forever())?).spawn();
                    reach.shows(stream.gauge());
                    let body = Body::from_stream(stream.map(Ok::<_, std::io::Error>));
                    get_and_hold(reach, answers(body), Settings::default()).await
                })
            },
        ),
        case(
            "`.backpressure(16).spawn()` with drop-oldest before an HTTP/2 response",
            "nowhere: what is too much is dropped, and counted",
            "the strategy",
            |reach| {
                Box::pin(async move {
                    let stream = reach.ready().backpressure(config(Strategy::DropOldest)?).spawn();
                    reach.shows(stream.gauge());
                    let body = Body::from_stream(stream.map(Ok::<_, std::io::Error>));
                    get_and_hold(reach, answers(body), Settings::default()).await
                })
            },
        ),
        case(
            "`.coalesce(16 KiB)` before an HTTP/2 response, one by one",
            "the receiver's hyper: a window",
            "the client's window",
            |reach| {
                Box::pin(async move {
                    let stream = reach.singly().coalesce(16 * 1024).map(Ok::<_, std::io::Error>);
                    get_and_hold(reach, answers(Body::from_stream(stream)), Settings::default()).await
                })
            },
        ),
        case(
            "`CoalescedBody` under tonic's server streaming, one by one",
            "the receiver's hyper: a window",
            "the client's window",
            grpc::down_coalesced,
        ),
        case(
            "`.bounded(16)` before `FramedWrite`, pipe of 64 KiB",
            "the pipe, the codec and the buffer",
            "its capacity",
            |reach| {
                Box::pin(async move {
                    let (writer, reader) = tokio::io::duplex(64 * 1024);
                    let framed = FramedWrite::new(writer, LengthDelimitedCodec::new());
                    let mut sink = framed.bounded(config(Strategy::block_forever())?);
                    reach.shows(sink.gauge());
                    tokio::spawn(async move {
                        loop {
                            if let Err(error) = sink.feed(reach.item()).await {
                                return reach.lose(error);
                            }
                            if reach.count() {
                                return;
                            }
                        }
                    });
                    Ok(Box::new(reader) as _)
                })
            },
        ),
    ]
}

fn config(strategy: Strategy) -> Result<BackpressureConfig, ConfigError> {
    BackpressureConfig::builder().capacity(CAPACITY).strategy(strategy).build()
}
