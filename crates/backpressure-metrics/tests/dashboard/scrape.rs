//! The route of `/metrics`.

use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{Method, Request, StatusCode};
use backpressure_core::{BackpressureConfig, Recorder};
use backpressure_metrics::{Registry, scrape};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// The status, the type and the text, for a scraper that sends these headers.
async fn answer(registry: &Registry, method: Method, accept: &[&[u8]]) -> (StatusCode, String, String) {
    let mut request = Request::builder().method(method).uri("/metrics");
    for accept in accept {
        request = request.header(ACCEPT, *accept);
    }
    let router: Router = Router::new().route("/metrics", scrape(registry));
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let kind = response.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
    let status = response.status();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn a_scraper_gets_the_format_that_it_asks_for_by_its_name() {
    let queue = Recorder::new(&BackpressureConfig::default(), Instant::now, false);
    let registry = Registry::new();
    registry.add("queue", queue.gauge()).unwrap();
    let open: &[u8] = b"application/openmetrics-text;version=1.0.0;q=0.6";
    let (text, metrics) =
        ("text/plain; version=0.0.4; charset=utf-8", "application/openmetrics-text; version=1.0.0; charset=utf-8");
    for (accept, expected) in [
        (&[][..], text),
        (&[&b"*/*"[..]], text),
        (&[b"\xff"], text),
        (&[open], metrics),
        (&[b"text/plain;q=0.5", open], metrics),
        (&[open, b"text/plain"], text),
    ] {
        let (status, kind, body) = answer(&registry, Method::GET, accept).await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, expected), "{accept:?}");
        assert!(body.contains("backpressure_queue_size{stage=\"queue\"} 0\n"), "{body}");
        assert_eq!(body.ends_with("# EOF\n"), expected == metrics);
    }
    let (status, ..) = answer(&registry, Method::POST, &[]).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "it is read-only");
}
