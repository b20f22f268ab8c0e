//! Uploads that are shed while they are under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::post;
use axum::serve::ListenerExt;
use backpressure_core::limit::Level;
use backpressure_tower::{Linger, LingerCounts, Permit, ShedHandle, ShedLayer};
use futures_util::stream;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONNECTION, RETRY_AFTER};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::kit::{Chunk, read, soon};

const MIB: usize = 1 << 20;

/// Longer than anything here takes.
const PATIENT: Duration = Duration::from_secs(600);

/// A server that sheds every request.
struct Server {
    address: SocketAddr,
    handle: ShedHandle,
    /// The only slot there is.
    slot: Permit,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(linger: Linger) -> Self {
        let layer = ShedLayer::fixed(1).unwrap();
        let handle = layer.handle();
        let slot = handle.limiter().try_admit(Level::default()).unwrap();
        let router = Router::new().route("/", post(async |_: Bytes| "read")).layer(layer.into_http().linger(linger));
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = listener.tap_io(move |_| {
            accepted.fetch_add(1, Ordering::Relaxed);
        });
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, handle, slot, connections }
    }
}

/// Waits until the books of those that linger are these.
async fn counted(handle: &ShedHandle, seen: impl Fn(LingerCounts) -> bool) {
    let counted = async {
        while !seen(handle.lingering()) {
            tokio::task::yield_now().await;
        }
    };
    soon(counted).await;
}

fn chunked(size: usize) -> Body {
    let chunk = Bytes::from(vec![b'x'; MIB / 16]);
    Body::from_stream(stream::iter((0..size / chunk.len()).map(move |_| Chunk::Ok(chunk.clone()))))
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// The head of one answer. It has no body.
async fn answer(socket: &mut TcpStream) -> String {
    soon(head(socket)).await
}

async fn head(mut from: impl AsyncRead + Unpin) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn sized(size: usize) -> Body {
    Body::from(vec![b'x'; size])
}

/// Sends uploads one after the other, and expects each to be refused in so many words.
async fn upload(sender: &mut http1::SendRequest<Body>, body: Body) {
    soon(sender.ready()).await.expect("the connection is kept");
    let request = Request::post("/").header("host", "localhost").body(body).unwrap();
    let response = soon(sender.send_request(request)).await.expect("there is an answer");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(RETRY_AFTER) && !response.headers().contains_key(CONNECTION));
    assert_eq!(read(response).await, "");
}

async fn handshake(server: &Server) -> http1::SendRequest<Body> {
    let (sender, connection) = http1::handshake(TokioIo::new(connect(server.address).await)).await.unwrap();
    tokio::spawn(connection);
    sender
}

const UPLOADS: [(usize, usize); 3] = [(MIB, 100), (8 * MIB, 10), (50 * MIB, 2)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_shed_gets_its_answer_100_times_in_100_and_on_the_same_connection() {
    let server = Server::start(Linger::default().delay(PATIENT)).await;
    for body in [sized, chunked] {
        let mut sender = handshake(&server).await;
        for (size, times) in UPLOADS {
            for _ in 0..times {
                upload(&mut sender, body(size)).await;
            }
        }
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 2);
    let LingerCounts { now, cut, failed, refused, .. } = server.handle.lingering();
    assert_eq!((now, cut, failed, refused), (0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_answered_before_its_end_gets_its_answer_100_times_in_100() {
    let server = Server::start(Linger::default().delay(Duration::ZERO).time(PATIENT)).await;
    for body in [sized, chunked] {
        for (size, times) in UPLOADS {
            for _ in 0..times {
                upload(&mut handshake(&server).await, body(size)).await;
            }
        }
    }
    assert_eq!(server.handle.lingering().cut, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_nothing_before_it_has_sent_everything_gets_the_answer() {
    let server = Server::start(Linger::default().time(PATIENT)).await;
    let mut socket = connect(server.address).await;
    let body = vec![b'x'; 4 * MIB];
    for _ in 0..50 {
        let head = format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
        soon(socket.write_all(head.as_bytes())).await.unwrap();
        soon(socket.write_all(&body)).await.expect("the server reads on");
        assert!(answer(&mut socket).await.starts_with("HTTP/1.1 503"));
    }
    counted(&server.handle, |counts| (counts.now, counts.ended) == (0, 50)).await;
}

#[tokio::test]
async fn an_upload_that_has_arrived_whole_keeps_its_connection_and_does_not_linger() {
    let server = Server::start(Linger::default()).await;
    let mut socket = connect(server.address).await;
    for _ in 0..10 {
        socket.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
        assert!(answer(&mut socket).await.starts_with("HTTP/1.1 503"));
    }
    assert_eq!(server.handle.lingering(), LingerCounts::default());
}

#[tokio::test]
async fn what_lingers_holds_no_slot_and_no_drain_waits_for_it() {
    let server = Server::start(Linger::default().delay(Duration::ZERO).time(PATIENT)).await;
    let mut socket = connect(server.address).await;
    socket.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhello").await.unwrap();
    assert!(answer(&mut socket).await.starts_with("HTTP/1.1 503"), "although it has not sent everything");
    counted(&server.handle, |counts| counts.now == 1).await;
    drop(server.slot);
    assert_eq!(server.handle.limiter().in_flight(), 0);
    let report = soon(server.handle.drain(PATIENT)).await;
    assert_eq!((report.abandoned, server.handle.lingering().now), (0, 1));

    socket.write_all(b"four").await.unwrap();
    counted(&server.handle, |counts| (counts.now, counts.ended) == (0, 1)).await;
    socket.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
    assert!(answer(&mut socket).await.contains("connection: close"), "the next one is told to go, as ever");

    let mut gone = connect(server.address).await;
    gone.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    counted(&server.handle, |counts| counts.now == 1).await;
    drop(gone);
    counted(&server.handle, |counts| (counts.now, counts.failed) == (0, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draining_server_closes_after_the_answer_and_resets_nobody() {
    for delay in [PATIENT, Duration::ZERO] {
        let server = Server::start(Linger::default().delay(delay).time(PATIENT)).await;
        let _ = soon(server.handle.drain(Duration::ZERO)).await;
        for _ in 0..20 {
            let mut socket = connect(server.address).await;
            let head = format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {MIB}\r\n\r\n");
            socket.write_all(head.as_bytes()).await.unwrap();
            soon(socket.write_all(&[b'x'; MIB])).await.expect("the server reads on");
            let mut all = String::new();
            soon(socket.read_to_string(&mut all)).await.expect("nothing is reset");
            assert!(all.starts_with("HTTP/1.1 503") && all.contains("connection: close"));
        }
    }
}

#[tokio::test]
async fn over_its_bytes_an_upload_is_answered_and_over_its_time_the_connection_is_closed() {
    let linger = Linger::default().delay(PATIENT).bytes(MIB as u64).time(Duration::from_millis(1));
    let server = Server::start(linger).await;
    let mut socket = connect(server.address).await;
    socket.write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n").await.unwrap();
    counted(&server.handle, |counts| counts.now == 1).await;
    let (mut from, mut to) = socket.split();
    let send = async {
        let mut sent = 0;
        while let Ok(written) = to.write(&[b'x'; 0x10000]).await {
            sent += written;
        }
        sent
    };
    let (sent, answer) = soon(async { tokio::join!(send, head(&mut from)) }).await;
    assert!(answer.starts_with("HTTP/1.1 503"));
    assert!((MIB..100 * MIB).contains(&sent), "nobody has read all of it: {sent}");
    counted(&server.handle, |counts| (counts.now, counts.cut) == (0, 1)).await;
}

#[tokio::test]
async fn when_as_many_linger_as_may_the_next_one_is_closed_at_once() {
    let server = Server::start(Linger::default().delay(Duration::ZERO).time(PATIENT).connections(1)).await;
    let upload = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n";
    let mut first = connect(server.address).await;
    first.write_all(upload).await.unwrap();
    assert!(answer(&mut first).await.starts_with("HTTP/1.1 503"));

    let mut second = connect(server.address).await;
    second.write_all(upload).await.unwrap();
    let mut all = String::new();
    soon(second.read_to_string(&mut all)).await.expect("the connection is closed after the answer");
    assert!(all.starts_with("HTTP/1.1 503"));
    assert_eq!((server.handle.lingering().now, server.handle.lingering().refused), (1, 1));
}

#[tokio::test]
async fn nothing_lingers_after_expect_100_continue_which_is_not_asked_to_go_on() {
    let server = Server::start(Linger::default()).await;
    let mut socket = connect(server.address).await;
    let head = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1048576\r\nexpect: 100-continue\r\n\r\n";
    socket.write_all(head).await.unwrap();
    assert!(answer(&mut socket).await.starts_with("HTTP/1.1 503"), "and no 100 before it");
    assert_eq!(server.handle.lingering(), LingerCounts::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_lingers_over_http_2_whose_clients_get_the_answer_anyway() {
    let server = Server::start(Linger::default()).await;
    let io = TokioIo::new(connect(server.address).await);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    for body in [Body::from(vec![b'x'; MIB]), chunked(MIB)] {
        let request = Request::post(format!("http://{}/", server.address)).body(body).unwrap();
        let response = soon(sender.send_request(request)).await.expect("there is an answer");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(server.handle.lingering(), LingerCounts::default());
}
