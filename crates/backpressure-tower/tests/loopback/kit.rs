//! The stage, and servers and clients to play on it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

/// Waits for what is to happen at once. If it does not, the test fails rather than hang.
pub(crate) async fn soon<F: Future>(event: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), event).await.expect("this happens at once")
}

/// Where calls meet that are in flight.
#[derive(Clone)]
pub(crate) struct Stage(Arc<Inner>);

struct Inner {
    inside: AtomicUsize,
    peak: AtomicUsize,
    door: Semaphore,
    entered: mpsc::UnboundedSender<()>,
    left: mpsc::UnboundedSender<()>,
}

/// Who sits before it, and sees who comes and goes.
pub(crate) struct Audience {
    entered: mpsc::UnboundedReceiver<()>,
    left: mpsc::UnboundedReceiver<()>,
}

/// Somebody on the stage. Leaves when dropped.
pub(crate) struct Actor(Stage);

impl Stage {
    pub(crate) fn new() -> (Self, Audience) {
        let (entered, seen_entering) = mpsc::unbounded_channel();
        let (left, seen_leaving) = mpsc::unbounded_channel();
        let inner =
            Inner { inside: AtomicUsize::new(0), peak: AtomicUsize::new(0), door: Semaphore::new(0), entered, left };
        (Self(Arc::new(inner)), Audience { entered: seen_entering, left: seen_leaving })
    }

    pub(crate) fn enter(&self) -> Actor {
        let inside = self.0.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.peak.fetch_max(inside, Ordering::SeqCst);
        let _ = self.0.entered.send(());
        Actor(self.clone())
    }

    /// Enters, waits to be let go, and leaves.
    pub(crate) async fn act(&self) {
        let _actor = self.enter();
        if let Ok(permit) = self.0.door.acquire().await {
            permit.forget();
        }
    }

    /// Lets so many go.
    pub(crate) fn release(&self, actors: usize) {
        self.0.door.add_permits(actors);
    }

    /// The most that were on it at the same time.
    pub(crate) fn peak(&self) -> usize {
        self.0.peak.load(Ordering::SeqCst)
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let Inner { inside, left, .. } = &*self.0.0;
        inside.fetch_sub(1, Ordering::SeqCst);
        let _ = left.send(());
    }
}

impl Audience {
    pub(crate) async fn sees_somebody_enter(&mut self) {
        soon(self.entered.recv()).await.expect("the stage is there");
    }

    pub(crate) fn has_seen_somebody_leave(&mut self) -> bool {
        self.left.try_recv().is_ok()
    }

    pub(crate) async fn sees_somebody_leave(&mut self) {
        soon(self.left.recv()).await.expect("the stage is there");
    }
}

/// Serves on a port of its own for as long as the runtime runs.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

/// One connection.
pub(crate) struct Client {
    sender: SendRequest<Empty<Bytes>>,
    connection: JoinHandle<()>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(socket)).await.unwrap();
        let connection = tokio::spawn(async {
            // An error is the caller's to see, on the request.
            let _ = connection.await;
        });
        Self { sender, connection }
    }

    /// Sends the first request; the answer is what is returned, to be awaited.
    pub(crate) fn send(&mut self, path: &str) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        self.sender.send_request(Request::get(path).body(Empty::new()).unwrap())
    }

    /// The head of what [`get`](Self::get) would answer.
    pub(crate) async fn head(&mut self, path: &str) -> Response<Incoming> {
        self.sender.ready().await.unwrap();
        soon(self.sender.send_request(Request::head(path).body(Empty::new()).unwrap())).await.unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response<Incoming> {
        self.sender.ready().await.unwrap();
        soon(self.send(path)).await.unwrap()
    }

    pub(crate) async fn status(&mut self, path: &str) -> StatusCode {
        let response = self.get(path).await;
        let status = response.status();
        read(response).await;
        status
    }

    /// Whether the server has kept the connection.
    pub(crate) async fn is_open(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Closes the socket without a word.
    pub(crate) async fn reset(self) {
        self.connection.abort();
        let _ = self.connection.await;
    }
}

/// Reads the body to its end.
pub(crate) async fn read(response: Response<Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

pub(crate) type Chunk = Result<Bytes, Infallible>;

/// A body of so many bytes, which it says.
pub(crate) struct Sized {
    body: Body,
    left: u64,
}

impl Sized {
    pub(crate) fn new(body: Body, bytes: u64) -> Self {
        Self { body, left: bytes }
    }
}

impl http_body::Body for Sized {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Some(data)) = frame.as_ref().map(|frame| frame.as_ref().ok().and_then(Frame::data_ref)) {
            self.left -= data.len() as u64;
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
