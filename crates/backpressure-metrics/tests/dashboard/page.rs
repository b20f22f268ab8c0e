//! A page that reads its events when the test says so.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

pub(crate) struct Page {
    body: Body,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
}

pub(crate) async fn get(router: &Router, path: &str) -> Response {
    router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
}

impl Page {
    pub(crate) async fn open(router: &Router) -> Self {
        let response = get(router, "/events").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body() }
    }

    /// Waits for the next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let bytes = self.body.frame().await?.unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        let (name, data) = text.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        let data = data.strip_suffix("\n\n").unwrap();
        assert!(!data.contains(['\n', '\r']), "one line of data");
        Some(Event { name: name.into(), data: serde_json::from_str(data).unwrap() })
    }

    /// The event that is there already, if there is one.
    pub(crate) fn now(&mut self) -> Option<Event> {
        self.next().now_or_never().flatten()
    }
}

impl Event {
    /// What it says of all parts now, whichever event it is.
    pub(crate) fn tick(&self) -> &Value {
        if self.name == "whole" { &self.data["tick"] } else { &self.data }
    }

    pub(crate) fn part(&self, index: usize) -> &Value {
        &self.tick()["parts"][index]
    }
}
