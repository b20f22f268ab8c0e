//! Bodies that are sent again: what each try gets, how much is kept, and what is said when it was too much.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use backpressure_tower::{NotRetried, ReplayBody, ReplayHttp, Retry, RetryBudget, RetryLayer};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tower::{Layer, Service, ServiceExt};

use crate::kit::MS;

/// A body that gives these pieces, then trailers, if there are any. An empty piece is a pause.
struct Pieces {
    data: VecDeque<&'static [u8]>,
    trailers: Option<HeaderMap>,
    then_panics: bool,
}

impl Pieces {
    fn new(data: impl IntoIterator<Item = &'static str>) -> Self {
        Self { data: data.into_iter().map(str::as_bytes).collect(), trailers: None, then_panics: false }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.data.pop_front() {
            Some([]) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(data) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data))))),
            None if self.then_panics => panic!("the body breaks"),
            None => Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
        }
    }
}

type Sent = Request<ReplayBody<Pieces>>;

/// A server that reads so many frames of each request before it answers with the next of these, and keeps the requests.
#[derive(Clone)]
struct Server(Rc<RefCell<Seen>>);

struct Seen {
    answers: VecDeque<(usize, u16)>,
    requests: Vec<Sent>,
    read: Vec<Vec<u8>>,
}

impl Server {
    fn new(answers: impl IntoIterator<Item = (usize, u16)>) -> Self {
        Self(Rc::new(RefCell::new(Seen { answers: answers.into_iter().collect(), requests: vec![], read: vec![] })))
    }
}

impl Service<Sent> for Server {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Sent) -> Self::Future {
        let mut seen = self.0.borrow_mut();
        let (frames, status) = seen.answers.pop_front().expect("an answer for each try");
        let mut read = Vec::new();
        for _ in 0..frames {
            match next(request.body_mut()) {
                Some(Ok(frame)) => read.extend(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => panic!("{error}"),
                None => break,
            }
        }
        seen.read.push(read);
        seen.requests.push(request);
        ready(Ok(Response::builder().status(status).body(()).unwrap()))
    }
}

/// The next frame of a body that is never pending for long.
fn next<B: Body + Unpin>(body: &mut B) -> Option<Result<Frame<B::Data>, B::Error>> {
    loop {
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            return frame;
        }
    }
}

fn layer() -> RetryLayer<backpressure_tower::HttpRefusals, ReplayHttp> {
    RetryLayer::new(RetryBudget::default()).retries(9).into_http()
}

fn client(server: &Server) -> Retry<Server, backpressure_tower::HttpRefusals, ReplayHttp> {
    layer().layer(server.clone())
}

const ALL: usize = usize::MAX;

#[tokio::test(start_paused = true)]
async fn s3_each_try_sends_the_whole_body_with_its_head_and_trailers_wherever_the_last_one_stopped() {
    for stops in 0..6 {
        let server = Server::new([(stops, 503), (5 - stops.min(5), 503), (ALL, 200)]);
        let trailers = HeaderMap::from_iter([(http::header::ETAG, "x".parse().unwrap())]);
        let body = Pieces { trailers: Some(trailers.clone()), ..Pieces::new(["one ", "", "two ", "three"]) };
        let request = Request::post("/path").header("key", "value").body(body).unwrap();
        assert_eq!(client(&server).oneshot(request).await.unwrap().status(), 200);
        let seen = server.0.borrow();
        assert_eq!(seen.read[2], b"one two three", "after a stop at {stops}");
        let heads = seen.requests.iter().map(|request| (request.uri().path(), request.headers()["key"].as_bytes()));
        assert!(heads.clone().all(|head| head == ("/path", b"value")) && heads.count() == 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_larger_than_what_is_kept_is_sent_once_and_says_so() {
    for (max, expected) in [(8, Some(NotRetried::BodyTooLarge)), (9, None)] {
        let server = Server::new([(ALL, 503), (ALL, 200)]);
        let layer = layer().max_body(max);
        let request = Request::new(Pieces::new(["12345", "6789"]));
        let response = layer.layer(server.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.extensions().get(), expected.as_ref());
        assert_eq!(response.status(), if expected.is_some() { 503 } else { 200 });
        assert_eq!(layer.counts().not_retried(NotRetried::BodyTooLarge), u64::from(expected.is_some()));
        assert_eq!(layer.counts().retries(), u64::from(expected.is_none()));
        assert!(
            server.0.borrow().read.iter().all(|read| read == b"123456789"),
            "it is sent in full, whatever its size"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_body_of_which_little_was_sent_is_tried_again() {
    let server = Server::new([(1, 503), (ALL, 200)]);
    let request = Request::new(Pieces::new(["12345", "67890"]));
    let response = layer().max_body(5).layer(server.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(server.0.borrow().read[1], b"1234567890");
}

#[tokio::test(start_paused = true)]
async fn every_reason_is_in_the_extensions_and_counted() {
    let budget = RetryBudget::new(1000 * MS, 0, 0.0).unwrap();
    let cases = [
        (layer().retries(0), NotRetried::Retries),
        (RetryLayer::new(budget).into_http(), NotRetried::Budget),
        (layer().deadline(MS / 1000), NotRetried::Deadline),
        (layer().max_body(0), NotRetried::BodyTooLarge),
    ];
    for (layer, why) in cases {
        // Full jitter may ask for no wait at all, so the deadline is met by the one after.
        let server = Server::new(std::iter::repeat_n((ALL, 503), 20));
        let response = layer.layer(server).oneshot(Request::new(Pieces::new(["1"]))).await.unwrap();
        assert_eq!(response.extensions().get(), Some(&why));
        assert_eq!(layer.counts().not_retried(why), 1, "{why}");
    }
    let server = Server::new([(ALL, 404)]);
    let response = client(&server).oneshot(Request::new(Pieces::new([]))).await.unwrap();
    assert_eq!(response.extensions().get::<NotRetried>(), None, "it was served");
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_try_that_is_over_fails_and_takes_nothing_from_the_next() {
    let server = Server::new([(1, 503), (1, 200)]);
    let client = client(&server);
    client.oneshot(Request::new(Pieces::new(["1", "2", "3"]))).await.unwrap();
    let mut seen = server.0.borrow_mut();
    let error = next(seen.requests[0].body_mut()).unwrap().unwrap_err();
    assert!(error.to_string().contains("another try"), "{error}");
    let rest =
        std::iter::from_fn(|| next(seen.requests[1].body_mut())).map(|frame| frame.unwrap().into_data().unwrap());
    assert_eq!(rest.collect::<Vec<_>>(), ["2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_try_still_sends_what_was_kept_after_the_answer() {
    // The second try is answered before it has read anything.
    let server = Server::new([(2, 503), (0, 200)]);
    client(&server).oneshot(Request::new(Pieces::new(["1", "2", "3"]))).await.unwrap();
    let last = server.0.borrow_mut().requests.pop().unwrap();
    assert_eq!(last.into_body().collect().await.unwrap().to_bytes(), "123");
}

#[tokio::test(start_paused = true)]
async fn s8_a_body_that_panics_breaks_its_own_call_only() {
    let server = Server::new([(1, 503), (1, 503)]);
    let body = Pieces { then_panics: true, ..Pieces::new(["1"]) };
    let layer = layer().retries(1);
    layer.layer(server.clone()).oneshot(Request::new(body)).await.unwrap();
    let mut seen = server.0.borrow_mut();
    let last = seen.requests[1].body_mut();
    assert!(catch_unwind(AssertUnwindSafe(|| next(last))).is_err());
    assert!(next(last).unwrap().unwrap_err().to_string().contains("broke off"), "and not for ever pending");
}

#[tokio::test(start_paused = true)]
async fn a_body_without_content_needs_nothing_kept() {
    let layer = layer().max_body(0);
    let service = tower::service_fn(|request: Request<ReplayBody<Full<Bytes>>>| {
        assert!(request.body().is_end_stream());
        assert_eq!(request.body().size_hint().exact(), Some(0));
        ready(Ok::<_, Infallible>(Response::builder().status(503).body(()).unwrap()))
    });
    layer.layer(service).oneshot(Request::new(Full::default())).await.unwrap();
    assert_eq!(layer.counts().retries(), 9);
}

#[test]
fn the_size_that_is_known_is_told_of_each_try_and_shrinks_as_it_is_sent() {
    let hints = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&hints);
    let service = tower::service_fn(move |mut request: Request<ReplayBody<Full<Bytes>>>| {
        let exact = |body: &ReplayBody<_>| SizeHint::exact(&body.size_hint());
        let before = exact(request.body());
        let _ = next(request.body_mut());
        seen.borrow_mut().push((before, exact(request.body())));
        ready(Ok::<_, Infallible>(Response::builder().status(503).body(()).unwrap()))
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let call = layer().retries(1).layer(service).oneshot(Request::new(Full::from("12345")));
    runtime.block_on(call).unwrap();
    assert_eq!(*hints.borrow(), [(Some(5), Some(0)); 2]);
}

#[test]
fn x1_a_call_that_is_dropped_leaves_a_body_that_goes_on_and_keeps_nothing() {
    let server = Server::new([(1, 200)]);
    let mut client = client(&server);
    let call = client.call(Request::new(Pieces::new(["1", "2"])));
    drop(call);
    let last = server.0.borrow_mut().requests.pop().unwrap();
    assert_eq!(last.into_body().collect().now_or_never().unwrap().unwrap().to_bytes(), "2");
}

proptest! {
    /// Whatever the pieces, and wherever tries stop: the one that is served has it all, unless it was too much to keep.
    #[test]
    fn what_is_served_is_what_was_given(
        pieces in prop::collection::vec(prop::sample::select(vec!["a", "bc", "def", ""]), 0..8),
        stops in prop::collection::vec(0usize..9, 0..5),
        max in 0usize..20,
    ) {
        let whole = pieces.concat();
        let data: Vec<_> = pieces.iter().filter(|piece| !piece.is_empty()).collect();
        let sent = |frames: usize| data.iter().take(frames).map(|piece| piece.len()).sum::<usize>();
        let first_too_large = stops.iter().position(|frames| sent(*frames) > max);
        let server = Server::new(stops.iter().map(|frames| (*frames, 503)).chain([(ALL, 200)]));
        let client = layer().max_body(max).layer(server.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let response = runtime.block_on(client.oneshot(Request::new(Pieces::new(pieces.clone())))).unwrap();
        prop_assert_eq!(response.status() == 200, first_too_large.is_none());
        if first_too_large.is_none() {
            let read = server.0.borrow().read.last().cloned();
            prop_assert_eq!(read, Some(whole.into_bytes()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_that_is_the_last_for_want_of_budget_or_of_a_timer_goes_on_sending() {
    // The server answers before it has read the body, and reads on: whoever answers so early must not be cut off.
    let budget = RetryBudget::new(1000 * MS, 0, 0.0).unwrap();
    let server = Server::new([(1, 503)]);
    let response = RetryLayer::new(budget).into_http().layer(server.clone());
    let response = response.oneshot(Request::new(Pieces::new(["1", "2", "3"]))).await.unwrap();
    assert_eq!(response.extensions().get(), Some(&NotRetried::Budget));
    let only = server.0.borrow_mut().requests.pop().unwrap();
    assert_eq!(only.into_body().collect().await.unwrap().to_bytes(), "23");

    let server = Server::new([(1, 503)]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let call = client(&server).oneshot(Request::new(Pieces::new(["1", "2", "3"])));
    let context = runtime.enter();
    let response = call.now_or_never().expect("nothing is waited for").unwrap();
    drop(context);
    assert_eq!(response.extensions().get(), Some(&NotRetried::NoTimer));
    let only = server.0.borrow_mut().requests.pop().unwrap();
    assert_eq!(only.into_body().collect().await.unwrap().to_bytes(), "23");
    runtime.shutdown_background();
}
