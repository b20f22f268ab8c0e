//! A bounded buffer in front of any sink.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use backpressure_core::{BackpressureConfig, BufferHandle, DropReason, Gauge, Tag};
use backpressure_rt::Relay;
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::driven::Driven;
use crate::driver::Driver;
use crate::error::BackpressureSinkError;
use crate::hand::{InHand, Passing};
use crate::link::Shared;
use crate::progress::{BUDGET, Stopped};
use crate::queue::Queue;
use crate::way::Way;

pin_project! {
    /// Any sink behind a bounded buffer that says how full it is and does what you chose when it is.
    ///
    /// An item that nothing is ahead of goes straight to an inner sink that is ready, and costs about as much as if this were
    /// not here. Anything else waits in the buffer: each poll first moves what the inner sink will take, in order and at
    /// most 64 items, and then answers:
    ///
    /// * `poll_ready`: under [`Strategy::Block`](backpressure_core::Strategy::Block) ready when there is room, else pending
    ///   until the inner sink takes something; under the other strategies always ready, for they have an answer to
    ///   everything. A sink has no item to hand back while it waits, so there `Block` waits as long as it takes, whatever
    ///   the strategy's longest wait.
    /// * `start_send`: the item has gone on or is in the buffer, or was dropped and went to the [`on_drop`](Self::on_drop) hook, or comes
    ///   back in the error: under [`Strategy::Reject`](backpressure_core::Strategy::Reject) from a full buffer.
    /// * `poll_flush`: ready when the buffer is empty and the inner sink is flushed.
    /// * `poll_close`: delivers what is held, in the state [`Draining`](backpressure_core::State::Draining), then closes the
    ///   inner sink, once.
    ///
    /// The inner sink's readiness is asked for only when there is an item to give it. Nothing moves while nobody polls:
    /// `send`, `send_all` and `forward` see to that, and [`drive`](Self::drive) is for who does not want to.
    ///
    /// With a weight bound, an item may be too heavy for the room that is left when it comes. `Block` holds that one item
    /// outside the buffer, and is not ready again before it has entered.
    ///
    /// Whoever was told to wait counts in [`producers_waiting`](backpressure_core::Snapshot::producers_waiting) until the sink
    /// is found ready, fails, is closed or is dropped, and so does an item that is held outside until it has entered. For how
    /// long is in [`producer_wait_p99`](backpressure_core::Snapshot::producer_wait_p99). A sink does not hear of a `send` that
    /// is dropped while it waits, so the wait goes on until then.
    ///
    /// # Expiry
    ///
    /// Where items expire (see [`max_age`](backpressure_core::BackpressureConfigBuilder::max_age) and
    /// [`expires_by`](Self::expires_by)), what has expired is dropped when the inner sink is ready for it, and when there is no room
    /// for more; until then it holds its slot. Items are counted between two looks at the clock, which follow their pace: at a
    /// steady one the last look is a millisecond ago at most, or a 64th of the longest age. After a pause up to 15 items are delivered
    /// before the next look.
    ///
    /// # Errors
    ///
    /// An error of the inner sink surfaces once, from the call that came across it, with
    /// [what it cost](BackpressureSinkError::Inner). An item that the inner sink refused in `start_send` went into it and
    /// cannot come back; it is counted as failed. What is queued stays queued, for the next poll or for
    /// [`take_remainder`](Self::take_remainder).
    ///
    /// # Cancel safety
    ///
    /// All state is here, none in the futures of `send`, `flush` or `close`: a future that is dropped loses nothing but
    /// an item it had not sent yet. Dropping the sink itself loses what is queued; that goes to the hook for
    /// [`DropReason::Closed`].
    ///
    /// # Example
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use std::future::pending;
    /// use std::pin::pin;
    /// use backpressure_core::{BackpressureConfig, State, Strategy};
    /// use backpressure_sink::BackpressureSink;
    /// use futures_util::{SinkExt, sink};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = BackpressureConfig::builder().capacity(2).strategy(Strategy::DropOldest).build()?;
    /// let stalled = pin!(sink::unfold((), |(), _item| pending::<Result<(), Infallible>>()));
    /// let mut sink = BackpressureSink::new(stalled, config).on_drop(|item, reason| {
    ///     eprintln!("{item} was {reason}"); // 1 was evicted, 2 was evicted
    /// });
    /// for item in 0..5 {
    ///     sink.feed(item).await?; // never waits
    /// }
    /// let counts = sink.gauge().snapshot().counts;
    /// assert_eq!((counts.delivered, counts.evicted(), counts.queued), (1, 2, 2));
    /// assert_eq!(sink.gauge().state(), State::Blocked);
    /// assert_eq!(sink.take_remainder(), [3, 4]);
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "sinks do nothing unless polled"]
    pub struct BackpressureSink<Si, T> {
        #[pin]
        inner: Si,
        pub(crate) queue: Queue<T>,
        pub(crate) way: Way,
        // Items delivered by the time the inner sink was last flushed.
        flushed: u64,
    }
}

impl<Si, T> BackpressureSink<Si, T> {
    /// Puts a buffer with the bounds, watermarks and strategy of `config` in front of `inner`.
    pub fn new(inner: Si, config: BackpressureConfig) -> Self {
        Self { inner, queue: Queue::new(config), way: Way::Clear, flushed: 0 }
    }

    /// Changes bounds and strategy while the sink is in use: it takes what the handle leaves when it is asked next whether it is
    /// ready, and the task that waits for that is woken. Take it before the sink is used, or [driven](Self::drive); a sink
    /// without a handle does not look for one.
    ///
    /// An item that is [held outside](Self) goes on waiting for its room under any strategy.
    pub fn handle(&mut self) -> BufferHandle {
        self.way.block(Way::Open);
        self.queue.handle()
    }

    /// How full the buffer is, and what has happened to the items. An item counts as delivered once the inner sink has
    /// taken it.
    pub fn gauge(&self) -> Gauge {
        self.queue.gauge()
    }

    /// The inner sink.
    pub const fn get_ref(&self) -> &Si {
        &self.inner
    }

    /// The inner sink. Sending to it directly overtakes what is queued.
    pub const fn get_mut(&mut self) -> &mut Si {
        &mut self.inner
    }

    /// The inner sink, pinned. Sending to it directly overtakes what is queued.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut Si> {
        self.project().inner
    }

    /// Takes back what is queued, in the order of delivery; the sink goes on, empty. The items are counted as lost to a
    /// [closed](DropReason::Closed) consumer, but are given to the caller instead of the hook.
    pub fn take_remainder(&mut self) -> Vec<T> {
        Self::evacuate(&mut self.queue)
    }

    /// The inner sink, and [what was queued](Self::take_remainder).
    pub fn into_parts(mut self) -> (Si, Vec<T>) {
        let remainder = self.take_remainder();
        (self.inner, remainder)
    }

    fn evacuate(queue: &mut Queue<T>) -> Vec<T> {
        let (mut items, changed) = queue.evacuate();
        if changed {
            let mut relay = Relay::new();
            relay.call(|| queue.reporter.notify());
            if relay.has_panicked() {
                relay.call(|| queue.hooks.dispose(items.drain(..), DropReason::Closed));
            }
            relay.resume();
        }
        items
    }
}

impl<Si: Sink<T>, T> BackpressureSink<Si, T> {
    /// Splits into a handle to send to and a future that does the delivering, so that what is sent goes out although
    /// nobody sends more. See [`Driven`]; run the [`Driver`] in a task of its own, or beside whatever uses the handle.
    pub fn drive(self) -> (Driven<T, Si::Error>, Driver<Si, T>) {
        let in_doubt = in_doubt(&self.queue, self.flushed);
        let shared = Arc::new(Shared::new(self.queue, self.way.phase(), in_doubt == 0));
        (Driven::new(Arc::clone(&shared)), Driver::new(self.inner, shared, in_doubt))
    }

    /// Spawns the [driver](Self::drive) onto the current tokio runtime and returns the handle. The task ends when the handle
    /// was closed or dropped and the rest has been delivered. An error that comes after the handle is gone is dropped.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[cfg(feature = "rt")]
    pub fn spawn(self) -> Driven<T, Si::Error>
    where
        Si: Send + 'static,
        Si::Error: Send,
        T: Send + 'static,
    {
        let (handle, driver) = self.drive();
        tokio::spawn(driver);
        handle
    }

    /// Moves items until there are none, the inner sink takes no more, or the budget is spent.
    #[inline(always)]
    fn poll_move(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Result<Stopped, BackpressureSinkError<T, Si::Error>> {
        let mut this = self.project();
        for _ in 0..BUDGET {
            if this.queue.is_empty() {
                this.queue.rest();
                return Ok(Stopped::Done);
            }
            match this.inner.as_mut().poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(source)) => return Err(failed(source, 0, this.queue, *this.flushed)),
                Poll::Pending => {
                    this.way.block(Way::Readying);
                    this.queue.rest();
                    return Ok(Stopped::Waiting);
                }
            }
            this.way.unblock(Way::Readying);
            let expired = this.queue.look_before_next();
            expired.conclude(&this.queue.hooks, &this.queue.reporter);
            let Some((item, hand)) = InHand::take(this.queue) else { return Ok(Stopped::Done) };
            if let Err(source) = this.inner.as_mut().start_send(item) {
                drop(hand);
                return Err(failed(source, 1, this.queue, *this.flushed));
            }
            hand.delivered();
        }
        Ok(if this.queue.is_empty() { Stopped::Done } else { Stopped::Yielding })
    }

    /// Ready once the next item is taken in, after what can be moved was.
    #[inline(never)]
    fn poll_room(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BackpressureSinkError<T, Si::Error>>> {
        if self.way >= Way::Draining {
            return Poll::Ready(Err(BackpressureSinkError::Closed(None)));
        }
        if self.queue.existing_handle().is_some() {
            let queue = self.as_mut().project().queue;
            queue.adopt().carry_out(&queue.hooks, &queue.reporter);
        }
        let moved = self.as_mut().poll_move(cx);
        let this = self.project();
        let stopped = moved.inspect_err(|_| this.queue.end_wait())?;
        if *this.way == Way::Open && this.queue.is_empty() && !this.queue.has_to_look() {
            *this.way = Way::Clear;
        }
        if this.queue.looks.is_some() {
            let expired = this.queue.look_before_wait();
            expired.conclude(&this.queue.hooks, &this.queue.reporter);
        }
        if this.queue.is_open() {
            this.queue.end_wait();
            return Poll::Ready(Ok(()));
        }
        this.queue.begin_wait();
        if this.queue.existing_handle().is_some_and(|handle| !handle.wait(cx.waker())) {
            cx.waker().wake_by_ref();
        }
        stopped.poll(cx).map(Ok)
    }

    /// Ready once nothing is queued.
    fn poll_empty(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BackpressureSinkError<T, Si::Error>>> {
        self.poll_move(cx)?.poll(cx).map(Ok)
    }
}

impl<Si: Sink<T>, T> Sink<T> for BackpressureSink<Si, T> {
    type Error = BackpressureSinkError<T, Si::Error>;

    #[inline]
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.way == Way::Clear { Poll::Ready(Ok(())) } else { self.poll_room(cx) }
    }

    #[inline]
    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), Self::Error> {
        let mut this = self.project();
        let clear = *this.way == Way::Clear;
        let tag = if clear { Tag::default() } else { this.queue.hooks.tag(&item) };
        if clear || (*this.way == Way::Open && this.queue.lets_pass(tag)) {
            let passing = Passing::by(this.queue);
            // No task waits for the inner sink, so a waker that wakes nobody displaces none; pending, the next poll asks
            // again.
            match this.inner.as_mut().poll_ready(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(())) => {
                    if let Err(source) = this.inner.start_send(item) {
                        drop(passing);
                        return Err(failed(source, 1, this.queue, *this.flushed));
                    }
                    passing.delivered();
                    return Ok(());
                }
                Poll::Ready(Err(source)) => {
                    passing.stop();
                    enqueue(this.queue, this.way, item, tag)?;
                    return Err(failed(source, 0, this.queue, *this.flushed));
                }
                Poll::Pending => passing.stop(),
            }
        }
        enqueue(this.queue, this.way, item, tag)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.way == Way::Closed {
            return Poll::Ready(Ok(()));
        }
        ready!(self.as_mut().poll_empty(cx))?;
        let this = self.project();
        this.way.block(Way::Flushing);
        let flushed = ready!(this.inner.poll_flush(cx));
        this.way.unblock(Way::Flushing);
        flushed.map_err(|source| failed(source, 0, this.queue, *this.flushed))?;
        *this.flushed = this.queue.delivered();
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = self.as_mut().project();
        if *this.way == Way::Closed {
            return Poll::Ready(Ok(()));
        }
        if *this.way != Way::Draining {
            *this.way = Way::Draining;
            if this.queue.drain() {
                this.queue.reporter.notify();
            }
        }
        ready!(self.as_mut().poll_empty(cx))?;
        let this = self.project();
        let closed = ready!(this.inner.poll_close(cx));
        *this.way = Way::Closed;
        Poll::Ready(closed.map_err(|source| failed(source, 0, this.queue, *this.flushed)))
    }
}

/// Items given to the inner sink since it was last flushed.
fn in_doubt<T>(queue: &Queue<T>, flushed: u64) -> usize {
    usize::try_from(queue.delivered().saturating_sub(flushed)).unwrap_or(usize::MAX)
}

/// The inner sink failed, and lost so many items with it.
#[cold]
fn failed<T, E>(source: E, lost: usize, queue: &Queue<T>, flushed: u64) -> BackpressureSinkError<T, E> {
    BackpressureSinkError::Inner { source, lost, in_doubt: in_doubt(queue, flushed) }
}

/// Takes an item into the queue.
#[inline]
fn enqueue<T, E>(queue: &mut Queue<T>, way: &mut Way, item: T, tag: Tag) -> Result<(), BackpressureSinkError<T, E>> {
    way.block(Way::Open);
    if *way >= Way::Draining {
        queue.reporter.rejected();
        return Err(BackpressureSinkError::Closed(Some(item)));
    }
    match queue.push(item) {
        Ok(false) => Ok(()),
        Ok(true) => {
            queue.reporter.notify();
            Ok(())
        }
        Err(item) => offer(queue, item, tag),
    }
}

#[inline(never)]
fn offer<T, E>(queue: &mut Queue<T>, item: T, tag: Tag) -> Result<(), BackpressureSinkError<T, E>> {
    queue.offer(item, tag).carry_out(&queue.hooks, &queue.reporter)
}
