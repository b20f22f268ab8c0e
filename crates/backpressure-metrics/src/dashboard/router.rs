//! The routes.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::Instant;

use super::events::Events;
use super::hub::{Hub, Start};
use super::page::page;
use super::recording::Recording;
use super::sampler;
use crate::registry::Registry;

/// What a proxy in front might otherwise do: keep events back, to send many at once.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The page of a [`Registry`], and what all its copies share. Clones are the same.
///
/// ```
/// use axum::Router;
/// use backpressure_metrics::{Dashboard, Registry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let dashboard = Dashboard::new(&Registry::new());
/// let recording = dashboard.record(); // so that the first page has a past to show
/// let app: Router = Router::new().nest("/pressure", dashboard.router());
///
/// // When the server shuts down:
/// dashboard.close();
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Dashboard {
    hub: Arc<Hub>,
}

/// The page of `registry`, to be mounted wherever you like: [`Dashboard::router`] for those who need nothing else.
pub fn dashboard<S: Clone + Send + Sync + 'static>(registry: &Registry) -> Router<S> {
    Dashboard::new(registry).router()
}

impl Dashboard {
    /// Of `registry`. Nothing happens until a page is opened.
    pub fn new(registry: &Registry) -> Self {
        Self { hub: Arc::new(Hub::new(registry.clone(), Instant::now().into_std())) }
    }

    /// Two routes: `/`, the page, and `/events`, what it is told.
    ///
    /// The first page starts the sampler, on the runtime that serves it, and the last one stops it. A page that reads too slowly
    /// misses seconds; they are not kept for it.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let hub = Arc::clone(&self.hub);
        Router::new().route("/", get(page)).route("/events", get(async move || events(&hub)))
    }

    /// Samples as long as the answer lives, even if no page is open. So the first page shows what happened before it was opened.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with a timer.
    pub fn record(&self) -> Recording {
        let start = self.hub.record();
        let recording = Recording::of(Arc::clone(&self.hub));
        start_sampler(&self.hub, start);
        recording
    }

    /// Ends all pages, for a graceful shutdown waits for open answers, and they would never end. Later pages are refused with 503.
    /// To close it again changes nothing.
    pub fn close(&self) {
        self.hub.close();
    }
}

fn events(hub: &Arc<Hub>) -> Response {
    let Some((frames, start)) = hub.open() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    start_sampler(hub, start);
    let mut response = Response::new(Body::from_stream(Events::new(Arc::clone(hub), frames)));
    response.headers_mut().extend([
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (BUFFERING, HeaderValue::from_static("no")),
    ]);
    response
}

fn start_sampler(hub: &Arc<Hub>, start: Option<Start>) {
    if let Some(start) = start {
        tokio::spawn(sampler::run(Arc::clone(hub), start));
    }
}
