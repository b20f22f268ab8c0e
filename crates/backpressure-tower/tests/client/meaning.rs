//! What errors mean, below a client and above it, with HTTP and with gRPC.

use std::sync::{Arc, Mutex};

use backpressure_tower::{GrpcRefusals, HttpRefusals, Judge, RetryBudget, RetryLayer, ThrottleLayer, Verdict};
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioExecutor;
use tonic::transport;
use tonic::{Code, Status};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::kit::MS;
use crate::peer::{Answer, call, channel, connect};

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

const REPEATABLE: Verdict = Verdict::Refused { retry_after: None };
const BROKEN: Verdict = Verdict::RefusedForGood;

/// What the peer does to the first call, and what it means.
fn cases() -> [(&'static str, Answer, Verdict); 9] {
    [
        ("GOAWAY before the call", Answer::go_away(0, NO_ERROR), REPEATABLE),
        ("GOAWAY before the call, with an error", Answer::go_away(0, ENHANCE_YOUR_CALM), BROKEN),
        ("GOAWAY after the call, which never ends", Answer::go_away(1, NO_ERROR).and_close(), BROKEN),
        ("REFUSED_STREAM", Answer::reset(REFUSED_STREAM), REPEATABLE),
        ("INTERNAL_ERROR", Answer::reset(INTERNAL_ERROR), BROKEN),
        ("a reset without an error", Answer::reset(NO_ERROR), BROKEN),
        ("ENHANCE_YOUR_CALM of this side", Answer::endless_head(), BROKEN),
        ("ENHANCE_YOUR_CALM", Answer::reset(ENHANCE_YOUR_CALM), BROKEN),
        ("the end of the connection", Answer::reset(REFUSED_STREAM).cut().and_close(), BROKEN),
    ]
}

async fn http(answer: Answer) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), connect(answer)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(Request::post("http://peer/").body(Empty::<Bytes>::new()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn s3_http_errors_mean_what_the_peer_has_said() {
    for (what, answer, verdict) in cases() {
        let outcome = http(answer).await;
        assert_eq!(HttpRefusals.judge(&outcome), verdict, "{what}: {outcome:?}");
        let boxed = outcome.map_err(Into::into);
        assert_eq!(HttpRefusals::boxed(&boxed), verdict, "{what}: {boxed:?}");
    }
}

type Seen = Arc<Mutex<Vec<Verdict>>>;

/// A judge that notes what it says of what is below the client.
fn noting(seen: &Seen) -> impl Fn(&Result<Response<tonic::body::Body>, transport::Error>) -> Verdict + Clone + use<> {
    let seen = Arc::clone(seen);
    move |outcome| {
        let verdict = GrpcRefusals.judge(outcome);
        seen.lock().unwrap().push(verdict);
        verdict
    }
}

/// The verdicts on a call to such a peer, below the client and above it.
async fn grpc(answer: Answer) -> (Vec<Verdict>, Result<tonic::Response<u64>, Status>) {
    let seen = Seen::default();
    let client = ThrottleLayer::new().judge(noting(&seen)).layer(channel([answer]));
    let outcome = call(client).await;
    let seen = seen.lock().unwrap().clone();
    (seen, outcome)
}

#[tokio::test(start_paused = true)]
async fn s3_grpc_errors_mean_what_the_peer_has_said() {
    for (what, answer, verdict) in cases() {
        let (below, outcome) = grpc(answer).await;
        assert_eq!(below, [verdict], "{what}: {outcome:?}");
        assert_eq!(GrpcRefusals.judge(&outcome), verdict, "{what}: {outcome:?}");
    }
    let unreachable = call(channel([])).await;
    assert_eq!(GrpcRefusals.judge(&unreachable), REPEATABLE, "{unreachable:?}");
}

#[tokio::test(start_paused = true)]
async fn s3_a_proxys_refusal_with_a_body_is_a_refusal() {
    for status in [503, 429] {
        let answer = |headers| Answer::text(status, headers);
        let (below, outcome) = grpc(answer(&[])).await;
        assert_eq!(below, [REPEATABLE]);
        let above = outcome.unwrap_err();
        assert_eq!(GrpcRefusals.tonic_status(&above), Verdict::Served, "a status alone does not know: {above:?}");

        let (below, _) = grpc(answer(&[("retry-after", "1.5")])).await;
        assert_eq!(below, [Verdict::Refused { retry_after: Some(1500 * MS) }]);
    }
}

fn named(
    answers: impl IntoIterator<Item = Answer>,
) -> impl tonic::client::GrpcService<tonic::body::Body, ResponseBody = tonic::body::Body, Error = transport::Error> + Clone
{
    ServiceBuilder::new().map_response(GrpcRefusals::name_status).service(channel(answers))
}

#[tokio::test(start_paused = true)]
async fn s3_a_proxys_refusal_that_is_named_is_known_above_the_client() {
    let after = |retry_after| Verdict::Refused { retry_after };
    let cases = [
        (Answer::text(503, &[]), after(None)),
        (Answer::text(429, &[("retry-after", "2")]), after(Some(2000 * MS))),
        (Answer::text(504, &[("retry-after", "2")]), BROKEN),
        (Answer::text(408, &[]), BROKEN),
        (Answer::text(503, &[("grpc-status", "5")]), Verdict::Served),
        (Answer::text(500, &[]), Verdict::Served),
        (Answer::message(), Verdict::Served),
    ];
    for (answer, verdict) in cases {
        let outcome = call(named([answer])).await;
        assert_eq!(GrpcRefusals.judge(&outcome), verdict, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s3_what_is_safe_to_repeat_is_repeated() {
    let refusals = [
        Answer::text(503, &[("retry-after", "1")]).and_close(),
        Answer::go_away(0, NO_ERROR),
        Answer::reset(REFUSED_STREAM).and_close(),
    ];
    let channel = named(refusals.into_iter().chain([Answer::message()]));
    let client = service_fn(move |()| call(channel.clone()));
    let retry = RetryLayer::new(RetryBudget::default()).retries(3).judge(GrpcRefusals);
    assert_eq!(retry.layer(client).oneshot(()).await.unwrap().into_inner(), 0);
}

#[tokio::test(start_paused = true)]
async fn s3_an_error_of_this_side_is_no_refusal_whatever_its_code() {
    let (below, outcome) = grpc(Answer::endless_head()).await;
    let status = outcome.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!((below, GrpcRefusals.tonic_status(&status)), (vec![BROKEN], BROKEN));
    assert_eq!(GrpcRefusals.tonic_status(&Status::resource_exhausted("")), REPEATABLE, "the server's own");
    for reason in [h2::Reason::ENHANCE_YOUR_CALM, h2::Reason::REFUSED_STREAM, h2::Reason::NO_ERROR] {
        let status = Status::from_error(Box::new(h2::Error::from(reason)));
        assert_eq!(GrpcRefusals.tonic_status(&status), BROKEN, "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s3_a_timeout_of_either_side_is_no_answer() {
    let expired = Status::from_error(Box::new(tonic::TimeoutExpired(())));
    assert_eq!((expired.code(), GrpcRefusals.tonic_status(&expired)), (Code::Cancelled, BROKEN));
    let by_the_server = Status::cancelled("Timeout expired");
    assert_eq!(GrpcRefusals.tonic_status(&by_the_server), BROKEN, "its timeout, which the caller never asked for");
}
