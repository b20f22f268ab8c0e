//! Classes by route and by gRPC method, one of which has a dead backend.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use backpressure_core::limit::Fixed;
use backpressure_tower::{HeldBody, Limiter, ShedLayer, ShedReason};
use futures_util::poll;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use tokio::time::advance;
use tonic::Status;
use tonic::server::Grpc as Methods;
use tonic_prost::ProstCodec;
use tower::{Layer, Service, ServiceExt, service_fn};

type Answer = http::Response<HeldBody<tonic::body::Body>>;

const MS: Duration = Duration::from_millis(1);

fn limit_of_20() -> ShedLayer {
    ShedLayer::builder().limiter(Limiter::builder().limit(Fixed::new(20).unwrap()).build()).build()
}

/// Of a thousand calls that are answered within 10 ms, a hundred a second and after as many before, how many are; beside fifty a
/// second that fail after a second. `call` makes one that is dead or not, and answers whether it was answered.
async fn answered_beside_a_dead_backend<F: Future<Output = bool>>(call: impl Fn(bool, u32) -> F) -> usize {
    let (mut stuck, mut answered) = (Vec::<Pin<Box<F>>>::new(), 0);
    for step in 0..2000 {
        if step % 2 == 0 {
            stuck.push(Box::pin(call(true, step)));
        }
        // A slot that a dead call leaves goes to the next dead one.
        let mut pending = Vec::new();
        for mut dead in stuck {
            if poll!(&mut dead).is_pending() {
                pending.push(dead);
            }
        }
        stuck = pending;
        let mut healthy = Box::pin(call(false, step));
        let mut seen = poll!(&mut healthy);
        advance(10 * MS).await;
        if seen.is_pending() {
            seen = poll!(&mut healthy);
        }
        answered += usize::from(step >= 1000 && seen == Poll::Ready(true));
    }
    answered
}

async fn dead() -> StatusCode {
    tokio::time::sleep(1000 * MS).await; // tidy: paused clock
    StatusCode::GATEWAY_TIMEOUT
}

async fn fine() -> &'static str {
    tokio::time::sleep(5 * MS).await; // tidy: paused clock
    "fine"
}

#[tokio::test(start_paused = true)]
async fn h3_a_route_of_axum_with_a_dead_backend_does_not_take_the_slots_of_the_others() {
    let answered = async |router: Router| {
        let call = async |is_dead: bool, step: u32| {
            let path = if is_dead { format!("/dead/{step}") } else { format!("/fine/{step}") };
            let request = Request::get(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap().status() == StatusCode::OK
        };
        answered_beside_a_dead_backend(call).await
    };
    let router = Router::new().route("/dead/{id}", get(dead)).route("/fine/{id}", get(fine));
    let untold = router.clone().layer(limit_of_20().into_http());
    assert!(answered(untold).await < 500, "without classes the dead calls have the slots");
    let layer = limit_of_20();
    let handle = layer.handle();
    assert_eq!(answered(router.layer(layer.classes_by_route().into_http())).await, 1000);
    assert!(handle.counts().shed(ShedReason::Class) > 200);
}

async fn answered_in_grpc(
    service: impl Service<Request<tonic::body::Body>, Response = Answer, Error = Infallible> + Clone,
) -> usize {
    let call = async |is_dead: bool, _| {
        let path = if is_dead { "/test.Play/Dead" } else { "/test.Play/Fine" };
        // The head of a message without content.
        let body = tonic::body::Body::new(Full::new(Bytes::from_static(&[0; 5])));
        let request = Request::post(path).header("content-type", "application/grpc").body(body).unwrap();
        !service.clone().oneshot(request).await.unwrap().headers().contains_key("grpc-status")
    };
    answered_beside_a_dead_backend(call).await
}

#[tokio::test(start_paused = true)]
async fn h3_a_grpc_method_with_a_dead_backend_does_not_take_the_slots_of_the_others() {
    let play = service_fn(|request: http::Request<tonic::body::Body>| async move {
        let is_dead = request.uri().path() == "/test.Play/Dead";
        let method = service_fn(move |number: tonic::Request<u64>| async move {
            if is_dead {
                dead().await;
                return Err(Status::deadline_exceeded(""));
            }
            fine().await;
            Ok(tonic::Response::new(number.into_inner()))
        });
        Ok::<_, Infallible>(Methods::new(ProstCodec::<u64, u64>::default()).unary(method, request).await)
    });
    let untold = limit_of_20().into_grpc().layer(play);
    assert!(answered_in_grpc(untold).await < 500, "without classes the dead calls have the slots");
    let layer = limit_of_20();
    let handle = layer.handle();
    assert_eq!(answered_in_grpc(layer.classes_by_method().into_grpc().layer(play)).await, 1000);
    assert!(handle.counts().shed(ShedReason::Class) > 200);
}
