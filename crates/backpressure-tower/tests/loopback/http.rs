//! Limits that hold under `Router::layer`, and what a client is told.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::get;
use backpressure_core::State as Pressure;
use backpressure_tower::{HttpRefusals, RequestHeaders, RetryBudget, RetryLayer, ShedLayer};
use futures_util::future::join_all;
use futures_util::{StreamExt, poll, stream};
use http_body_util::Full;
use hyper::header::{CONNECTION, RETRY_AFTER};
use hyper::{Request, StatusCode};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

use crate::kit::{Chunk, Client, Sized, Stage, read, serve};

/// A body of three chunks and three bytes, which is on the stage for as long as there is one of it left.
async fn sized(State(stage): State<Stage>) -> Body {
    Body::new(Sized::new(stream(State(stage)).await, 3))
}

/// The same, and nobody knows how long it is.
async fn stream(State(stage): State<Stage>) -> Body {
    let actor = stage.enter();
    let chunks = stream::iter(["a", "b", "c"]).then(move |chunk| {
        let _on_stage = &actor;
        async move {
            tokio::task::yield_now().await;
            Chunk::Ok(Bytes::from(chunk))
        }
    });
    Body::from_stream(chunks)
}

async fn act(State(stage): State<Stage>) -> &'static str {
    stage.act().await;
    "done"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_a_limit_of_one_is_one_for_all_routes_and_connections() {
    let (stage, mut audience) = Stage::new();
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    const ROUTES: [&str; 3] = ["/a", "/b", "/sized"];
    let router = Router::new().route("/a", get(act)).route("/b", get(act)).route("/sized", get(sized));
    let address = serve(router.with_state(stage.clone()).layer(layer.into_http())).await;

    let mut clients = join_all((0..20).map(|_| Client::connect(address))).await;
    let first = clients[0].send("/a");
    let first = tokio::spawn(first);
    audience.sees_somebody_enter().await;
    let others = clients[1..].iter_mut().zip(ROUTES.iter().cycle()).map(|(client, path)| client.status(path));
    assert_eq!(join_all(others).await, [StatusCode::SERVICE_UNAVAILABLE; 19]);
    stage.release(1);
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);

    stage.release(usize::MAX >> 4);
    let free_for_all = clients.into_iter().zip(ROUTES.iter().cycle()).map(|(mut client, path)| {
        tokio::spawn(async move {
            let mut seen = BTreeMap::new();
            for _ in 0..50 {
                *seen.entry(client.status(path).await).or_insert(0u64) += 1;
            }
            seen
        })
    });
    let mut seen = BTreeMap::<StatusCode, u64>::new();
    for counts in join_all(free_for_all).await {
        counts.unwrap().into_iter().for_each(|(status, count)| *seen.entry(status).or_default() += count);
    }
    assert_eq!(stage.peak(), 1);
    assert!(seen[&StatusCode::OK] > 0 && seen.values().sum::<u64>() == 1000, "{seen:?}");
    let shed = seen.get(&StatusCode::SERVICE_UNAVAILABLE).copied().unwrap_or_default();
    assert_eq!(handle.counts().total(), 19 + shed);
}

#[tokio::test]
async fn s3_who_is_shed_is_told_when_to_come_back_and_not_everybody_the_same() {
    let (stage, mut audience) = Stage::new();
    let layer = ShedLayer::fixed(1).unwrap().into_http();
    let address = serve(Router::new().route("/", get(act)).with_state(stage).layer(layer)).await;
    let mut inside = Client::connect(address).await;
    let _call = tokio::spawn(inside.send("/"));
    audience.sees_somebody_enter().await;

    let mut client = Client::connect(address).await;
    let mut waits = BTreeMap::<u64, u32>::new();
    for _ in 0..100 {
        let response = client.get("/").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!response.headers().contains_key(CONNECTION), "overload is no reason to close the connection");
        let wait: u64 = response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        *waits.entry(wait).or_default() += 1;
        assert_eq!(read(response).await, "");
    }
    assert!(waits.len() > 1 && !waits.contains_key(&0), "{waits:?}");
}

#[tokio::test]
async fn s2_a_head_request_holds_no_slot_for_a_body_that_nobody_gets() {
    let (stage, mut audience) = Stage::new();
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    let router = Router::new().route("/stream", get(stream)).route("/", get(act)).with_state(stage);
    let address = serve(router.layer(layer.into_http())).await;
    let mut client = Client::connect(address).await;
    for _ in 0..10 {
        assert_eq!(client.head("/stream").await.status(), StatusCode::OK);
    }
    assert_eq!(handle.limiter().in_flight(), 0);
    (0..10).for_each(|_| assert!(audience.has_seen_somebody_leave()));

    let mut inside = Client::connect(address).await;
    let _call = tokio::spawn(inside.send("/"));
    while handle.limiter().in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let shed = client.head("/stream").await;
    assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(shed.headers().contains_key(RETRY_AFTER));
    assert!(client.is_open().await);
}

#[tokio::test]
async fn health_and_metrics_are_answered_while_everything_else_is_shed() {
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    let ready = handle.clone();
    let router = Router::new()
        .route("/work", get("done"))
        .route("/metrics", get("fine"))
        .route("/healthz", get(async move || if ready.is_ready() { "ready" } else { "leaving" }))
        .layer(layer.classify(RequestHeaders::new().exempt("/healthz").exempt("/metrics")).into_http());
    let mut client = Client::connect(serve(router).await).await;

    handle.force(Some(Pressure::Blocked));
    assert_eq!(client.status("/work").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(read(client.get("/metrics").await).await, "fine");
    assert_eq!(read(client.get("/healthz").await).await, "ready", "pressure is no reason to take it out of service");
    handle.force(None);
    assert_eq!(client.status("/work").await, StatusCode::OK);
    assert_eq!(handle.counts().bypassed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_forged_priority_opens_no_door_and_that_of_a_trusted_peer_does() {
    let layer = ShedLayer::fixed(10).unwrap();
    layer.handle().force(Some(Pressure::Blocked));
    let clients = layer.clone().classify(RequestHeaders::new()).into_http();
    let peers = layer.classify(RequestHeaders::new().trust_if(|_, peer| peer.get() == Some(&"gateway"))).into_http();
    let router = Router::new().route("/", get("done"));
    let status = async |router: Router, peer: &'static str| {
        let request = Request::get("/").header("x-criticality", "critical-plus").extension(peer);
        router.oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap().status()
    };
    for _ in 0..5 {
        assert_eq!(status(router.clone().layer(clients.clone()), "gateway").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(router.clone().layer(peers.clone()), "client").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(router.clone().layer(peers.clone()), "gateway").await, StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn our_own_client_comes_back_when_it_is_told_to() {
    let (stage, mut audience) = Stage::new();
    let layer = ShedLayer::fixed(1).unwrap().into_http();
    let server = Router::new().route("/", get(act)).with_state(stage.clone()).layer(layer);
    let request = Request::get("/").body(Full::<Bytes>::default()).unwrap();
    let first = tokio::spawn(server.clone().oneshot(request.clone()));
    audience.sees_somebody_enter().await;

    let client = RetryLayer::new(RetryBudget::default()).judge(HttpRefusals).layer(server);
    let start = Instant::now();
    let mut second = Box::pin(client.oneshot(request));
    assert!(poll!(&mut second).is_pending(), "it was shed, and waits");
    stage.release(2);
    first.await.unwrap().unwrap();
    assert_eq!(second.await.unwrap().status(), StatusCode::OK);
    let waited = start.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_millis(2100)).contains(&waited), "{waited:?}");
}
