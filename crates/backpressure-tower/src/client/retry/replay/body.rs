//! A body that can be sent again.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::record::{Next, Piece, Record, Source, Try};
use crate::client::chain::BoxError;
use crate::client::retry::why::NotRetried;

/// The body of a request that a [`RetryLayer`](crate::RetryLayer) may send more than once.
///
/// What the body gives is sent on at once, and kept beside that while it may be needed for another try. Each try has a body of its
/// own: it gives what was kept, and then reads on where the one before it stopped. The body of a try that is over fails when it is
/// polled.
///
/// Nothing is waited for, nothing is copied (data that is not `Bytes` is), and at most the bytes of
/// [`max_body`](crate::RetryLayer::max_body) are kept.
pub struct ReplayBody<B> {
    /// `None` for an empty body, of which there is nothing to keep.
    shared: Option<Arc<Shared<B>>>,
    this: Try,
    /// How much this try has sent.
    sent: u64,
}

#[derive(Debug)]
struct Shared<B> {
    record: Mutex<Record<B>>,
    hint: SizeHint,
}

/// What is needed for another try. Once it is dropped there is none, and nothing more is kept.
#[derive(Debug)]
pub(super) struct KeptBody<B> {
    shared: Option<Arc<Shared<B>>>,
}

impl<B> Shared<B> {
    /// Nothing under this lock runs the user's code.
    fn record(&self) -> MutexGuard<'_, Record<B>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Body> KeptBody<B> {
    /// What is kept of a body, and the body of the first try.
    pub(super) fn new(body: B, limit: usize) -> (Self, ReplayBody<B>) {
        let hint = body.size_hint();
        let shared =
            (!body.is_end_stream()).then(|| Arc::new(Shared { record: Mutex::new(Record::new(body, limit)), hint }));
        (Self { shared: shared.clone() }, ReplayBody { shared, this: Try::default(), sent: 0 })
    }

    /// Whether there could be another try.
    pub(super) fn check(&self) -> Result<(), NotRetried> {
        self.shared.as_ref().map_or(Ok(()), |shared| shared.record().check())
    }

    /// The body of another try.
    pub(super) fn again(&self) -> Result<ReplayBody<B>, NotRetried> {
        let this = self.shared.as_ref().map_or(Ok(Try::default()), |shared| shared.record().begin_again())?;
        Ok(ReplayBody { shared: self.shared.clone(), this, sent: 0 })
    }
}

impl<B> Drop for KeptBody<B> {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            let released = shared.record().is_over();
            drop(released);
        }
    }
}

/// A body that is polled. If that panics it is broken.
struct Lent<'a, B> {
    shared: &'a Shared<B>,
    this: Try,
    is_given_back: bool,
}

impl<B> Lent<'_, B> {
    fn give_back(mut self, source: Source<B>, piece: Option<&Piece>) {
        self.is_given_back = true;
        self.put(source, piece);
    }

    fn put(&self, source: Source<B>, piece: Option<&Piece>) {
        let mut released = self.shared.record().give_back(self.this, source, piece);
        if let Some(waiting) = released.waiting.take() {
            waiting.wake();
        }
    }
}

impl<B> Drop for Lent<'_, B> {
    fn drop(&mut self) {
        if !self.is_given_back {
            self.put(Source::Broken, None);
        }
    }
}

impl<B: Body + Unpin> Body for ReplayBody<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let Some(shared) = &this.shared else { return Poll::Ready(None) };
        // Statements of their own: the lock is released before the body is polled, and wakers are cloned and dropped without it.
        let mut waker = None;
        let mut next = shared.record().next(this.this, &mut waker);
        if matches!(next, Next::Wait) {
            waker = Some(cx.waker().clone());
            next = shared.record().next(this.this, &mut waker);
        }
        let mut body = match next {
            Next::Piece(piece) => return this.send(piece),
            Next::Poll(body) => body,
            Next::Wait => return Poll::Pending,
            Next::End => return Poll::Ready(None),
            Next::Broken => return Poll::Ready(Some(Err(Box::new(ReplayError::Broken)))),
            Next::Superseded => return Poll::Ready(Some(Err(Box::new(ReplayError::Superseded)))),
        };
        let lent = Lent { shared, this: this.this, is_given_back: false };
        match Pin::new(&mut body).poll_frame(cx) {
            Poll::Pending => {
                lent.give_back(Source::Here(body), None);
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                let piece = piece(frame);
                let is_over = matches!(piece, Piece::Trailers(_)) || body.is_end_stream();
                let source = if is_over { Source::Ended } else { Source::Here(body) };
                lent.give_back(source, Some(&piece));
                this.send(piece)
            }
            Poll::Ready(Some(Err(error))) => {
                lent.give_back(Source::Broken, None);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                lent.give_back(Source::Ended, None);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| shared.record().is_at_end(self.this))
    }

    fn size_hint(&self) -> SizeHint {
        let Some(shared) = &self.shared else { return SizeHint::with_exact(0) };
        let mut left = SizeHint::new();
        left.set_lower(shared.hint.lower().saturating_sub(self.sent));
        if let Some(upper) = shared.hint.upper() {
            left.set_upper(upper.saturating_sub(self.sent));
        }
        left
    }
}

impl<B> ReplayBody<B> {
    fn send(&mut self, piece: Piece) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(Ok(match piece {
            Piece::Data(data) => {
                self.sent = self.sent.saturating_add(data.len() as u64);
                Frame::data(data)
            }
            Piece::Trailers(trailers) => Frame::trailers(trailers),
        })))
    }
}

fn piece<D: Buf>(frame: Frame<D>) -> Piece {
    match frame.into_data() {
        Ok(mut data) => Piece::Data(data.copy_to_bytes(data.remaining())),
        Err(frame) => Piece::Trailers(frame.into_trailers().unwrap_or_default()),
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody").field("try", &self.this).field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// Why the body of a try fails, other than by an error of the body that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReplayError {
    Broken,
    Superseded,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "the body cannot be sent again: it broke off, or turned out to be too large",
            Self::Superseded => "the body is sent by another try now",
        })
    }
}

impl Error for ReplayError {}
