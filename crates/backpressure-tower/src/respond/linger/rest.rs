//! The rest of a request that is shed: read while its answer waits, and then by a task.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backpressure_rt::tokio_sleep;
use bytes::Buf;
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use super::bounds::Linger;
use crate::shed::{Fate, Lingering, Stay};

/// How many frames are read in one poll.
const FRAMES: u32 = 32;

/// What is left of a request that is shed. Dropping it drops the body.
pub struct Rest<A>(Pin<Box<Reader<A>>>);

pin_project! {
    struct Reader<A> {
        #[pin]
        body: A,
        linger: Linger,
        lingering: Lingering,
        read: u64,
        // Once it has had to wait for more.
        stay: Option<Stay>,
        #[pin]
        time: Option<Sleep>,
    }
}

impl<A: Body + Send + 'static> Rest<A> {
    pub(super) fn new(body: A, linger: Linger, lingering: Lingering) -> Self {
        Self(Box::pin(Reader { body, linger, lingering, read: 0, stay: None, time: None }))
    }

    /// Reads. Ready when the request can be answered, and with whether there may be more to read then.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut reader = self.0.as_mut();
        if let Poll::Ready(fate) = reader.as_mut().poll_read(cx) {
            if let Some(stay) = reader.project().stay.take() {
                stay.end(fate);
            }
            return Poll::Ready(false);
        }
        let mut this = reader.project();
        if this.stay.is_none() {
            let Some(time) = timer(this.linger.delay) else { return Poll::Ready(false) };
            *this.stay = this.lingering.clone().enter(this.linger.connections);
            if this.stay.is_none() {
                return Poll::Ready(false);
            }
            this.time.set(Some(time));
        }
        if this.linger.delay.is_zero() || *this.read >= this.linger.bytes {
            return Poll::Ready(true);
        }
        if let Some(time) = this.time.as_pin_mut() {
            ready!(time.poll(cx));
        }
        Poll::Ready(true)
    }

    /// Has a task read on.
    pub(super) fn read_on(self) {
        let Self(mut reader) = self;
        let mut this = reader.as_mut().project();
        this.time.set(timer(this.linger.time));
        if this.time.is_some() {
            tokio::spawn(reader);
        }
    }
}

/// A timer of tokio's, unless there is none.
fn timer(duration: Duration) -> Option<Sleep> {
    tokio_sleep(|| sleep(duration)) // tidy: paused clock
}

impl<A> fmt::Debug for Rest<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("linger", &self.0.linger).field("read", &self.0.read).finish_non_exhaustive()
    }
}

impl<A: Body> Reader<A> {
    /// Ready when there is nothing more to read. Pending for good when nothing more may be read: as long as the body is kept the
    /// connection stays open, and the client, which cannot send on, can read its answer.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fate> {
        let mut this = self.project();
        for _ in 0..FRAMES {
            if *this.read >= this.linger.bytes {
                return Poll::Pending;
            }
            match ready!(this.body.as_mut().poll_frame(cx)) {
                None => return Poll::Ready(Fate::Ended),
                Some(Err(_)) => return Poll::Ready(Fate::Failed),
                Some(Ok(frame)) => *this.read = this.read.saturating_add(len(&frame)),
            }
            // A body of hyper's that has been read to its last byte is pending until the next request on its connection.
            if this.body.is_end_stream() {
                return Poll::Ready(Fate::Ended);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn len<D: Buf>(frame: &Frame<D>) -> u64 {
    frame.data_ref().map_or(0, |data| data.remaining() as u64)
}

/// Reads until there is no more, or its time is over.
impl<A: Body> Future for Reader<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let is_late = self.as_mut().project().time.as_pin_mut().is_some_and(|time| time.poll(cx).is_ready());
        let fate = if is_late { Fate::Cut } else { ready!(self.as_mut().poll_read(cx)) };
        if let Some(stay) = self.project().stay.take() {
            stay.end(fate);
        }
        Poll::Ready(())
    }
}
