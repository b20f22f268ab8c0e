//! Our own adapters in front of transports.

use axum::body::Body;
use backpressure_core::{BackpressureConfig, ConfigError, Strategy};
use backpressure_sink::BackpressureSinkExt;
use backpressure_stream::BackpressureStreamExt;
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use hyper::Request;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::codec::{FramedWrite, LengthDelimitedCodec};

use super::http2::get_and_hold;
use super::{grpc, websocket};
use crate::case::{Case, Tolerance};
use crate::http::{Settings, answers, http1, http2, serve};

const CAPACITY: usize = 16;

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, start| Case { name, lies, setting, tolerance: Tolerance::Counted, start };
    let case_in_kernel =
        |name, lies, setting, start| Case { tolerance: Tolerance::Kernel, ..case(name, lies, setting, start) };
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
            "`.backpressure(16).spawn()` with drop-oldest behind an HTTP/2 response, `.coalesce(16 KiB)` before it",
            "nowhere: what is too much is dropped by the reader, and counted",
            "the strategy",
            |reach| {
                Box::pin(async move {
                    let frames = reach.ready().coalesce(16 * 1024).map(Ok::<_, std::io::Error>);
                    let io = serve(&reach, answers(Body::from_stream(frames)), Settings::default()).await?;
                    let mut client = http2(&reach, io, Settings::default()).await?;
                    let response = client.send_request(Request::get("http://a/").body(Body::empty())?).await?;
                    let frames = response.into_body().into_data_stream();
                    let frames = frames.backpressure(config(Strategy::DropOldest)?).spawn();
                    reach.shows(frames.gauge());
                    Ok(Box::new((client, frames)) as _)
                })
            },
        ),
        case_in_kernel(
            "`.backpressure(16).spawn()` before an HTTP/1.1 response",
            "the kernel, hyper and the channel",
            "the capacity, and the socket buffers",
            |reach| {
                Box::pin(async move {
                    let stream = reach.ready().backpressure(config(Strategy::block_forever())?).spawn();
                    reach.shows(stream.gauge());
                    let router = answers(Body::from_stream(stream.map(Ok::<_, std::io::Error>)));
                    let io = serve(&reach, router, Settings::default()).await?;
                    let mut client = http1(&reach, io, Settings::default()).await?;
                    let response = client.send_request(Request::get("/").body(Body::empty())?).await?;
                    Ok(Box::new((client, response)) as _)
                })
            },
        ),
        case_in_kernel(
            "`.bounded(16)` before a WebSocket, up",
            "the kernel, tungstenite and the buffer",
            "the capacity, and the socket buffers",
            |reach| {
                Box::pin(async move {
                    let mut sink = websocket::connect(&reach).await?.bounded(config(Strategy::block_forever())?);
                    reach.shows(sink.gauge());
                    tokio::spawn(async move { websocket::fill(&reach, &mut sink, Message::Binary, false).await });
                    Ok(Box::new(()) as _)
                })
            },
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
