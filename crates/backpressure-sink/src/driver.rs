//! The future that empties a sink.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::error::BackpressureSinkError;
use crate::link::{Shared, Step};
use crate::progress::BUDGET;
use crate::queue::Handed;

pin_project! {
    /// Delivers what is sent to a [`Driven`](crate::Driven) handle, and flushes the inner sink whenever nothing is queued.
    ///
    /// Made by [`BackpressureSink::drive`](crate::BackpressureSink::drive); does nothing unless polled. It resolves once
    /// the handle was closed or dropped, the rest is delivered, and the inner sink is closed.
    ///
    /// # Errors
    ///
    /// While there is a handle, an error of the inner sink surfaces there. Without one, the first error ends the driver, and
    /// what is still queued is lost to a [closed](backpressure_core::DropReason::Closed) consumer, by way of the hook.
    #[must_use = "futures do nothing unless polled"]
    pub struct Driver<Si, T>
    where
        Si: Sink<T>,
    {
        #[pin]
        inner: Si,
        link: DriverLink<T, Si::Error>,
        // Whether the inner sink is ready and has not been given an item since.
        readied: bool,
        in_doubt: usize,
    }
}

/// The driver's end of the link. Dropping it tells the handle that nobody delivers any more.
struct DriverLink<T, E> {
    shared: Arc<Shared<T, E>>,
    /// What became of the last item: failed, until the inner sink has answered otherwise.
    handed: Handed,
}

impl<Si: Sink<T>, T> Driver<Si, T> {
    pub(crate) const fn new(inner: Si, shared: Arc<Shared<T, Si::Error>>, in_doubt: usize) -> Self {
        let link = DriverLink { shared, handed: Handed::Nothing };
        Self { inner, link, readied: false, in_doubt }
    }

    /// Gives one item to the inner sink.
    fn poll_send(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BackpressureSinkError<T, Si::Error>>> {
        let mut this = self.project();
        let failed = |source, lost, in_doubt| BackpressureSinkError::Inner { source, lost, in_doubt };
        if !*this.readied {
            ready!(this.inner.as_mut().poll_ready(cx)).map_err(|source| failed(source, 0, *this.in_doubt))?;
            *this.readied = true;
        }
        if let Some(item) = this.link.shared.pop() {
            *this.readied = false;
            this.link.handed = Handed::Failed;
            this.inner.start_send(item).map_err(|source| failed(source, 1, *this.in_doubt))?;
            this.link.handed = Handed::Delivered;
            *this.in_doubt = this.in_doubt.saturating_add(1);
        }
        Poll::Ready(Ok(()))
    }
}

impl<Si: Sink<T>, T> Future for Driver<Si, T> {
    type Output = Result<(), BackpressureSinkError<T, Si::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.link.shared.register_driver(cx);
        for _ in 0..BUDGET {
            let this = self.as_mut().project();
            let shared = &this.link.shared;
            let in_doubt = *this.in_doubt;
            let failed = |source| BackpressureSinkError::Inner { source, lost: 0, in_doubt };
            match shared.step(std::mem::take(&mut this.link.handed)) {
                Step::Send => match self.as_mut().poll_send(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => self.link.shared.fail(error)?,
                    Poll::Pending => {
                        self.link.shared.rest();
                        return Poll::Pending;
                    }
                },
                Step::Flush => match ready!(this.inner.poll_flush(cx)) {
                    Ok(()) => {
                        *this.in_doubt = 0;
                        shared.flushed();
                    }
                    Err(source) => shared.fail(failed(source))?,
                },
                Step::Close => {
                    let closed = ready!(this.inner.poll_close(cx));
                    return Poll::Ready(shared.closed(closed.map_err(failed)));
                }
                Step::Wait => return Poll::Pending,
                Step::GiveUp(error) => return Poll::Ready(Err(error)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T, E> Drop for DriverLink<T, E> {
    fn drop(&mut self) {
        self.shared.leave(self.handed);
    }
}

impl<Si: Sink<T>, T> fmt::Debug for Driver<Si, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("state", &self.link.shared.gauge.state()).finish_non_exhaustive()
    }
}
