//! Buffers that give up old items, on either side.

use std::convert::Infallible;

use axum::body::Body;
use backpressure_core::Strategy;
use backpressure_stream::BackpressureStreamExt;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use hyper::Request;

use super::{FRAME, config};
use crate::case::{Case, Tolerance};
use crate::cases::http2;
use crate::http::{Settings, answers, http2, serve};

pub fn cases() -> Vec<Case> {
    let case = |name, lies, start| Case { name, lies, setting: "the strategy", tolerance: Tolerance::Counted, start };
    vec![
        case(
            "`.backpressure(16).spawn()` with drop-oldest before an HTTP/2 response",
            "nowhere: what is too much is dropped, and counted",
            |reach| {
                Box::pin(async move {
                    let stream = reach.ready().backpressure(config(Strategy::DropOldest)?).spawn();
                    reach.shows(stream.gauge());
                    http2::down(reach, stream, http2::DEFAULT).await
                })
            },
        ),
        case(
            "`.backpressure(16).spawn()` with drop-oldest behind an HTTP/2 response, `.coalesce(16 KiB)` before it",
            "nowhere: what is too much is dropped by the reader, and counted",
            |reach| {
                Box::pin(async move {
                    let frames = reach.ready().coalesce(FRAME).map(Ok::<_, Infallible>);
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
    ]
}
