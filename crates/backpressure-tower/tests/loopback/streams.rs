//! Answers that go on for long: they hold no slot, have a bound of their own, and a drain waits for them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::routing::get;
use backpressure_core::State;
use backpressure_core::limit::Fixed;
use backpressure_tower::{Overloaded, ShedHandle, ShedLayer, ShedReason};
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, Full};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::kit::Chunk;

const MS: Duration = Duration::from_millis(1);

/// Requests that are worked on at the same time.
const WORKERS: usize = 4;
/// Each takes so long: 400 a second are full load.
const WORK: Duration = Duration::from_millis(10);
/// 200 a second are half of it.
const PAUSE: Duration = Duration::from_millis(5);

/// Nothing at all, or a chunk every 100 ms, until it is told to end.
fn long(is_dripping: bool, end: Arc<Notify>) -> stream::BoxStream<'static, ()> {
    let drops = stream::unfold((), |()| async {
        sleep(100 * MS).await; // tidy: paused clock
        Some(((), ()))
    });
    let ended = async move { end.notified().await };
    if is_dripping { drops.take_until(ended).boxed() } else { stream::pending().take_until(ended).boxed() }
}

/// `/idle` and `/drip` are long, `/work` is not.
fn http(end: &Arc<Notify>) -> Router {
    let (workers, end) = (Arc::new(Semaphore::new(WORKERS)), Arc::clone(end));
    let answer = async move |Path(kind): Path<String>| {
        if kind == "work" {
            let _worker = workers.acquire().await;
            sleep(WORK).await; // tidy: paused clock
            return Body::from("done");
        }
        Body::from_stream(long(kind == "drip", end).map(|()| Chunk::Ok(Bytes::from("data: x\n\n"))))
    };
    Router::new().route("/{kind}", get(answer))
}

/// The same in gRPC, as far as a body can tell: a unary answer is a message of an unknown length and its trailers.
fn grpc(
    end: &Arc<Notify>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + use<> {
    let (workers, end) = (Arc::new(Semaphore::new(WORKERS)), Arc::clone(end));
    service_fn(move |request: Request<Body>| {
        let (workers, end) = (Arc::clone(&workers), Arc::clone(&end));
        async move {
            let message = || Chunk::Ok(Bytes::from_static(&[0; 5]));
            let body = if request.uri().path() == "/work" {
                let _worker = workers.acquire().await;
                sleep(WORK).await; // tidy: paused clock
                Body::from_stream(stream::iter([message()]))
            } else {
                Body::from_stream(long(request.uri().path() == "/drip", end).map(move |()| message()))
            };
            Ok(Response::new(body))
        }
    })
}

fn to(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// Reads to the end, as a connection does.
fn read<B: HttpBody<Data: Send> + Unpin + Send + 'static>(response: Response<B>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut body = response.into_body();
        while body.frame().await.is_some() {}
    })
}

/// Eight long answers, four of them idle, and then 6000 short requests at half load. All are served, and nobody is pressed.
async fn long_answers_starve_nobody<S, B>(service: S, handle: ShedHandle, end: &Notify)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: HttpBody<Data: Send> + Unpin + Send + 'static,
{
    for path in ["/idle", "/drip"].repeat(4) {
        read(service.clone().oneshot(to(path)).await.unwrap());
    }
    sleep(1000 * MS).await; // tidy: paused clock
    assert_eq!((handle.streams(), handle.limiter().in_flight()), (8, 0));
    let short = (0..6000u32).map(|_| {
        let service = service.clone();
        tokio::spawn(async move {
            let response = service.oneshot(to("/work")).await.unwrap();
            let is_served = response.status() == StatusCode::OK && !response.headers().contains_key("grpc-status");
            read(response).await.unwrap();
            is_served
        })
    });
    let (mut answers, mut served) = (Vec::new(), 0);
    for answer in short {
        answers.push(answer);
        sleep(PAUSE).await; // tidy: paused clock
    }
    for answer in answers {
        served += u32::from(answer.await.unwrap());
    }
    let snapshot = handle.gauge().snapshot();
    assert_eq!((served, handle.state(), handle.counts().total()), (6000, State::Normal, 0));
    assert_eq!((snapshot.streams, snapshot.counts.delivered, snapshot.counts.in_flight), (8, 6008, 0));
    end.notify_waiters();
    sleep(MS).await; // tidy: paused clock
    assert_eq!(handle.streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn h3_eight_long_answers_over_http_leave_all_slots_to_6000_short_ones() {
    let (layer, end) = (ShedLayer::adaptive(), Arc::default());
    let handle = layer.handle();
    let service = layer.into_http().layer(http(&end));
    long_answers_starve_nobody(service, handle, &end).await;
}

#[tokio::test(start_paused = true)]
async fn h3_eight_long_answers_over_grpc_leave_all_slots_to_6000_short_ones() {
    let (layer, end) = (ShedLayer::adaptive(), Arc::default());
    let handle = layer.handle();
    let service = layer.into_grpc().layer(grpc(&end));
    long_answers_starve_nobody(service, handle, &end).await;
}

#[tokio::test(start_paused = true)]
async fn d3_one_stream_too_many_is_refused_over_http_and_counted_once() {
    let layer = ShedLayer::builder().limit(Fixed::new(100).unwrap()).max_streams(2).build();
    let (handle, end) = (layer.handle(), Arc::default());
    let service = layer.into_http().layer(http(&end));
    for path in ["/idle", "/drip"] {
        read(service.clone().oneshot(to(path)).await.unwrap());
    }
    let refused = service.clone().oneshot(to("/idle")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after") && refused.body().is_end_stream());
    let overloaded = refused.extensions().get::<Overloaded>().unwrap();
    assert_eq!((overloaded.reason(), overloaded.state()), (ShedReason::Streams, State::Normal));
    let counts = handle.gauge().snapshot().counts;
    assert!(counts.balances(), "{counts:?}");
    assert_eq!((counts.received, counts.delivered, counts.rejected, counts.in_flight), (3, 2, 1, 0));
    assert_eq!((handle.streams(), handle.counts().shed(ShedReason::Streams), handle.counts().total()), (2, 1, 1));

    assert_eq!(service.clone().oneshot(to("/work")).await.unwrap().status(), StatusCode::OK, "no stream");
    end.notify_waiters();
    sleep(MS).await; // tidy: paused clock
    assert_eq!(service.oneshot(to("/idle")).await.unwrap().status(), StatusCode::OK, "there is room again");
}

#[tokio::test(start_paused = true)]
async fn d3_an_answer_whose_body_is_not_sent_is_no_stream() {
    let layer = ShedLayer::builder().max_streams(0).build();
    let handle = layer.handle();
    let service = layer.into_http().layer(service_fn(async |request: Request<Body>| {
        let status: u16 = request.uri().path()[1..].parse().unwrap();
        let endless = Body::from_stream(stream::pending::<Chunk>());
        Ok::<_, Infallible>(Response::builder().status(status).body(endless).unwrap())
    }));
    for (method, path, expected) in
        [("HEAD", "/200", 200), ("GET", "/204", 204), ("GET", "/304", 304), ("GET", "/200", 503)]
    {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), expected, "{method} {path}");
        assert_eq!(handle.streams(), 0);
    }
    assert_eq!((handle.counts().shed(ShedReason::Streams), handle.limiter().in_flight()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn d3_one_stream_too_many_ends_with_its_status_over_grpc_and_unary_calls_go_on() {
    let layer = ShedLayer::builder().limit(Fixed::new(100).unwrap()).max_streams(2).build();
    let (handle, end) = (layer.handle(), Arc::default());
    let service = layer.into_grpc().layer(grpc(&end));
    for path in ["/idle", "/drip"] {
        read(service.clone().oneshot(to(path)).await.unwrap());
    }
    sleep(MS).await; // tidy: paused clock
    let mut refused = service.clone().oneshot(to("/drip")).await.unwrap().into_body();
    let trailers = refused.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "8");
    assert!(trailers.contains_key("grpc-retry-pushback-ms") && refused.is_end_stream());
    let unary = service.oneshot(to("/work")).await.unwrap();
    assert_eq!(unary.into_body().collect().await.unwrap().to_bytes(), &[0; 5][..]);

    let counts = handle.gauge().snapshot().counts;
    assert!(counts.balances(), "{counts:?}");
    assert_eq!((counts.received, counts.delivered, counts.rejected, counts.in_flight), (4, 3, 1, 0));
    assert_eq!((handle.streams(), handle.counts().shed(ShedReason::Streams)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn h4_a_shadow_counts_the_streams_that_are_too_many_and_refuses_none() {
    let layer = ShedLayer::builder().max_streams(1).shadow().build();
    let (handle, end) = (layer.handle(), Arc::default());
    let service = layer.into_http().layer(http(&end));
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(service.clone().oneshot(to("/idle")).await.unwrap());
    }
    assert!(open.iter().all(|response| response.status() == StatusCode::OK));
    let counts = handle.counts();
    assert_eq!((handle.streams(), counts.would_shed(ShedReason::Streams), counts.total()), (3, 2, 0));
    handle.set_shadow(false);
    let refused = service.clone().oneshot(to("/idle")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(open);
    assert_eq!(handle.streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn t7_a_drain_waits_for_streams_until_its_deadline_and_says_how_many_are_open() {
    let (layer, end) = (ShedLayer::adaptive(), Arc::default());
    let handle = layer.handle();
    let service = layer.into_http().layer(http(&end));
    for path in ["/idle", "/drip"].repeat(3) {
        read(service.clone().oneshot(to(path)).await.unwrap());
    }
    let (start, report) = (Instant::now(), handle.drain(500 * MS).await);
    assert_eq!((report.streams, report.abandoned, report.finished), (6, 0, 0));
    assert_eq!((report.elapsed, start.elapsed()), (500 * MS, 500 * MS));

    let drain = tokio::spawn(handle.drain(5000 * MS));
    sleep(200 * MS).await; // tidy: paused clock
    assert!(!drain.is_finished());
    end.notify_waiters();
    let report = drain.await.unwrap();
    assert_eq!((report.streams, report.elapsed), (0, 200 * MS));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_is_counted_by_whoever_serves_it() {
    let layer = ShedLayer::builder().max_streams(1).build();
    let handle = layer.handle();
    let upgrade = service_fn({
        let handle = handle.clone();
        move |_: Request<Body>| {
            let opened = handle.open_stream();
            async move {
                let Ok(stream) = opened else {
                    return Ok::<_, Infallible>(
                        Response::builder().status(503).body(Full::<Bytes>::default()).unwrap(),
                    );
                };
                let socket = tokio::spawn(async move {
                    sleep(1000 * MS).await; // tidy: paused clock
                    drop(stream);
                });
                drop(socket);
                Ok(Response::builder().status(101).body(Full::default()).unwrap())
            }
        }
    });
    let service = layer.into_http().layer(upgrade);
    let status = async || service.clone().oneshot(to("/")).await.unwrap().status();
    assert_eq!((status().await, status().await), (StatusCode::SWITCHING_PROTOCOLS, StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!((handle.streams(), handle.limiter().in_flight()), (1, 0));
    let report = handle.drain(5000 * MS).await;
    assert_eq!((report.streams, report.elapsed), (0, 1000 * MS));
}
