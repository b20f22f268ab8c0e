//! Items merged while the consumer is away.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

use crate::delegate::delegate;
use crate::upstream::Upstream;

/// Most items merged in one poll.
const BUDGET: usize = 256;

pin_project! {
    /// Merges the items that became ready since the last poll into one. Made by
    /// [`conflate`](crate::BackpressureStreamExt::conflate).
    ///
    /// Each poll takes what the upstream has ready, at most 256 items, and yields them merged, in order; a consumer that
    /// keeps up gets every item as it is. So a slow consumer costs resolution, not memory and not freshness: at most one
    /// item is held, and none between polls. It works inside the consumer's own poll and needs no runtime.
    ///
    /// If the upstream panics while some items are merged already, they are yielded by the next poll, and then the end.
    ///
    /// ```
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::StreamExt;
    /// use tokio_stream::wrappers::UnboundedReceiverStream;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, rx) = tokio::sync::mpsc::unbounded_channel();
    /// let mut totals = UnboundedReceiverStream::new(rx).conflate(|sum, more| sum + more);
    ///
    /// tx.send(1)?;
    /// assert_eq!(totals.next().await, Some(1));
    /// for n in [2, 3, 4] {
    ///     tx.send(n)?; // while the consumer is busy
    /// }
    /// assert_eq!(totals.next().await, Some(9));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct Conflate<St: Stream, F> {
        #[pin]
        upstream: Upstream<St>,
        merge: F,
        held: Option<St::Item>,
    }
}

impl<St: Stream, F> Conflate<St, F> {
    pub(crate) const fn new(stream: St, merge: F) -> Self {
        Self { upstream: Upstream::new(stream), merge, held: None }
    }

    /// The upstream, and what was merged when it panicked, if it did.
    pub fn into_parts(self) -> (St, Option<St::Item>) {
        (self.upstream.into_inner(), self.held)
    }
}

impl<St, F> Stream for Conflate<St, F>
where
    St: Stream,
    F: FnMut(St::Item, St::Item) -> St::Item,
{
    type Item = St::Item;

    /// # Cancel safety
    ///
    /// A poll that is pending holds nothing.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        let mut this = self.project();
        for _ in 0..BUDGET {
            match this.upstream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    *this.held = Some(match this.held.take() {
                        Some(held) => (this.merge)(held, item),
                        None => item,
                    });
                }
                Poll::Ready(None) => return Poll::Ready(this.held.take()),
                Poll::Pending if this.held.is_none() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(this.held.take())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::from(self.held.is_some());
        let (lower, upper) = self.upstream.size_hint();
        (held.max(lower.min(1)), upper.and_then(|upper| upper.checked_add(held)))
    }
}

impl<St, F> FusedStream for Conflate<St, F>
where
    St: Stream,
    F: FnMut(St::Item, St::Item) -> St::Item,
{
    fn is_terminated(&self) -> bool {
        self.upstream.has_ended() && self.held.is_none()
    }
}

delegate!(Conflate<St, F>);

impl<St: Stream + fmt::Debug, F> fmt::Debug for Conflate<St, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conflate").field("stream", self.get_ref()).finish_non_exhaustive()
    }
}
