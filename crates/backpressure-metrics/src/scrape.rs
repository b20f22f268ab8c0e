//! The route that Prometheus scrapes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use futures_core::Stream;

use crate::prometheus::{Format, pieces};
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
        let text = pieces(&registry.observe(Instant::now()), format);
        let length = text.iter().map(Vec::len).sum::<usize>();
        let headers = [(CONTENT_TYPE, format.content_type().to_owned()), (CONTENT_LENGTH, length.to_string())];
        (headers, Body::from_stream(Pieces(text.into_iter()))).into_response()
    })
}

/// A text that is sent as it was written: of many parts it is long, and to join it would copy all of it.
struct Pieces(std::vec::IntoIter<Vec<u8>>);

impl Stream for Pieces {
    type Item = Result<Vec<u8>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}

/// What is accepted, of all headers that say so. One that is no text is none.
fn accepted(headers: &HeaderMap) -> String {
    let all: Vec<_> = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).collect();
    all.join(",")
}
