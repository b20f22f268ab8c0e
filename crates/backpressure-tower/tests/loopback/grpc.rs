//! tonic servers under a limit, and what their clients see.

use std::time::Duration;

use backpressure_core::State;
use backpressure_core::limit::{CoDel, Fixed};
use backpressure_tower::{GrpcRefusals, Limiter, Overloaded, RequestHeaders, ShedLayer, ShedReason, Verdict};
use futures_util::future::join_all;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::{Layer, ServiceExt};

use crate::kit::Stage;
use crate::outcomes::limit_of_100;
use crate::play::{Client, Health, Play, serve};

/// How long the client is to wait, if it is a proper refusal.
fn pushback(status: &Status, code: Code) -> Duration {
    assert_eq!(status.code(), code, "{status:?}");
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
    let wait = Duration::from_millis(pushback.parse().unwrap());
    let details = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert_eq!(wait.as_millis(), details.as_millis());
    let answer = GrpcRefusals.status(status.code() as i32, status.metadata().as_ref());
    assert_eq!(answer, Verdict::Refused { retry_after: Some(wait) }, "our own client understands it");
    wait
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_a_limit_of_one_is_one_for_all_services_and_channels_and_s3_they_are_told() {
    let (stage, mut audience) = Stage::new();
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    let (play, other) = (Play(stage.clone()), Health);
    let server = Server::builder().layer(layer.into_grpc()).add_service(play).add_service(other);
    let address = serve(|incoming| server.serve_with_incoming(incoming));

    let mut clients = join_all((0..20).map(|_| Client::connect(address))).await;
    let mut first = clients[0].clone();
    let first = tokio::spawn(async move { first.act(0).await });
    audience.sees_somebody_enter().await;
    let mut waits = Vec::new();
    for client in &mut clients[1..] {
        waits.push(pushback(&client.act(0).await.unwrap_err(), Code::ResourceExhausted));
        pushback(&client.check().await.unwrap_err(), Code::ResourceExhausted);
    }
    assert!(waits.iter().any(|wait| *wait != waits[0]), "not everybody the same: {waits:?}");
    stage.release(1);
    assert_eq!(first.await.unwrap().unwrap(), 0);

    stage.release(usize::MAX >> 4);
    let free_for_all = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let mut answered = 0;
            for _ in 0..50 {
                answered += u32::from(client.act(0).await.is_ok());
            }
            answered
        })
    });
    let answered: u32 = join_all(free_for_all).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(stage.peak(), 1);
    assert!(answered > 0);
    assert_eq!(u64::from(answered) + handle.counts().total(), 1000 + 38);
}

#[tokio::test]
async fn s4_a_unary_call_holds_the_slot_and_a_stream_none() {
    let (stage, mut audience) = Stage::new();
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    let server = Server::builder().layer(layer.into_grpc()).add_service(Play(stage.clone()));
    let address = serve(|incoming| server.serve_with_incoming(incoming));
    let (mut one, mut another) = (Client::connect(address).await, Client::connect(address).await);

    let mut numbers = one.stream().await.unwrap();
    assert_eq!(numbers.message().await.unwrap(), Some(1));
    audience.sees_somebody_enter().await;
    assert_eq!((handle.streams(), handle.limiter().in_flight()), (1, 0));
    let mut caller = another.clone();
    let call = tokio::spawn(async move { caller.act(0).await });
    audience.sees_somebody_enter().await;
    pushback(&another.act(0).await.unwrap_err(), Code::ResourceExhausted);
    stage.release(3);
    assert_eq!(call.await.unwrap().unwrap(), 0);
    assert_eq!(numbers.message().await.unwrap(), Some(2));
    assert_eq!(numbers.message().await.unwrap(), None);
    assert_eq!(another.act(0).await.unwrap(), 0);
    assert_eq!((handle.streams(), handle.limiter().in_flight()), (0, 0));
}

#[tokio::test]
async fn d3_one_stream_too_many_is_a_refusal_that_our_own_client_understands() {
    let (stage, _audience) = Stage::new();
    let layer = ShedLayer::builder().max_streams(0).build();
    let server = Server::builder().layer(layer.into_grpc()).add_service(Play(stage.clone()));
    let mut client = Client::connect(serve(|incoming| server.serve_with_incoming(incoming))).await;
    let mut numbers = client.stream().await.unwrap();
    let mut end = numbers.message().await;
    while let Ok(Some(_)) = end {
        end = numbers.message().await;
    }
    pushback(&end.unwrap_err(), Code::ResourceExhausted);
    stage.release(1);
    assert_eq!(client.act(0).await.unwrap(), 0, "a unary answer is no stream");
}

#[tokio::test]
async fn s2_a_call_and_a_stream_that_are_given_up_free_their_places() {
    let (stage, mut audience) = Stage::new();
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    let server = Server::builder().layer(layer.into_grpc()).add_service(Play(stage.clone()));
    let mut client = Client::connect(serve(|incoming| server.serve_with_incoming(incoming))).await;

    let mut caller = client.clone();
    let call = tokio::spawn(async move { caller.act(0).await });
    audience.sees_somebody_enter().await;
    call.abort();
    audience.sees_somebody_leave().await;
    tokio::task::yield_now().await;
    assert_eq!(handle.limiter().in_flight(), 0);

    let mut numbers = client.stream().await.unwrap();
    assert_eq!(numbers.message().await.unwrap(), Some(1));
    audience.sees_somebody_enter().await;
    assert_eq!(handle.streams(), 1);
    drop(numbers);
    audience.sees_somebody_leave().await;
    tokio::task::yield_now().await;
    assert_eq!((handle.streams(), handle.limiter().in_flight()), (0, 0));
}

#[tokio::test]
async fn health_is_answered_while_everything_else_is_shed() {
    let (stage, _audience) = Stage::new();
    stage.release(1);
    let layer = ShedLayer::fixed(1).unwrap();
    let handle = layer.handle();
    let layer = layer.classify(RequestHeaders::new().exempt("/grpc.health.v1.Health")).into_grpc();
    let server = Server::builder().layer(layer).add_service(Play(stage)).add_service(Health);
    let mut client = Client::connect(serve(|incoming| server.serve_with_incoming(incoming))).await;

    handle.force(Some(State::Blocked));
    pushback(&client.act(0).await.unwrap_err(), Code::ResourceExhausted);
    assert_eq!(client.check().await.unwrap(), 1);
    handle.force(None);
    assert_eq!(client.act(0).await.unwrap(), 0);
}

#[tokio::test]
async fn t8_a_drain_sends_new_calls_elsewhere_and_waits_for_the_others() {
    let (stage, mut audience) = Stage::new();
    let layer = ShedLayer::fixed(10).unwrap();
    let handle = layer.handle();
    // One service of the server, which keeps its name.
    let play = layer.into_grpc().layer(Play(stage.clone()));
    let server = Server::builder().add_service(play).add_service(Health);
    let mut client = Client::connect(serve(|incoming| server.serve_with_incoming(incoming))).await;

    let mut caller = client.clone();
    let call = tokio::spawn(async move { caller.act(0).await });
    audience.sees_somebody_enter().await;
    let drain = handle.drain(Duration::MAX);
    assert!(!handle.is_ready());
    let drain = tokio::spawn(drain);
    tokio::task::yield_now().await;
    pushback(&client.act(0).await.unwrap_err(), Code::Unavailable);
    assert_eq!(client.check().await.unwrap(), 1, "the other service is not under the layer");
    stage.release(1);
    assert_eq!(call.await.unwrap().unwrap(), 0);
    let report = drain.await.unwrap();
    assert_eq!((report.finished, report.abandoned, report.shed), (1, 0, 1));
}

#[test]
fn a_wrapped_service_is_still_the_one_of_that_name() {
    fn name<S: NamedService>(_: &S) -> &'static str {
        S::NAME
    }
    let layer = ShedLayer::adaptive();
    assert_eq!(name(&layer.layer(Play(Stage::new().0))), "test.Play");
    assert_eq!(name(&layer.into_grpc().layer(Health)), "grpc.health.v1.Health");
}

#[tokio::test]
async fn errors_of_the_application_leave_the_limit_where_it_was_and_unavailable_does_not() {
    let layer = limit_of_100();
    let handle = layer.handle();
    let server = Server::builder().layer(layer.into_grpc()).add_service(Play(Stage::new().0));
    let mut client = Client::connect(serve(|incoming| server.serve_with_incoming(incoming))).await;
    for code in [Code::NotFound, Code::InvalidArgument, Code::ResourceExhausted, Code::Internal] {
        for _ in 0..200 {
            assert_eq!(client.act(code as u64).await.unwrap_err().code(), code);
        }
        assert_eq!(handle.limit(), 100, "{code:?}");
    }
    for _ in 0..500 {
        assert_eq!(client.act(Code::Unavailable as u64).await.unwrap_err().code(), Code::Unavailable);
    }
    assert!(handle.limit() < 50);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_is_shed_as_soon_as_it_cannot_meet_its_grpc_timeout() {
    let (stage, _audience) = Stage::new();
    let limiter = Limiter::builder().limit(Fixed::new(1).unwrap()).queue(CoDel::new()).build();
    let layer = ShedLayer::builder().limiter(limiter).build();
    let service = layer.classify(RequestHeaders::new()).into_grpc().layer(Play(stage));
    let request = |timeout: &str| {
        let request = http::Request::post("/test.Play/Act").header("grpc-timeout", timeout);
        // A message of no bytes is the number 0.
        request.body(tonic::body::Body::new(http_body_util::Full::from(&[0u8; 5][..]))).unwrap()
    };
    let inside = tokio::spawn(service.clone().oneshot(request("1H")));
    tokio::task::yield_now().await;

    let start = tokio::time::Instant::now();
    let response = service.clone().oneshot(request("7m")).await.unwrap();
    assert!(start.elapsed() <= Duration::from_millis(8), "{:?}", start.elapsed());
    assert_eq!(response.headers()["grpc-status"], "8");
    let overloaded = response.extensions().get::<Overloaded>().unwrap();
    assert_eq!(overloaded.reason(), ShedReason::Deadline);
    assert!(!inside.is_finished());
}
