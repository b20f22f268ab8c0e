//! HTTP/1.1, with axum as the server and hyper as the client.

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::response::sse::{Event, Sse};
use axum::routing::post;
use futures_util::{StreamExt, TryFutureExt};
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
        case("HTTP/1.1 response", KERNEL, "the socket buffers", |reach| down(reach, DEFAULT)),
        case(
            "HTTP/1.1 response, socket buffers of 16 KiB",
            "hyper and the kernel",
            "for large chunks `max_buf_size`",
            |reach| down(reach, Settings { sockets: SMALL.sockets, ..DEFAULT }),
        ),
        case(
            "HTTP/1.1 response, socket buffers and `max_buf_size` of 16 KiB",
            "hyper and the kernel",
            "both",
            |reach| down(reach, SMALL),
        ),
        case("HTTP/1.1 request", KERNEL, "the socket buffers", |reach| up(reach, DEFAULT)),
        case(
            "HTTP/1.1 request, socket buffers and `max_buf_size` of 16 KiB",
            "hyper and the kernel",
            "both",
            |reach| up(reach, SMALL),
        ),
        case("SSE over HTTP/1.1", KERNEL, "the socket buffers", |reach| {
            let events = events(&reach);
            get_and_hold(reach, answers(events), DEFAULT)
        }),
    ]
}

/// The events of a producer, which come one by one.
pub fn events(reach: &Reach) -> Sse<impl futures_util::Stream<Item = Result<Event, std::convert::Infallible>> + use<>> {
    let text = String::from_utf8_lossy(&reach.item()).into_owned();
    Sse::new(reach.singly().map(move |_| Ok(Event::default().data(&text))))
}

fn down(reach: Reach, settings: Settings) -> Setup {
    let body = Body::from_stream(reach.ready().map(Ok::<_, std::io::Error>));
    get_and_hold(reach, answers(body), settings)
}

/// Waits for the head of the answer, and reads nothing more.
fn get_and_hold(reach: Reach, router: Router, settings: Settings) -> Setup {
    Box::pin(async move {
        let io = serve(&reach, router, settings).await?;
        let mut client = http1(&reach, io, settings).await?;
        let response = client.send_request(Request::get("/").body(Body::empty())?).await?;
        Ok(Box::new((client, response)) as _)
    })
}

fn up(reach: Reach, settings: Settings) -> Setup {
    Box::pin(async move {
        let io = serve(&reach, Router::new().route("/", post(hold)), settings).await?;
        let mut client = http1(&reach, io, settings).await?;
        let body = Body::from_stream(reach.ready().map(Ok::<_, std::io::Error>));
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
