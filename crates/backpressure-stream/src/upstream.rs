//! An upstream that is not polled after its end.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

pin_project! {
    /// Answers `None` for ever after the stream inside did, or panicked.
    #[derive(Debug)]
    pub(crate) struct Upstream<St> {
        #[pin]
        stream: St,
        ended: bool,
    }
}

/// Ends an upstream unless it is forgotten: that is, if polling it panics.
struct Unwinding<'a>(&'a mut bool);

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        *self.0 = true;
    }
}

impl<St> Upstream<St> {
    pub(crate) const fn new(stream: St) -> Self {
        Self { stream, ended: false }
    }

    #[inline]
    pub(crate) const fn has_ended(&self) -> bool {
        self.ended
    }

    pub(crate) const fn get_ref(&self) -> &St {
        &self.stream
    }

    pub(crate) const fn get_mut(&mut self) -> &mut St {
        &mut self.stream
    }

    pub(crate) fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut St> {
        self.project().stream
    }

    pub(crate) fn into_inner(self) -> St {
        self.stream
    }

    /// Polls the stream inside by `poll`, unless it has ended.
    #[inline]
    pub(crate) fn poll_by<T>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut St>) -> Poll<Option<T>>,
    ) -> Poll<Option<T>> {
        self.live().map_or(Poll::Ready(None), |mut live| live.poll_by(poll))
    }

    /// The stream inside, unless it has ended: to be polled a few times in a row, and no more once it answers `None`.
    #[inline]
    pub(crate) fn live(self: Pin<&mut Self>) -> Option<Live<'_, St>> {
        let this = self.project();
        if *this.ended { None } else { Some(Live { stream: this.stream, ended: this.ended }) }
    }
}

/// A stream that has not ended.
pub(crate) struct Live<'a, St> {
    stream: Pin<&'a mut St>,
    ended: &'a mut bool,
}

impl<St> Live<'_, St> {
    #[inline]
    pub(crate) fn poll_by<T>(&mut self, poll: impl FnOnce(Pin<&mut St>) -> Poll<Option<T>>) -> Poll<Option<T>> {
        let unwinding = Unwinding(self.ended);
        let polled = poll(self.stream.as_mut());
        mem::forget(unwinding);
        if let Poll::Ready(None) = polled {
            *self.ended = true;
        }
        polled
    }
}

impl<St: Stream> Stream for Upstream<St> {
    type Item = St::Item;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        self.poll_by(|stream| stream.poll_next(cx))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.ended { (0, Some(0)) } else { self.stream.size_hint() }
    }
}
