//! Requests, connections and a buffer that do not end by themselves, under one deadline.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use backpressure_controller::BackpressureController;
use backpressure_core::BackpressureConfig;
use backpressure_core::limit::Fixed;
use backpressure_shutdown::Shutdown;
use backpressure_tower::{ShedDrainReport, ShedLayer};
use futures_util::stream;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt, service_fn};

use crate::kit::{Chunk, Sized};

const MS: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_millis(5000);

/// A byte a second.
fn slow() -> Body {
    Body::from_stream(stream::unfold((), |()| async {
        sleep(1000 * MS).await; // tidy: paused clock
        Some((Chunk::Ok(Bytes::from_static(b".")), ()))
    }))
}

/// Shuts a server down while clients read so many of these bodies, and its database answers nobody.
async fn shut_down(clients: usize, body: fn() -> Body) -> ShedDrainReport {
    let controller = BackpressureController::builder(BackpressureConfig::builder().batch_items(10).build().unwrap())
        .flush_fn(|_: Vec<u32>| std::future::pending::<Result<(), Infallible>>())
        .spawn()
        .unwrap();
    controller.push(1).await.unwrap();
    let layer = ShedLayer::builder().limit(Fixed::new(clients).unwrap()).build();
    let handle = layer.handle();
    let service = layer
        .into_http()
        .layer(service_fn(move |_: Request<Body>| async move { Ok::<_, Infallible>(Response::new(body())) }));
    let mut connections = JoinSet::new();
    for _ in 0..clients {
        let response = service.clone().oneshot(Request::new(Body::empty())).await.unwrap();
        connections.spawn(response.into_body().collect());
    }

    let start = Instant::now();
    let mut shutdown = Shutdown::new(PATIENCE, ["requests", "connections", "buffer"]);
    let requests = shutdown.stage(|time| handle.drain(time)).await;
    let all = async { while connections.join_next().await.is_some() {} };
    assert!(shutdown.stage(|time| timeout(time, all)).await.is_err(), "they go on");
    let buffered = shutdown.stage(|time| controller.drain(time)).await;
    assert_eq!((buffered.unanswered, buffered.is_complete()), (1, false));
    // A timer of tokio ends within a millisecond after its time.
    let late = start.elapsed().saturating_sub(PATIENCE);
    assert!(late <= 3 * MS && start.elapsed() >= PATIENCE, "{shutdown}");
    requests
}

#[tokio::test(start_paused = true)]
async fn t7_fifty_slow_bodies_end_within_the_one_deadline_of_all_stages() {
    let report = shut_down(50, || Body::new(Sized::new(slow(), 1 << 20))).await;
    assert_eq!((report.abandoned, report.streams), (50, 0));
}

#[tokio::test(start_paused = true)]
async fn t7_5000_open_streams_end_within_the_one_deadline_of_all_stages() {
    let report = shut_down(5000, slow).await;
    assert_eq!((report.abandoned, report.streams), (0, 5000));
}
