//! Forwarding a stream of results into a sink with another error type.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use backpressure_core::BoxedError;
use futures_core::{Stream, TryStream};
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::upstream::Upstream;

/// Most items sent in one poll.
const BUDGET: usize = 128;

pin_project! {
    /// Sends the successes of a stream into a sink. Made by
    /// [`forward_into`](crate::BackpressureStreamExt::forward_into), which says what it promises.
    #[derive(Debug)]
    #[must_use = "nothing is forwarded unless this is awaited"]
    pub struct ForwardInto<St: TryStream, Si> {
        #[pin]
        upstream: Upstream<St>,
        #[pin]
        sink: Si,
        held: Option<St::Ok>,
        failed: Option<St::Error>,
    }
}

impl<St: TryStream, Si> ForwardInto<St, Si> {
    pub(crate) const fn new(stream: St, sink: Si) -> Self {
        Self { upstream: Upstream::new(stream), sink, held: None, failed: None }
    }

    /// The stream, the sink, and an item that is on its way from one to the other, if there is one.
    pub fn into_parts(self) -> (St, Si, Option<St::Ok>) {
        (self.upstream.into_inner(), self.sink, self.held)
    }
}

impl<St, Si, T, E> Future for ForwardInto<St, Si>
where
    St: Stream<Item = Result<T, E>> + TryStream<Ok = T, Error = E>,
    Si: Sink<T>,
{
    type Output = Result<(), ForwardError<E, Si::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        for _ in 0..BUDGET {
            if this.held.is_some() {
                ready!(this.sink.as_mut().poll_ready(cx)).map_err(ForwardError::Sink)?;
                if let Some(item) = this.held.take() {
                    this.sink.as_mut().start_send(item).map_err(ForwardError::Sink)?;
                }
            }
            if this.failed.is_some() {
                ready!(this.sink.as_mut().poll_flush(cx)).map_err(ForwardError::Sink)?;
                return Poll::Ready(this.failed.take().map_or(Ok(()), |error| Err(ForwardError::Upstream(error))));
            }
            match this.upstream.as_mut().poll_by(|stream| stream.poll_next(cx)) {
                Poll::Ready(Some(Ok(item))) => *this.held = Some(item),
                Poll::Ready(Some(Err(error))) => *this.failed = Some(error),
                Poll::Ready(None) => return this.sink.poll_close(cx).map_err(ForwardError::Sink),
                Poll::Pending => {
                    ready!(this.sink.as_mut().poll_flush(cx)).map_err(ForwardError::Sink)?;
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Why a [`ForwardInto`] ended early. `U` is the error of the stream, `S` that of the sink.
///
/// It is an [`Error`] if both are. Around an `anyhow::Error` or a `Box<dyn Error + Send + Sync>`, or anything else that converts
/// into one, it is after [`into_boxed`](Self::into_boxed).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardError<U, S> {
    /// The stream failed. What it gave before has been sent and flushed.
    Upstream(U),
    /// The sink failed.
    Sink(S),
}

impl<U, S> ForwardError<U, S> {
    /// The same error around a boxed one, which is an [`Error`] whatever `U` and `S` are.
    pub fn into_boxed(self) -> ForwardError<BoxedError, BoxedError>
    where
        U: Into<Box<dyn Error + Send + Sync>>,
        S: Into<Box<dyn Error + Send + Sync>>,
    {
        match self {
            Self::Upstream(error) => ForwardError::Upstream(BoxedError::new(error)),
            Self::Sink(error) => ForwardError::Sink(BoxedError::new(error)),
        }
    }
}

impl<U: fmt::Display, S: fmt::Display> fmt::Display for ForwardError<U, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(error) => write!(f, "stream failed: {error}"),
            Self::Sink(error) => error.fmt(f),
        }
    }
}

/// Shows itself as the error it holds, so the source is that error's.
impl<U: Error, S: Error> Error for ForwardError<U, S> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Upstream(error) => error.source(),
            Self::Sink(error) => error.source(),
        }
    }
}
