//! What can be sent, shared and moved.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use backpressure_tower::{
    CoalescedBody, Grpc, HeldBody, Http, Linger, LingerCounts, Lingering, NoLinger, RequestHeaders, ShedLayer,
};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Bytes;
use tower::Service;

fn all<T: Send + Sync + Unpin + std::fmt::Debug>() {}

#[test]
fn i4_everything_is_send_sync_and_unpin() {
    all::<Http>();
    all::<Http<NoLinger>>();
    all::<Linger>();
    all::<LingerCounts>();
    all::<Lingering>();
    all::<Grpc>();
    all::<RequestHeaders>();
    all::<HeldBody<Full<Bytes>>>();
    all::<CoalescedBody<Full<Bytes>>>();
}

#[test]
fn a_service_that_cannot_fail_still_cannot() {
    fn cannot_fail<S: Service<hyper::Request<Body>, Error = Infallible>>(_: S) {}
    let layer = ShedLayer::adaptive().into_http();
    cannot_fail(tower::Layer::layer(&layer, Router::<()>::new()));
}

#[test]
fn an_empty_body_is_at_its_end() {
    let body = HeldBody::<Full<Bytes>>::default();
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
}
