//! Shutting a server down.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use backpressure_tower::{RequestHeaders, ShedHandle, ShedLayer};
use futures_util::poll;
use hyper::StatusCode;
use hyper::header::CONNECTION;

use crate::kit::{Audience, Client, Stage, read, serve, soon};

async fn server() -> (SocketAddr, ShedHandle, Stage, Audience) {
    let (stage, audience) = Stage::new();
    let layer = ShedLayer::fixed(10).unwrap();
    let handle = layer.handle();
    let ready = handle.clone();
    let router = Router::new()
        .route("/act", get(async |State(stage): State<Stage>| stage.act().await))
        .route(
            "/ready",
            get(async move || if ready.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }),
        )
        .with_state(stage.clone())
        .layer(layer.classify(RequestHeaders::new().exempt("/ready")).into_http());
    (serve(router).await, handle, stage, audience)
}

#[tokio::test]
async fn t8_a_drain_waits_for_what_is_in_flight_and_sheds_the_rest() {
    let (address, handle, stage, mut audience) = server().await;
    let (mut inside, mut other) = (Client::connect(address).await, Client::connect(address).await);
    let mut probe = Client::connect(address).await;
    let call = tokio::spawn(inside.send("/act"));
    audience.sees_somebody_enter().await;
    assert_eq!(probe.status("/ready").await, StatusCode::OK);

    let mut drain = Box::pin(handle.drain(Duration::MAX));
    assert_eq!(probe.status("/ready").await, StatusCode::SERVICE_UNAVAILABLE, "before anything is shed");
    assert!(poll!(&mut drain).is_pending());

    let shed = other.get("/act").await;
    assert_eq!(
        (shed.status(), &shed.headers()[CONNECTION]),
        (StatusCode::SERVICE_UNAVAILABLE, &"close".parse().unwrap())
    );
    read(shed).await;
    assert!(!other.is_open().await, "the client is to go elsewhere");

    assert!(poll!(&mut drain).is_pending());
    stage.release(1);
    let answer = call.await.unwrap().unwrap();
    assert_eq!((answer.status(), &answer.headers()[CONNECTION]), (StatusCode::OK, &"close".parse().unwrap()));
    let report = soon(drain).await;
    assert_eq!((report.finished, report.abandoned, report.shed), (1, 0, 1));
}

#[tokio::test]
async fn t7_a_drain_returns_by_its_deadline_and_says_what_it_has_left() {
    let (address, handle, _, mut audience) = server().await;
    let mut clients = [Client::connect(address).await, Client::connect(address).await];
    let _calls = clients.each_mut().map(|client| tokio::spawn(client.send("/act")));
    audience.sees_somebody_enter().await;
    audience.sees_somebody_enter().await;
    let report = handle.drain(Duration::ZERO).await;
    assert_eq!((report.finished, report.abandoned), (0, 2));
}
