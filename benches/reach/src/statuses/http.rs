//! Under a client of HTTP: reqwest.

use std::error::Error;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::http::{self, StatusCode};
use backpressure_tower::{HttpRefusals, Judge, ShedLayer};
use reqwest::Client;
use tokio::net::TcpListener;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_http::timeout::TimeoutLayer;

use super::{SOON, counted, says};
use crate::plain::{Cells, Line, Table};

pub fn table() -> Table {
    let line = |name, measure| Line { name, measure };
    Table {
        mark: "http",
        head: "| who refuses reqwest | what the client sees | tries | `HttpRefusals` | `ShedLayer::into_http` around it |\n|---|---|--:|---|---|\n",
        lines: vec![
            line("tower-http `TimeoutLayer` with 408 under axum", || {
                asks(never().layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, SOON)))
            }),
            line("tower-http `TimeoutLayer` with 504 under axum", || {
                asks(never().layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, SOON)))
            }),
            line("tower `LoadShed` over a limit of 0 under axum, handled as 503", || {
                let layer = ServiceBuilder::new()
                    .layer(HandleErrorLayer::new(async |_: tower::BoxError| StatusCode::SERVICE_UNAVAILABLE))
                    .load_shed()
                    .concurrency_limit(0);
                asks(never().layer(layer))
            }),
            line("`ShedLayer::into_http` over a limit of 1", || {
                Box::pin(async move {
                    let layer = ShedLayer::fixed(1)?;
                    let _taken = layer.handle().limiter().try_admit(Default::default());
                    ask(never().layer(layer.into_http()), Client::builder()).await
                })
            }),
            line("HTTP 429", || asks(status(429))),
            line("HTTP 502", || asks(status(502))),
            line("HTTP 503", || asks(status(503))),
            line("HTTP 504", || asks(status(504))),
            line("reqwest `timeout`", || Box::pin(async { ask(never(), Client::builder().timeout(SOON)).await })),
            line("reqwest `retry` of 503, at most 2", || {
                Box::pin(async {
                    let retry = reqwest::retry::for_host("127.0.0.1").max_retries_per_request(2);
                    let retry = retry.classify_fn(|call| match call.status() {
                        Some(StatusCode::SERVICE_UNAVAILABLE) => call.retryable(),
                        _ => call.success(),
                    });
                    ask(status(503), Client::builder().retry(retry)).await
                })
            }),
            line("nobody listens", || {
                Box::pin(async {
                    let listener = TcpListener::bind("127.0.0.1:0").await?;
                    let address = format!("http://{}", listener.local_addr()?);
                    drop(listener);
                    tell(Client::builder().no_proxy().build()?.get(address).send().await, 0).await
                })
            }),
        ],
    }
}

fn never() -> Router {
    Router::new().fallback(async || pending::<()>().await)
}

fn status(status: u16) -> Router {
    Router::new().fallback(async move || StatusCode::from_u16(status).unwrap_or_default())
}

fn asks(router: Router) -> Cells {
    Box::pin(ask(router, Client::builder()))
}

/// One request of a client of this kind, and how often it came.
async fn ask(router: Router, client: reqwest::ClientBuilder) -> Result<Vec<String>> {
    let tries = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&tries);
    let router = router.layer(axum::middleware::map_request(move |request: http::Request<Body>| {
        seen.fetch_add(1, Ordering::Relaxed);
        std::future::ready(request)
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, router).into_future());
    let outcome = client.no_proxy().build()?.get(address).send().await;
    tell(outcome, tries.load(Ordering::Relaxed)).await
}

async fn tell(outcome: reqwest::Result<reqwest::Response>, tries: usize) -> Result<Vec<String>> {
    let outcome = outcome.map(http::Response::<reqwest::Body>::from);
    let verdict = says(HttpRefusals.judge(&outcome));
    let layer = ShedLayer::fixed(1)?;
    let handle = layer.handle();
    let answer = Arc::new(Mutex::new(Some(outcome)));
    let answer = move |_: http::Request<Body>| std::future::ready(answer.lock().unwrap().take().expect("asked once"));
    let outcome = layer.into_http().layer(service_fn(answer)).oneshot(http::Request::new(Body::empty())).await;
    let seen = match &outcome {
        Ok(response) => response.status().to_string(),
        Err(error) => {
            let deepest = std::iter::successors(Some(error as &dyn Error), |&error| error.source()).last();
            format!("an error, at its root “{}”", deepest.map_or_else(String::new, ToString::to_string))
        }
    };
    drop(outcome);
    Ok(vec![seen, tries.to_string(), verdict, counted(&handle).into()])
}
