//! Before the bodies of HTTP.

use axum::body::Body;
use axum::response::IntoResponse;
use backpressure_stream::BackpressureStreamExt;
use backpressure_tower::CoalescedBody;

use super::{FRAME, behind};
use crate::case::{Case, Setup, Tolerance};
use crate::cases::http2::{ADAPTIVE, SMALL};
use crate::cases::{http1, http2, reqwest};
use crate::http::{Settings, answers};
use crate::reach::Reach;

const DEFAULT: Settings = http2::DEFAULT;
const KERNEL: &str = "the kernel, hyper and the channel";
const WINDOW: &str = "the window, and the channel";
const BOTH: &str = "both bounds";
const SOCKETS: &str = "the capacity, and the socket buffers";

pub fn cases() -> Vec<Case> {
    use Tolerance::{Counted, Kernel};
    let case = |name, lies, setting, tolerance, start| Case { name, lies, setting, tolerance, start };
    let http1 = |name, start| case(name, KERNEL, SOCKETS, Kernel, start);
    let http2 = |name, start| case(name, WINDOW, BOTH, Counted, start);
    vec![
        http1("`.backpressure(16).spawn()` before an HTTP/1.1 response", |reach| {
            ready(reach, |reach, stream| http1::down(reach, stream, DEFAULT))
        }),
        http1("`.backpressure(16).spawn()` before an HTTP/1.1 request", |reach| {
            ready(reach, |reach, stream| http1::up(reach, stream, DEFAULT))
        }),
        http1("`.backpressure(16).spawn()` before SSE over HTTP/1.1", |reach| {
            ready(reach, |reach, stream| {
                let events = http1::events(&reach, stream);
                http1::get_and_hold(reach, answers(events), DEFAULT)
            })
        }),
        http1("`.backpressure(16).spawn()` before a request of reqwest over HTTP/1.1", |reach| {
            ready(reach, |reach, stream| reqwest::up(reach, stream, false))
        }),
        http1("`.backpressure(16).spawn()` before a response to reqwest over HTTP/1.1", |reach| {
            ready(reach, |reach, stream| reqwest::down(reach, stream, false))
        }),
        http2("`.backpressure(16).spawn()` before an HTTP/2 response", |reach| {
            ready(reach, |reach, stream| http2::down(reach, stream, DEFAULT))
        }),
        http2("`.backpressure(16).spawn()` before an HTTP/2 request", |reach| {
            ready(reach, |reach, stream| http2::up(reach, stream, DEFAULT))
        }),
        http2("`.backpressure(16).spawn()`, `.coalesce(16 KiB)` before an HTTP/2 response", |reach| {
            ready(reach, |reach, stream| http2::down(reach, stream.coalesce(FRAME), DEFAULT))
        }),
        http2("`.backpressure(16).spawn()`, `.coalesce(16 KiB)` before an HTTP/2 response, adaptive window", |reach| {
            ready(reach, |reach, stream| http2::down(reach, stream.coalesce(FRAME), ADAPTIVE))
        }),
        http2(
            "`.backpressure(16).spawn()`, `.coalesce(16 KiB)` before an HTTP/2 response, windows of 64 KiB",
            |reach| ready(reach, |reach, stream| http2::down(reach, stream.coalesce(FRAME), SMALL)),
        ),
        http2("`.backpressure(16).spawn()`, `.coalesce(16 KiB)` before an HTTP/2 request", |reach| {
            ready(reach, |reach, stream| http2::up(reach, stream.coalesce(FRAME), DEFAULT))
        }),
        http2("`.backpressure(16).spawn()`, `.coalesce(16 KiB)` before an HTTP/2 request, adaptive window", |reach| {
            ready(reach, |reach, stream| http2::up(reach, stream.coalesce(FRAME), ADAPTIVE))
        }),
        http2("`.backpressure(16).spawn()` before SSE over HTTP/2, `CoalescedBody` around it", |reach| {
            ready(reach, |reach, stream| {
                let events = http1::events(&reach, stream).into_response();
                let events = events.map(|body| Body::new(CoalescedBody::new(body, FRAME)));
                http2::get_and_hold(reach, answers(events), DEFAULT)
            })
        }),
        http2("`.backpressure(16).spawn()`, `.coalesce(16 KiB)` before a request of reqwest over HTTP/2", |reach| {
            ready(reach, |reach, stream| reqwest::up(reach, stream.coalesce(FRAME), true))
        }),
        http2("`.backpressure(16).spawn()`, `.coalesce(16 KiB)` before a response to reqwest over HTTP/2", |reach| {
            ready(reach, |reach, stream| reqwest::down(reach, stream.coalesce(FRAME), true))
        }),
        case(
            "`.coalesce(16 KiB)` before an HTTP/2 response, one by one",
            "the receiver's hyper: a window",
            "the client's window",
            Counted,
            |reach| {
                let stream = reach.singly().coalesce(FRAME);
                http2::down(reach, stream, DEFAULT)
            },
        ),
    ]
}

fn ready(reach: Reach, start: impl FnOnce(Reach, super::Blocking) -> Setup + 'static) -> Setup {
    let source = reach.ready();
    behind(reach, source, start)
}
