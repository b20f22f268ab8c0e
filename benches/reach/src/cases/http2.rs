//! HTTP/2, with axum as the server and hyper as the client.

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryFutureExt};
use hyper::Request;

use super::http1::{events, hold};
use crate::case::{Case, Setup, Tolerance};
use crate::http::{Settings, answers, http2, serve};
use crate::reach::Reach;

pub const DEFAULT: Settings = Settings { sockets: None, buffer: None, windows: None, adaptive: false };
pub const ADAPTIVE: Settings = Settings { adaptive: true, ..DEFAULT };
pub const SMALL: Settings = Settings { windows: Some((64 * 1024, 64 * 1024)), ..DEFAULT };
/// A stream's window is full before its frames are too many for the connection.
const NARROW: Settings = Settings { windows: Some((64 * 1024, 4 * 1024 * 1024)), ..DEFAULT };
const WINDOW: &str = "the receiver's hyper: a window";

pub fn cases() -> Vec<Case> {
    use Tolerance::{Counted, Kernel};
    let case = |name, lies, setting, tolerance, start| Case { name, lies, setting, tolerance, start };
    vec![
        case("HTTP/2 response", WINDOW, "the client's `initial_stream_window_size`, 2 MiB", Counted, |reach| {
            let source = reach.ready();
            down(reach, source, DEFAULT)
        }),
        case("HTTP/2 response, one by one", WINDOW, "the size of the frames: see above", Counted, |reach| {
            let source = reach.singly();
            down(reach, source, DEFAULT)
        }),
        case("HTTP/2 response, adaptive window", WINDOW, "`adaptive_window`", Counted, |reach| {
            let source = reach.ready();
            down(reach, source, ADAPTIVE)
        }),
        case("HTTP/2 response, windows of 64 KiB", WINDOW, "the client's windows", Counted, |reach| {
            let source = reach.ready();
            down(reach, source, SMALL)
        }),
        case(
            "HTTP/2 response, one by one, a window of 64 KiB in one of 4 MiB",
            WINDOW,
            "the client's `initial_stream_window_size`",
            Counted,
            |reach| {
                let source = reach.singly();
                down(reach, source, NARROW)
            },
        ),
        case("HTTP/2 request", WINDOW, "the server's `initial_stream_window_size`, 1 MiB", Counted, |reach| {
            let source = reach.ready();
            up(reach, source, DEFAULT)
        }),
        case("HTTP/2 request, one by one", WINDOW, "the size of the frames: see above", Counted, |reach| {
            let source = reach.singly();
            up(reach, source, DEFAULT)
        }),
        case("HTTP/2 request, adaptive window", WINDOW, "`adaptive_window`", Counted, |reach| {
            let source = reach.ready();
            up(reach, source, ADAPTIVE)
        }),
        case("HTTP/2 request, windows of 64 KiB", WINDOW, "the server's windows", Counted, |reach| {
            let source = reach.ready();
            up(reach, source, SMALL)
        }),
        case("SSE over HTTP/2", WINDOW, "the size of the frames: see above", Kernel, |reach| {
            let source = reach.singly();
            let events = events(&reach, source);
            get_and_hold(reach, answers(events), DEFAULT)
        }),
    ]
}

pub fn down(reach: Reach, source: impl Stream<Item = Bytes> + Send + 'static, settings: Settings) -> Setup {
    let body = Body::from_stream(source.map(Ok::<_, std::io::Error>));
    get_and_hold(reach, answers(body), settings)
}

/// Waits for the head of the answer, and reads nothing more.
pub fn get_and_hold(reach: Reach, router: Router, settings: Settings) -> Setup {
    Box::pin(async move {
        let io = serve(&reach, router, settings).await?;
        let mut client = http2(&reach, io, settings).await?;
        let response = client.send_request(Request::get("http://a/").body(Body::empty())?).await?;
        Ok(Box::new((client, response)) as _)
    })
}

pub fn up(reach: Reach, source: impl Stream<Item = Bytes> + Send + 'static, settings: Settings) -> Setup {
    Box::pin(async move {
        let io = serve(&reach, Router::new().route("/", post(hold)), settings).await?;
        let mut client = http2(&reach, io, settings).await?;
        let body = Body::from_stream(source.map(Ok::<_, std::io::Error>));
        let answer = client.send_request(Request::post("http://a/").body(body)?);
        let answer = tokio::spawn(answer.map_ok_or_else(drop, drop));
        Ok(Box::new((client, answer)) as _)
    })
}
