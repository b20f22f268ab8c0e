//! Small chunks of bytes, merged into frames.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_core::{Coalescer, Filler};
use backpressure_rt::now;
use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

use crate::batch::Alarm;
use crate::delegate::delegate;
use crate::upstream::Upstream;

/// Most chunks taken in one poll.
const BUDGET: usize = 256;

pin_project! {
    /// Merges chunks of bytes that are ready into frames. Made by [`coalesce`](crate::BackpressureStreamExt::coalesce).
    ///
    /// Each poll takes what the upstream has ready, at most 256 chunks, and yields it as one frame. While the transport has no
    /// room, and does not poll, chunks gather upstream; the next frame has them all, up to its most bytes. A chunk is never
    /// split, so a frame is whole events or whole messages; one that is larger than the bound goes by itself; an empty one is
    /// left out.
    ///
    /// # Small frames
    ///
    /// A transport that asks gets what is there, with no delay, but for one case. A transport with room asks for each chunk as it comes,
    /// and over HTTP/2 that ends badly if nobody reads: the window counts bytes and stays open, but the receiver counts small
    /// frames too, and ends the connection with all its other calls. So frames below 256 bytes are paid for from a credit: a
    /// hundred may go at once, and then some 31 a second. A frame that is one too many waits for at most 32 ms, and for less
    /// the more comes meanwhile. [`Coalescer`] says exactly when, and why nobody can do without. Frames of 256 bytes or more
    /// never wait.
    ///
    /// [`small_frames`](Self::small_frames) changes the numbers. Where the format has bytes that say nothing, as server-sent
    /// events have, [`fill_with`](Self::fill_with) does away with the delay altogether. HTTP/1.1 and WebSockets know no such limit:
    /// before them, `.small_frames(1, Duration::ZERO)` merges and never waits.
    ///
    /// # A reader that sleeps
    ///
    /// This adapter holds one frame and one chunk, and loses nothing. What is to become of a feed whose reader sleeps is for the adapter before
    /// it to say: [`backpressure`](crate::BackpressureStreamExt::backpressure) with a lossy strategy and
    /// [`spawn`](crate::Backpressure::spawn) reads on, keeps what is newest, and counts what is lost.
    ///
    /// # Panics
    ///
    /// When polled outside a tokio runtime with time enabled, if a small frame has to wait.
    ///
    /// ```
    /// use backpressure_core::{BackpressureConfig, Strategy};
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::{StreamExt, stream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), backpressure_core::ConfigError> {
    /// let events = stream::iter(0..10).map(|n| format!("data: {n}\n\n").into_bytes());
    /// let config = BackpressureConfig::builder().capacity(8).strategy(Strategy::DropOldest).build()?;
    /// let feed = events.backpressure(config);
    /// let gauge = feed.gauge();
    ///
    /// let mut frames = feed.coalesce(16 * 1024); // for axum's `Body::from_stream`, after `.map(Ok::<_, Infallible>)`
    /// let frame = frames.next().await.unwrap();
    /// assert!(frame.starts_with(b"data: 2\n\ndata: 3\n\n"));
    /// assert_eq!(gauge.snapshot().counts.evicted(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct Coalesce<St: Stream> {
        #[pin]
        upstream: Upstream<St>,
        frames: Coalescer<St::Item>,
        alarm: Alarm,
    }
}

impl<St: Stream> Coalesce<St>
where
    St::Item: AsRef<[u8]> + From<Vec<u8>>,
{
    pub(crate) fn new(stream: St, most: usize) -> Self {
        Self { upstream: Upstream::new(stream), frames: Coalescer::new(most), alarm: Alarm::new() }
    }

    /// How many frames below 256 bytes may go at once, and how long it takes until there may be one more; also the longest that a
    /// chunk waits. A burst of 0 counts as 1; with an interval of zero no chunk ever waits. The default is 100, and 32 ms.
    pub fn small_frames(mut self, burst: u32, every: Duration) -> Self {
        self.frames = self.frames.small_frames(burst, every);
        self
    }

    /// A small frame that would have to wait goes at once, filled up to 256 bytes with this.
    ///
    /// ```
    /// use backpressure_core::Filler;
    /// use backpressure_stream::BackpressureStreamExt;
    /// use futures_util::{StreamExt, stream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let events = stream::iter(0..10_000).map(|n| format!("data: {n}\n\n").into_bytes());
    /// let frames = events.then(|event| async { // A rest after each: there is nothing to merge.
    ///     tokio::task::yield_now().await;
    ///     event
    /// });
    /// let sizes = frames.coalesce(16 * 1024).fill_with(Filler::SseComment).map(|frame| frame.len());
    /// let sizes = sizes.collect::<Vec<_>>().await;
    /// assert_eq!((sizes[0], sizes[9_998]), (9, 256));
    /// # }
    /// ```
    pub fn fill_with(mut self, filler: Filler) -> Self {
        self.frames = self.frames.fill_with(filler);
        self
    }

    /// The upstream, and the frames that are held, at most two.
    pub fn into_parts(mut self) -> (St, Vec<St::Item>) {
        let held = std::iter::from_fn(|| self.frames.take_now()).collect();
        (self.upstream.into_inner(), held)
    }
}

impl<St> Stream for Coalesce<St>
where
    St: Stream,
    St::Item: AsRef<[u8]> + From<Vec<u8>>,
{
    type Item = St::Item;

    /// # Cancel safety
    ///
    /// What has been taken in is kept in the adapter: a consumer that stops polling and starts again misses nothing.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        let mut this = self.project();
        let (mut left, mut is_pending) = (BUDGET, false);
        while left > 0 && !is_pending && !this.frames.is_full() {
            match this.upstream.as_mut().poll_next(cx) {
                // There is room.
                Poll::Ready(Some(chunk)) => drop(this.frames.offer(chunk)),
                Poll::Ready(None) => {
                    this.alarm.retire();
                    return Poll::Ready(this.frames.take_now());
                }
                Poll::Pending => is_pending = true,
            }
            left -= 1;
        }
        let taken = if this.frames.is_empty() { Ok(None) } else { this.frames.take(now()) };
        match taken {
            Ok(Some(frame)) => {
                this.alarm.disarm();
                return Poll::Ready(Some(frame));
            }
            Ok(None) if is_pending => {}
            Err(due) if is_pending && this.alarm.poll(cx, due).is_pending() => {}
            Ok(None) | Err(_) => cx.waker().wake_by_ref(),
        }
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::from(!self.frames.is_empty());
        let (_, upper) = self.upstream.size_hint();
        // At most two chunks are held that are not merged.
        (held, upper.and_then(|upper| upper.checked_add(2 * held)))
    }
}

impl<St> FusedStream for Coalesce<St>
where
    St: Stream,
    St::Item: AsRef<[u8]> + From<Vec<u8>>,
{
    fn is_terminated(&self) -> bool {
        self.upstream.has_ended() && self.frames.is_empty()
    }
}

delegate!(Coalesce<St>);

impl<St: Stream + fmt::Debug> fmt::Debug for Coalesce<St>
where
    St::Item: AsRef<[u8]> + From<Vec<u8>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalesce")
            .field("stream", self.get_ref())
            .field("held", &self.frames.held())
            .finish_non_exhaustive()
    }
}
