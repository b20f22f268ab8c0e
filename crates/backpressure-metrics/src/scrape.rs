//! The route that Prometheus scrapes.

use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};

use crate::prometheus::{Format, render};
use crate::registry::Registry;

/// The handler of `/metrics`: the text of `registry`, in the [format](Format::negotiate) that the scraper asks for.
///
/// Mount it beside the layers that shed, not under them. It is read-only, and whoever may not know the names and counts of the
/// parts should not reach it. An answer is made at once, without waiting.
///
/// ```
/// use axum::Router;
/// use backpressure_metrics::{Registry, scrape};
///
/// let registry = Registry::new();
/// let app: Router = Router::new().route("/metrics", scrape(&registry));
/// ```
pub fn scrape<S: Clone + Send + Sync + 'static>(registry: &Registry) -> MethodRouter<S> {
    let registry = registry.clone();
    get(async move |headers: HeaderMap| {
        let format = Format::negotiate(&accepted(&headers));
        let text = render(&registry.observe(Instant::now()), format);
        ([(CONTENT_TYPE, format.content_type())], text).into_response()
    })
}

/// What is accepted, of all headers that say so. One that is no text is none.
fn accepted(headers: &HeaderMap) -> String {
    let all: Vec<_> = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).collect();
    all.join(",")
}
