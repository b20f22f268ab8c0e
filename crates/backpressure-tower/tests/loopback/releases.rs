//! Slots that are held to the end of the body, and given back whatever happens.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use backpressure_tower::{ShedHandle, ShedLayer};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::kit::{Audience, Chunk, Client, Sized, Stage, serve};

/// A server with one slot. `/act` stands on the stage; the body of `/stream` is what is sent to it, and that of `/sized`, too,
/// which has two bytes; `/panic` panics.
async fn one_slot() -> (SocketAddr, ShedHandle, Stage, Audience, mpsc::Sender<Chunk>) {
    let (stage, audience) = Stage::new();
    let (chunks, body) = mpsc::channel::<Chunk>(1);
    let body = Arc::new(Mutex::new(Some(body)));
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    let act = async |State(stage): State<Stage>| stage.act().await;
    let stream = async move |State(stage): State<Stage>| match body.lock().unwrap().take() {
        Some(body) => {
            let actor = stage.enter();
            Body::from_stream(ReceiverStream::new(body).map(move |chunk| {
                let _on_stage = &actor;
                chunk
            }))
        }
        None => Body::empty(),
    };
    let sized = {
        let stream = stream.clone();
        async move |stage| Body::new(Sized::new(stream(stage).await, 2))
    };
    let panic = async || -> () { panic!("as it should") };
    let router = Router::new()
        .route("/act", get(act))
        .route("/stream", get(stream))
        .route("/sized", get(sized))
        .route("/panic", get(panic));
    (serve(router.with_state(stage.clone()).layer(layer.into_http())).await, handle, stage, audience, chunks)
}

#[tokio::test]
async fn s4_a_body_of_a_known_length_holds_its_slot_to_its_end() {
    let (address, handle, .., chunks) = one_slot().await;
    let (mut first, mut second) = (Client::connect(address).await, Client::connect(address).await);

    let response = first.get("/sized").await;
    assert_eq!(response.status(), StatusCode::OK, "the head is there");
    let mut body = response.into_body();
    for chunk in ["a", "b"] {
        assert_eq!(second.status("/sized").await, StatusCode::SERVICE_UNAVAILABLE);
        chunks.send(Ok(Bytes::from(chunk))).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), chunk);
    }
    assert!(body.frame().await.is_none());
    assert_eq!(second.status("/stream").await, StatusCode::OK, "it is empty now");
    assert_eq!((handle.limiter().in_flight(), handle.streams()), (0, 0));
}

#[tokio::test]
async fn s4_a_body_of_an_unknown_length_is_a_stream_and_holds_no_slot() {
    let (address, handle, .., chunks) = one_slot().await;
    let (mut first, mut second) = (Client::connect(address).await, Client::connect(address).await);
    let mut body = first.get("/stream").await.into_body();
    for chunk in ["a", "b"] {
        assert_eq!(second.status("/stream").await, StatusCode::OK);
        chunks.send(Ok(Bytes::from(chunk))).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), chunk);
    }
    assert_eq!((handle.limiter().in_flight(), handle.streams()), (0, 1));
    drop(chunks);
    assert!(body.frame().await.is_none());
    assert_eq!(handle.streams(), 0);
}

#[tokio::test]
async fn s2_a_client_that_resets_frees_the_slot_of_its_handler() {
    let (address, handle, stage, mut audience, _) = one_slot().await;
    let mut client = Client::connect(address).await;
    let call = tokio::spawn(client.send("/act"));
    audience.sees_somebody_enter().await;
    client.reset().await;
    assert!(call.await.unwrap().is_err());
    audience.sees_somebody_leave().await;
    // The actor leaves in the middle of the future's drop.
    tokio::task::yield_now().await;
    assert_eq!(handle.limiter().in_flight(), 0);
    stage.release(1);
    assert_eq!(Client::connect(address).await.status("/act").await, StatusCode::OK);
}

#[tokio::test]
async fn s2_a_client_that_resets_ends_its_stream() {
    let (address, handle, _, mut audience, chunks) = one_slot().await;
    let mut client = Client::connect(address).await;
    let response = client.get("/stream").await;
    chunks.send(Ok(Bytes::from("a"))).await.unwrap();
    assert_eq!(handle.streams(), 1);
    drop(response);
    client.reset().await;
    audience.sees_somebody_leave().await;
    tokio::task::yield_now().await;
    assert_eq!((handle.streams(), handle.limiter().in_flight()), (0, 0));
}

#[tokio::test]
async fn s8_a_handler_that_panics_frees_its_slot_and_fails_its_own_caller() {
    let (address, handle, stage, ..) = one_slot().await;
    for _ in 0..3 {
        let mut client = Client::connect(address).await;
        assert!(client.send("/panic").await.is_err());
    }
    assert_eq!(handle.limiter().in_flight(), 0);
    stage.release(1);
    assert_eq!(Client::connect(address).await.status("/act").await, StatusCode::OK);
    assert_eq!(handle.counts().total(), 0);
}
