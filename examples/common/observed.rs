//! Two routes for whoever wants to see the parts of a registry: a page for people, and text for Prometheus.

#![allow(dead_code, reason = "each example has a use for some of it")]

use std::time::Instant;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use backpressure_metrics::{Dashboard, Registry, prometheus};

/// `/pressure` and `/metrics`. To be mounted beside the layers that shed, for one wants to see them at work.
pub(crate) fn routes(registry: &Registry, dashboard: &Dashboard) -> Router {
    let registry = registry.clone();
    let metrics = async move |headers: HeaderMap| {
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let format = prometheus::Format::negotiate(accept);
        let text = prometheus::render(&registry.observe(Instant::now()), format);
        ([(CONTENT_TYPE, format.content_type())], text).into_response()
    };
    Router::new().route("/metrics", get(metrics)).nest("/pressure", dashboard.router())
}

/// For a graceful shutdown: waits until it begins, and closes the pages, which it would otherwise wait for.
pub(crate) async fn until(closing: impl Future<Output = ()>, dashboard: Dashboard) {
    closing.await;
    dashboard.close();
}
