//! How long all tries of a call may take together.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backpressure_tower::{GrpcRefusals, NotRetried, NotTried, RetryBudget, RetryLayer, ThrottleLayer, Verdict};
use futures_util::FutureExt;
use http::{Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::kit::{MS, Scripted};
use crate::peer::{Answer, call, channel};

fn layer() -> RetryLayer {
    RetryLayer::new(RetryBudget::default()).retries(9).backoff(MS, MS).unwrap()
}

fn after_a_second(outcome: &Result<u32, &'static str>) -> Verdict {
    outcome.map_or(Verdict::Refused { retry_after: Some(1000 * MS) }, |_| Verdict::Served)
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_would_begin_after_the_deadline_is_not_waited_for() {
    let (service, seen) = Scripted::new(|_| ready(Err("down")));
    let layer = layer().judge(after_a_second).deadline(2500 * MS);
    let start = Instant::now();
    assert_eq!(layer.layer(service).oneshot(1).await, Err("down"));
    assert_eq!(seen.calls.get(), 3, "at 0, 1 and 2 s");
    assert!(start.elapsed() < 2100 * MS, "{:?}", start.elapsed());
    assert_eq!(layer.counts().not_retried(NotRetried::Deadline), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_is_not_waited_for_beyond_the_deadline() {
    let (service, seen) = Scripted::new(|_| ready(Err("down")));
    let layer = layer().judge(after_a_second).deadline(2500 * MS);
    let mut client = layer.layer(service);
    let call = client.ready().await.unwrap().call(1);
    seen.is_open.set(false);
    let start = Instant::now();
    assert_eq!(call.await, Err("down"), "the last outcome");
    let late = start.elapsed() - 2500 * MS;
    assert!(late <= 2 * MS, "{late:?}");
    assert_eq!((seen.calls.get(), layer.counts().retries()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn d6_no_time_and_all_time() {
    for (deadline, calls) in [(Duration::ZERO, 1), (Duration::MAX, 10)] {
        let (service, seen) = Scripted::new(|_| ready(Err("down")));
        assert_eq!(layer().deadline(deadline).layer(service).oneshot(1).await, Err("down"));
        assert_eq!(seen.calls.get(), calls);
    }
}

type Timeouts = Arc<Mutex<Vec<Option<String>>>>;

/// The `grpc-timeout` of each try of a call with this one, to a server that refuses for so many milliseconds each time.
async fn timeouts(
    layer: RetryLayer<GrpcRefusals, backpressure_tower::ReplayTonic>,
    own: Option<&str>,
) -> Vec<Option<String>> {
    let seen = Timeouts::default();
    let notes = Arc::clone(&seen);
    let server = service_fn(move |request: Request<Body>| {
        let timeout = request.headers().get("grpc-timeout").map(|value| value.to_str().unwrap().to_owned());
        notes.lock().unwrap().push(timeout);
        let mut status = Status::unavailable("");
        status.metadata_mut().insert("grpc-retry-pushback-ms", "1000".parse().unwrap());
        ready(Ok::<_, Infallible>(status.into_http::<Body>()))
    });
    let mut request = Request::new(Body::empty());
    if let Some(own) = own {
        request.headers_mut().insert("grpc-timeout", own.parse().unwrap());
    }
    let response: Response<Body> = layer.layer(server).oneshot(request).await.unwrap();
    assert_eq!(response.headers()[NotRetried::HEADER], "deadline");
    let seen = seen.lock().unwrap();
    seen.clone()
}

/// Whether each of these has about so many seconds.
fn about(timeouts: &[Option<String>], seconds: &[f64]) -> bool {
    let micros = |text: &Option<String>| text.as_ref()?.strip_suffix('u')?.parse::<f64>().ok();
    timeouts.len() == seconds.len()
        && timeouts.iter().zip(seconds).all(|(text, s)| micros(text).is_some_and(|us| (us / 1e6 - s).abs() < 0.05))
}

#[tokio::test(start_paused = true)]
async fn the_requests_own_deadline_holds_for_all_tries_and_each_is_told_what_is_left() {
    let tries = timeouts(layer().into_grpc(), Some("2500m")).await;
    assert_eq!(tries[0].as_deref(), Some("2500m"), "as it came");
    assert!(about(&tries[1..], &[1.5, 0.5]), "{tries:?}");
}

#[tokio::test(start_paused = true)]
async fn the_sooner_of_the_two_deadlines_counts() {
    let two = || layer().deadline(2500 * MS).into_grpc();
    let tries = timeouts(two(), None).await;
    assert!(about(&tries, &[2.5, 1.5, 0.5]), "{tries:?}");
    let tries = timeouts(two(), Some("1H")).await;
    assert!(about(&tries, &[2.5, 1.5, 0.5]), "{tries:?}");
    let tries = timeouts(two(), Some("1500m")).await;
    assert_eq!(tries[0].as_deref(), Some("1500m"));
    assert!(about(&tries[1..], &[0.5]), "{tries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tonic_client_with_retry_and_throttle_below_gets_its_answer() {
    let answers =
        [Answer::text(503, &[("retry-after", "1")]).and_close(), Answer::reset(7).and_close(), Answer::message()];
    let throttle = ThrottleLayer::with(120_000 * MS, 2.0, 0.0).unwrap();
    let retry = RetryLayer::new(RetryBudget::default()).deadline(60_000 * MS).into_grpc();
    let below = ServiceBuilder::new().layer(retry.clone()).layer(throttle.into_grpc()).service(channel(answers));
    assert_eq!(call(below).await.unwrap().into_inner(), 0);
    assert_eq!(retry.counts().retries(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_is_unavailable_and_may_be_tried_again() {
    let throttle = ThrottleLayer::new().into_grpc();
    let client = throttle.layer(channel([]));
    for _ in 0..300 {
        let _ = call(client.clone()).await;
    }
    assert!(throttle.rejection() > 0.9);
    let mut throttled = 0;
    for _ in 0..50 {
        let status = call(client.clone()).await.unwrap_err();
        assert_eq!(
            (status.code(), GrpcRefusals.tonic_status(&status)),
            (Code::Unavailable, Verdict::Refused { retry_after: None })
        );
        throttled += u32::from(status.message().starts_with("call not sent"));
    }
    assert!(throttled > 30, "{throttled}");
}

#[tokio::test]
async fn a_throttled_request_is_answered_with_503_and_nothing_else() {
    let throttle = ThrottleLayer::new().into_http();
    let down = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::builder().status(503).body(Body::empty()).unwrap()))
    });
    let client = throttle.layer(down);
    let mut not_tried = 0;
    for _ in 0..500 {
        let response = client.clone().oneshot(Request::new(())).now_or_never().unwrap().unwrap();
        assert_eq!(response.status(), 503);
        not_tried += u32::from(response.extensions().get::<NotTried>().is_some());
    }
    assert!(not_tried > 300, "{not_tried}");
}
