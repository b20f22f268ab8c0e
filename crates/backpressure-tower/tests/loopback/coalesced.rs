//! A feed of small events whose reader stalls, over HTTP/2, with other calls on the same connection.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use axum::body::{Body, Bytes};
use backpressure_core::{BackpressureConfig, State, Strategy};
use backpressure_stream::BackpressureStreamExt;
use backpressure_tower::CoalescedBody;
use futures_util::{Stream, StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Duration, interval, sleep};

use crate::kit::soon;

/// Twenty times what ends a connection when each is a frame of its own, and more than its window holds.
const EVENTS: usize = 200_000;

type Feed = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

fn event(number: usize) -> Bytes {
    Bytes::from(format!("data: {number:8}\n\n"))
}

/// 16 bytes each, and nothing is ready right after one. Tells when the last was taken.
fn events(taken: Arc<Notify>) -> impl Stream<Item = Bytes> + Send {
    let (mut next, mut rests) = (0, false);
    stream::poll_fn(move |cx| {
        rests = !rests;
        if rests {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        next += 1;
        if next > EVENTS {
            taken.notify_one();
            return Poll::Ready(None);
        }
        Poll::Ready(Some(event(next)))
    })
}

/// A connection over a socket.
async fn connect(feed: Feed) -> SendRequest<Empty<Bytes>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(socket, listener.accept());
    serve(client.unwrap(), server.unwrap().0, feed).await
}

/// Answers the path `/feed` with the feed, and all others with a word.
async fn serve<IO>(client: IO, server: IO, feed: Feed) -> SendRequest<Empty<Bytes>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let feed = Arc::new(std::sync::Mutex::new(Some(feed)));
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let feed = feed.lock().unwrap().take_if(|_| request.uri().path() == "/feed");
        let body = feed.map_or_else(|| Body::from("word"), |feed| Body::from_stream(feed.map(Ok::<_, Infallible>)));
        async { Ok::<_, Infallible>(Response::new(CoalescedBody::new(body, 16 * 1024))) }
    });
    tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(server), service));
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn get(client: &mut SendRequest<Empty<Bytes>>, path: &str) -> Response<hyper::body::Incoming> {
    let request = Request::get(format!("http://loopback{path}")).body(Empty::new()).unwrap();
    soon(client.send_request(request)).await.unwrap()
}

/// The numbers of the events.
fn numbers(read: &[u8]) -> Vec<usize> {
    let number = |event: &[u8]| std::str::from_utf8(&event[6..14]).unwrap().trim().parse().unwrap();
    read.chunks(16).map(number).collect()
}

fn newest(capacity: usize) -> BackpressureConfig {
    BackpressureConfig::builder().capacity(capacity).strategy(Strategy::DropOldest).build().unwrap()
}

#[tokio::test]
async fn c1_o2_a_reader_that_stalls_costs_old_events_which_are_counted_and_not_the_connection() {
    let taken = Arc::new(Notify::new());
    let feed = events(Arc::clone(&taken)).backpressure(newest(1024)).spawn();
    let gauge = feed.gauge();
    let mut client = connect(Box::pin(feed)).await;
    let response = get(&mut client, "/feed").await;
    soon(taken.notified()).await;

    let word = soon(get(&mut client, "/").await.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(word, "word", "the connection lives, and its other calls do");
    let read = numbers(&soon(response.into_body().collect()).await.unwrap().to_bytes());
    let counts = gauge.snapshot().counts;
    assert!(read.is_sorted() && read.last() == Some(&EVENTS));
    assert_eq!(read.len() + counts.evicted() as usize, EVENTS);
    assert_eq!(counts.delivered as usize, read.len());
    assert!(counts.evicted() > 0 && counts.balances());
}

#[tokio::test]
async fn c1_o2_a_reader_that_reads_on_into_a_buffer_of_its_own_stalls_nobody_and_counts_what_it_lost() {
    let taken = Arc::new(Notify::new());
    let mut client = connect(Box::pin(events(Arc::clone(&taken)))).await;
    let frames = get(&mut client, "/feed").await.into_body().into_data_stream();
    let mut frames = frames.backpressure(newest(64)).spawn();
    let gauge = frames.gauge();
    soon(taken.notified()).await;

    let mut read = Vec::new();
    while let Some(frame) = soon(frames.next()).await {
        read.push(numbers(&frame.unwrap()));
    }
    let counts = gauge.snapshot().counts;
    assert!(read.concat().is_sorted() && counts.evicted() > 0 && counts.balances());
    // The end of the stream may be a frame of its own, without data.
    assert_eq!(read.concat().last(), Some(&EVENTS));
    assert_eq!(counts.delivered as usize, read.len());
}

#[tokio::test]
async fn i1_d2_a_buffer_before_a_body_is_blocked_while_its_reader_stalls_and_loses_nothing() {
    let taken = Arc::new(Notify::new());
    let config = BackpressureConfig::builder().capacity(64).strategy(Strategy::block_forever()).build().unwrap();
    let feed = events(Arc::clone(&taken)).backpressure(config).spawn();
    let gauge = feed.gauge();
    let mut client = connect(Box::pin(feed)).await;
    let response = get(&mut client, "/feed").await;
    let mut state = gauge.state();
    while state != State::Blocked {
        soon(gauge.changed_from(state)).await;
        state = gauge.state();
    }
    let read = numbers(&soon(response.into_body().collect()).await.unwrap().to_bytes());
    assert_eq!(read, Vec::from_iter(1..=EVENTS));
    assert_eq!(gauge.state(), State::Draining);
}

/// Over a pipe, so that the clock can be a paused one: four events a millisecond, and none of them read for a minute.
#[tokio::test(start_paused = true)]
async fn c1_o2_a_reader_may_stall_for_a_minute_while_others_on_its_connection_are_answered() {
    let mut ticks = interval(Duration::from_millis(1));
    let ticks = stream::poll_fn(move |cx| ticks.poll_tick(cx).map(Some));
    let events = ticks.flat_map(|_| stream::iter(0..4)).enumerate().map(|(number, _)| event(number));
    let feed = events.backpressure(newest(1024)).spawn();
    let gauge = feed.gauge();
    let (client, server) = tokio::io::duplex(64 * 1024);
    let mut client = serve(client, server, Box::pin(feed)).await;
    let mut response = get(&mut client, "/feed").await;
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await; // tidy: paused clock
        let word = soon(get(&mut client, "/").await.into_body().collect()).await.unwrap().to_bytes();
        assert_eq!(word, "word");
    }

    let counts = gauge.snapshot().counts;
    assert!(counts.received >= 239_000 && counts.evicted() > 0 && counts.balances(), "{counts:?}");
    let mut read = Vec::new();
    while read.last().is_none_or(|last| *last < counts.received as usize) {
        let frame = soon(response.body_mut().frame()).await.unwrap().unwrap();
        read.extend(numbers(&frame.into_data().unwrap()));
    }
    assert!(read.is_sorted(), "what is read next is older or new, and never out of order");
    let missing = read.last().unwrap() + 1 - read.len();
    assert!(missing > 0 && missing <= gauge.snapshot().counts.evicted() as usize);
}
