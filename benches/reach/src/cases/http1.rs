//! HTTP/1.1, with axum as the server and hyper as the client.

use std::convert::Infallible;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::response::sse::{Event, Sse};
use axum::routing::post;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryFutureExt};
use hyper::Request;

use crate::case::{Case, Setup, Tolerance};
use crate::http::{Settings, answers, http1, serve};
use crate::reach::Reach;

const KERNEL: &str = "the kernel; in hyper 16 chunks, or 400 KiB if that is less";
const DEFAULT: Settings = Settings { sockets: None, buffer: None, windows: None, adaptive: false };
const SMALL: Settings = Settings { sockets: Some(16 * 1024), buffer: Some(16 * 1024), ..DEFAULT };

pub fn cases() -> Vec<Case> {
    let case = |name, lies, setting, start| Case { name, lies, setting, tolerance: Tolerance::Kernel, start };
    vec![
        case("HTTP/1.1 response", KERNEL, "the socket buffers", |reach| {
            let source = reach.ready();
            down(reach, source, DEFAULT)
        }),
        case(
            "HTTP/1.1 response, socket buffers of 16 KiB",
            "hyper and the kernel",
            "for large chunks `max_buf_size`",
            |reach| {
                let source = reach.ready();
                down(reach, source, Settings { sockets: SMALL.sockets, ..DEFAULT })
            },
        ),
        case(
            "HTTP/1.1 response, socket buffers and `max_buf_size` of 16 KiB",
            "hyper and the kernel",
            "both",
            |reach| {
                let source = reach.ready();
                down(reach, source, SMALL)
            },
        ),
        case("HTTP/1.1 request", KERNEL, "the socket buffers", |reach| {
            let source = reach.ready();
            up(reach, source, DEFAULT)
        }),
        case(
            "HTTP/1.1 request, socket buffers and `max_buf_size` of 16 KiB",
            "hyper and the kernel",
            "both",
            |reach| {
                let source = reach.ready();
                up(reach, source, SMALL)
            },
        ),
        case("SSE over HTTP/1.1", KERNEL, "the socket buffers", |reach| {
            let source = reach.singly();
            let events = events(&reach, source);
            get_and_hold(reach, answers(events), DEFAULT)
        }),
    ]
}

/// An event for each item of a producer.
pub fn events<St>(reach: &Reach, source: St) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<St>>
where
    St: Stream<Item = Bytes> + Send + 'static,
{
    let text = String::from_utf8_lossy(&reach.item()).into_owned();
    Sse::new(source.map(move |_| Ok(Event::default().data(&text))))
}

pub fn down(reach: Reach, source: impl Stream<Item = Bytes> + Send + 'static, settings: Settings) -> Setup {
    let body = Body::from_stream(source.map(Ok::<_, Infallible>));
    get_and_hold(reach, answers(body), settings)
}

/// Waits for the head of the answer, and reads nothing more.
pub fn get_and_hold(reach: Reach, router: Router, settings: Settings) -> Setup {
    Box::pin(async move {
        let io = serve(&reach, router, settings).await?;
        let mut client = http1(&reach, io, settings).await?;
        let response = client.send_request(Request::get("/").body(Body::empty())?).await?;
        Ok(Box::new((client, response)) as _)
    })
}

pub fn up(reach: Reach, source: impl Stream<Item = Bytes> + Send + 'static, settings: Settings) -> Setup {
    Box::pin(async move {
        let io = serve(&reach, Router::new().route("/", post(hold)), settings).await?;
        let mut client = http1(&reach, io, settings).await?;
        let body = Body::from_stream(source.map(Ok::<_, Infallible>));
        let answer = tokio::spawn(
            client.send_request(Request::post("/").header("host", "a").body(body)?).map_ok_or_else(drop, drop),
        );
        Ok(Box::new((client, answer)) as _)
    })
}

/// A handler that never reads its request, and never answers.
pub async fn hold(body: Body) {
    std::future::pending::<()>().await;
    drop(body);
}
