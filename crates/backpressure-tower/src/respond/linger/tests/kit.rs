//! An upload, and a server that sheds it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backpressure_core::limit::Level;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Empty;
use tower_service::Service;

use super::super::Linger;
use crate::limiter::{Limiter, Permit};
use crate::respond::Http;
use crate::shed::{LingerCounts, Shed, ShedHandle, ShedLayer};

/// What becomes of an upload.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) frames: VecDeque<Result<usize, &'static str>>,
    /// Whether there is always another chunk of this length.
    pub(super) endless: Option<usize>,
    pub(super) has_ended: bool,
    polls: usize,
    is_dropped: bool,
    waker: Option<Waker>,
}

/// The client's end of an upload.
#[derive(Clone, Default)]
pub(super) struct Client(Arc<Mutex<Seen>>);

impl Client {
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    /// How often the server has asked for more.
    pub(super) fn polls(&self) -> usize {
        self.seen().polls
    }

    /// What it has not read.
    pub(super) fn left(&self) -> usize {
        self.seen().frames.len()
    }

    /// Whether it has dropped the body.
    pub(super) fn is_dropped(&self) -> bool {
        self.seen().is_dropped
    }

    pub(super) fn wake(mut seen: MutexGuard<'_, Seen>) {
        let waker = seen.waker.take();
        drop(seen);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn send(&self, frame: Result<usize, &'static str>) {
        let mut seen = self.seen();
        seen.frames.push_back(frame);
        Self::wake(seen);
    }

    pub(super) fn end(&self) {
        let mut seen = self.seen();
        seen.has_ended = true;
        Self::wake(seen);
    }
}

/// The server's.
pub(super) struct Upload(pub(super) Client);

impl Body for Upload {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let mut seen = self.0.seen();
        seen.polls += 1;
        let endless = seen.endless.map(Ok);
        match seen.frames.pop_front().or(endless) {
            Some(frame) => Poll::Ready(Some(frame.map(|len| Frame::data(Bytes::from(vec![0; len]))))),
            None if seen.has_ended => Poll::Ready(None),
            None => {
                seen.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.seen().is_dropped = true;
    }
}

#[derive(Clone)]
pub(super) struct Inner;

impl<A> Service<Request<A>> for Inner {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<A>) -> Self::Future {
        ready(Ok(Response::default()))
    }
}

/// A service with one slot, which is taken.
pub(super) struct Full {
    pub(super) service: Shed<Inner, crate::Plain, Http>,
    pub(super) handle: ShedHandle,
    _slot: Permit,
}

pub(super) const DELAY: Duration = Duration::from_millis(200);
pub(super) const TIME: Duration = Duration::from_secs(2);

impl Full {
    pub(super) fn new(linger: Linger) -> Self {
        Self::of(Limiter::fixed(1).unwrap(), linger)
    }

    pub(super) fn of(limiter: Limiter, linger: Linger) -> Self {
        let layer = ShedLayer::builder().limiter(limiter).build();
        let handle = layer.handle();
        let slot = handle.limiter().try_admit(Level::default()).unwrap();
        Self { service: tower_layer::Layer::layer(&layer.into_http().linger(linger), Inner), handle, _slot: slot }
    }

    pub(super) fn call<A: Body + Send + 'static>(
        &mut self,
        request: Request<A>,
    ) -> Pin<Box<impl Future<Output = StatusCode> + use<A>>> {
        let answer = self.service.call(request);
        Box::pin(async move { answer.await.map_or_else(|never| match never {}, |answer| answer.status()) })
    }

    pub(super) fn counts(&self) -> [u64; 5] {
        let LingerCounts { now, ended, cut, failed, refused } = self.handle.lingering();
        [now as u64, ended, cut, failed, refused]
    }
}

pub(super) fn linger() -> Linger {
    Linger::default().delay(DELAY).time(TIME)
}

pub(super) fn upload() -> (Client, Request<Upload>) {
    let client = Client::default();
    (client.clone(), Request::new(Upload(client)))
}

pub(super) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

pub(super) const REFUSED: Poll<StatusCode> = Poll::Ready(StatusCode::SERVICE_UNAVAILABLE);

/// Lets the tasks of the runtime run.
pub(super) async fn others() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}
