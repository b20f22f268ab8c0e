//! Which answers shrink a limit.

use std::cell::Cell;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use backpressure_core::limit::{Aimd, Bounds};
use backpressure_tower::{Limiter, ShedLayer};
use hyper::StatusCode;

use crate::kit::{Client, serve};

thread_local! {
    /// The time of the limiter. Tests run their server and their client on one thread each.
    static NOW: Cell<Instant> = Cell::new(Instant::now());
}

pub(crate) fn pass(time: Duration) {
    NOW.set(NOW.get() + time);
}

/// A layer that halves its limit, or so, when there is overload.
pub(crate) fn limit_of_100() -> ShedLayer {
    let limit = Aimd::new(Bounds::new(2, 1000).unwrap().start(100).unwrap(), Duration::from_secs(1)).unwrap();
    ShedLayer::builder().limiter(Limiter::builder().limit(limit).clock(now).build()).build()
}

/// The limits before and after so many requests that are answered with this status, 5 ms apart.
async fn limit_after(status: StatusCode, requests: u32) -> (usize, usize) {
    let layer = limit_of_100();
    let handle = layer.handle();
    let answer = async |Path(status): Path<u16>| {
        pass(Duration::from_millis(5));
        StatusCode::from_u16(status).unwrap()
    };
    let router = Router::new().route("/{status}", get(answer)).layer(layer.into_http());
    let mut client = Client::connect(serve(router).await).await;
    let before = handle.limit();
    for _ in 0..requests {
        assert_eq!(client.status(&format!("/{}", status.as_u16())).await, status);
    }
    (before, handle.limit())
}

fn now() -> Instant {
    NOW.get()
}

#[tokio::test]
async fn answers_that_are_the_callers_fault_leave_the_limit_where_it_was() {
    for status in [StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS] {
        assert_eq!(limit_after(status, 500).await, (100, 100), "{status}");
    }
    assert_eq!(limit_after(StatusCode::INTERNAL_SERVER_ERROR, 500).await, (100, 100), "a bug is no overload");
}

#[tokio::test]
async fn answers_that_speak_of_overload_shrink_it() {
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT, StatusCode::REQUEST_TIMEOUT] {
        let (before, after) = limit_after(status, 500).await;
        assert!(after < before / 2, "{status}: {before} → {after}");
    }
}
