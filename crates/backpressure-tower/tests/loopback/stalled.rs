//! A minute in which nobody reads, over HTTP/2 in a pipe, so that the clock can be a paused one.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use backpressure_core::Filler;
use backpressure_tower::CoalescedBody;
use futures_util::{Stream, StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, interval, sleep};

use crate::kit::soon;

const MS: Duration = Duration::from_millis(1);
const MINUTE: u32 = 60_000;

/// 16 bytes each, one an interval.
fn events(every: Duration) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let mut ticks = interval(every);
    let ticks = stream::poll_fn(move |cx| ticks.poll_tick(cx).map(Some));
    ticks.enumerate().map(|(number, _)| Ok(Bytes::from(format!("data: {number:8}\n\n"))))
}

fn numbers(read: &[u8]) -> Vec<u32> {
    let lines = std::str::from_utf8(read).unwrap().lines();
    lines.filter_map(|line| line.strip_prefix("data: ")).map(|number| number.trim().parse().unwrap()).collect()
}

fn coalesced(events: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> CoalescedBody<Body> {
    CoalescedBody::new(Body::from_stream(events), 16 * 1024)
}

/// A server that answers `/feed` with this, holds what is sent to `/hold` without reading it, and answers anything else.
async fn connect(feed: Body) -> (SendRequest<Body>, mpsc::UnboundedReceiver<Incoming>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (feed, (hold, held)) = (Arc::new(Mutex::new(Some(feed))), mpsc::unbounded_channel());
    let service = service_fn(move |request: Request<Incoming>| {
        let is_held = request.uri().path() == "/hold";
        let feed = feed.lock().unwrap().take_if(|_| request.uri().path() == "/feed");
        if is_held {
            hold.send(request.into_body()).unwrap();
        }
        async move {
            if is_held {
                pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(feed.unwrap_or_else(|| Body::from("word"))))
        }
    });
    tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(server), service));
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    (sender, held)
}

async fn get(client: &mut SendRequest<Body>, path: &str) -> hyper::Result<Response<Incoming>> {
    let request = Request::get(format!("http://loopback{path}")).body(Body::empty()).unwrap();
    soon(client.send_request(request)).await
}

/// Lets a minute pass, and makes another call each second.
async fn a_minute_passes(client: &mut SendRequest<Body>) {
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await; // tidy: paused clock
        let word = get(client, "/word").await.unwrap().into_body();
        assert_eq!(soon(word.collect()).await.unwrap().to_bytes(), "word");
    }
}

#[tokio::test(start_paused = true)]
async fn i1_a_download_that_nobody_reads_for_a_minute_costs_neither_its_connection_nor_an_event() {
    let feed = coalesced(events(MS).take(MINUTE as usize));
    let (mut client, _) = connect(Body::new(feed)).await;
    let response = get(&mut client, "/feed").await.unwrap();
    a_minute_passes(&mut client).await;
    let read = soon(response.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(numbers(&read), Vec::from_iter(0..MINUTE));
}

/// The window of hyper's server is the smaller one, and so is its timeout.
#[tokio::test(start_paused = true)]
async fn i1_an_upload_that_nobody_reads_for_a_minute_costs_neither_its_connection_nor_an_event() {
    for every in [2, 10, 30] {
        let count = MINUTE / every;
        let (mut client, mut held) = connect(Body::empty()).await;
        let upload = Body::new(coalesced(events(MS * every).take(count as usize)));
        let upload = client.send_request(Request::post("http://loopback/hold").body(upload).unwrap());
        let _upload = tokio::spawn(upload);
        let unread = soon(held.recv()).await.unwrap();
        a_minute_passes(&mut client).await;
        assert_eq!(numbers(&soon(unread.collect()).await.unwrap().to_bytes()), Vec::from_iter(0..count));
    }
}

/// The longest that an event of ten seconds, one an interval, is on its way to a reader that reads.
async fn longest(every: Duration, fill: bool) -> Duration {
    let start = Instant::now();
    let feed = coalesced(events(every).take((Duration::from_secs(10).as_nanos() / every.as_nanos()) as usize));
    let feed = if fill { feed.fill_with(Filler::SseComment) } else { feed };
    let (mut client, _) = connect(Body::new(feed)).await;
    let mut body = get(&mut client, "/feed").await.unwrap().into_body();
    let mut longest = Duration::ZERO;
    while let Some(frame) = body.frame().await {
        for number in numbers(&frame.unwrap().into_data().unwrap()) {
            longest = longest.max(start.elapsed() - every * number);
        }
    }
    longest
}

#[tokio::test(start_paused = true)]
async fn b2_an_event_waits_for_nothing_as_long_as_small_frames_are_few() {
    // The clock of a timer is one of milliseconds.
    assert!(longest(32 * MS, false).await <= MS);
    assert!(longest(10 * MS, false).await <= 32 * MS);
    assert!(longest(MS, false).await <= 12 * MS);
}

#[tokio::test(start_paused = true)]
async fn b2_events_that_are_filled_up_never_wait_and_cost_a_reader_that_stalls_no_connection() {
    assert!(longest(MS, true).await <= MS);

    let count = MINUTE / 5;
    let feed = coalesced(events(5 * MS).take(count as usize)).fill_with(Filler::SseComment);
    let (mut client, _) = connect(Body::new(feed)).await;
    let response = get(&mut client, "/feed").await.unwrap();
    a_minute_passes(&mut client).await;
    let read = soon(response.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(numbers(&read), Vec::from_iter(0..count));
}

/// A body that notes when it was asked, and what it said.
struct Noted<B> {
    body: B,
    start: Instant,
    asked: Arc<Mutex<Vec<(Duration, bool)>>>,
}

impl<B: http_body::Body + Unpin> http_body::Body for Noted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let answer = Pin::new(&mut self.body).poll_frame(cx);
        self.asked.lock().unwrap().push((self.start.elapsed(), answer.is_ready()));
        answer
    }
}

/// Why something has to wait: until the connection is lost, whoever makes the frames is asked for them at the same times
/// whether they are read or not. Nothing that it sees could tell it to wait for the one reader and not for the other.
#[tokio::test(start_paused = true)]
async fn a_sender_cannot_tell_a_reader_that_stalls_from_one_that_reads_before_the_connection_is_lost() {
    let mut worlds = Vec::new();
    for reads in [true, false] {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let body = coalesced(events(MS).take(20_000)).small_frames(1, Duration::ZERO);
        let body = Noted { body, start: Instant::now(), asked: Arc::clone(&asked) };
        let (mut client, _) = connect(Body::new(body)).await;
        let mut body = get(&mut client, "/feed").await.unwrap().into_body();
        let mut read = 0;
        while reads && read < 20_000 {
            read += numbers(&soon(body.frame()).await.unwrap().unwrap().into_data().unwrap()).len();
        }
        sleep(Duration::from_secs(60)).await; // tidy: paused clock
        assert_eq!(get(&mut client, "/word").await.is_ok(), reads, "what never waits is lost if nobody reads");
        worlds.push(std::mem::take(&mut *asked.lock().unwrap()));
    }
    let [read, stalled] = &worlds[..] else { unreachable!() };
    let frames = stalled.iter().filter(|(_, is_ready)| *is_ready).count();
    assert!(frames > 10_000 && stalled.len() < read.len(), "{frames}");
    let same = stalled.iter().zip(read).take_while(|(one, other)| one == other).count();
    assert!(same + 2 >= stalled.len(), "{same} of {}", stalled.len());
}
