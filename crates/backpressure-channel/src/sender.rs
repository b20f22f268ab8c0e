//! The sending end.

use std::fmt;

use std::task::{Context, Poll, ready};

#[cfg(doc)]
use backpressure_core::Strategy;
use backpressure_core::{DropReason, Gauge, Tag};
use backpressure_rt::sync::{Arc, Ordering};
use backpressure_rt::{Exclusive, Relay};
use futures_sink::Sink;

use crate::blocking::{block_on, drives_a_runtime};
use crate::budget::Share;
use crate::claim::Claim;
use crate::error::{SendError, Sent, SentMany, SinkError};
use crate::permit::{Permit, Reserve};
use crate::place::{NoSlot, Place};
use crate::reconfigure::ChannelHandle;
use crate::send::{Send, waits};
use crate::send_many::SendMany;
use crate::shared::Shared;
use crate::slot::{READY, Slot};

/// The sending end of a channel. Clone it for more producers; when the last one is dropped the channel closes.
///
/// As a [`Sink`] its `poll_ready` reserves exactly one slot under [`Strategy::Block`], and is always ready under the
/// other strategies. A sink has no item to hand back while it waits for readiness, so there `Block` waits as long as it
/// takes; the longest wait bounds [`send`](Self::send) and [`reserve`](Self::reserve). `poll_close` is as good as
/// dropping it: the sink takes nothing more, and the channel closes with its last sender.
pub struct Sender<T> {
    pub(crate) shared: Arc<Shared<T>>,
    slot: Slot,
    share: Share,
    /// An item that was started as a sink and is too heavy for the room left: it enters as soon as there is enough.
    heavy: Exclusive<Option<(T, Tag)>>,
}

impl<T> Sender<T> {
    pub(crate) const fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared, share: Share::new(), slot: Slot::NONE, heavy: Exclusive::new(None) }
    }

    /// Sends an item, waiting for room if the strategy is [`Strategy::Block`]; the other strategies answer at once.
    ///
    /// Inside a tokio task four sends through one sender take one unit of the task's cooperative budget.
    ///
    /// # Errors
    ///
    /// Hands the item back: [`Full`](SendError::Full) under [`Strategy::Reject`], [`TimedOut`](SendError::TimedOut) after
    /// the longest wait, [`Closed`](SendError::Closed) once the receiver is gone or closed.
    ///
    /// # Cancel safety
    ///
    /// A future dropped before it resolves has sent nothing: the item is dropped with it, its place in the queue and a
    /// slot it may have been given go to the next producer. One that is kept and not polled keeps both: the slot is missing
    /// from the channel, and if the next in line needs that room, all behind it wait, too.
    #[inline]
    pub fn send(&self, item: T) -> Send<'_, T> {
        Send::new(&self.shared, &self.share, item)
    }

    /// Sends an item as [`send`](Self::send) does, and blocks this thread meanwhile: for threads outside of any runtime, and for
    /// `spawn_blocking`. Threads and tasks wait in one queue, first come, first served; the thread sleeps.
    ///
    /// ```
    /// use backpressure_channel::channel;
    /// use backpressure_core::BackpressureConfig;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, mut rx) = channel(BackpressureConfig::builder().capacity(2).batch_items(1).build()?);
    /// let reader = std::thread::spawn(move || {
    ///     for line in ["a", "b", "c", "d"] {
    ///         tx.blocking_send(line)?; // waits while the channel is full
    ///     }
    ///     Ok::<_, backpressure_channel::SendError<&str>>(())
    /// });
    /// let mut lines = Vec::new();
    /// while let Some(line) = rx.recv().await {
    ///     lines.push(line);
    /// }
    /// assert_eq!(lines, ["a", "b", "c", "d"]);
    /// reader.join().unwrap()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). [`WouldBlockRuntime`](SendError::WouldBlockRuntime), whether there is room or not, on a thread that
    /// runs the tasks of a tokio runtime: it would keep them from running, perhaps the consumer among them. Tokio reports the
    /// attempt on stderr as a panic, which is caught. (A program that aborts on panic aborts. Without the feature `tokio`, and under
    /// other runtimes, the thread is blocked.)
    pub fn blocking_send(&self, item: T) -> Result<Sent, SendError<T>> {
        if drives_a_runtime() {
            self.shared.reporter.rejected();
            return Err(SendError::WouldBlockRuntime(item));
        }
        block_on(self.send(item))
    }

    /// Sends an item if the channel takes it at once.
    ///
    /// # Errors
    ///
    /// Hands the item back: [`Full`](SendError::Full) under [`Strategy::Block`] and [`Strategy::Reject`] when there is no
    /// room or other producers wait for it, [`Closed`](SendError::Closed) once the receiver is gone or closed.
    #[inline]
    pub fn try_send(&self, item: T) -> Result<Sent, SendError<T>> {
        let shared: &Shared<T> = &self.shared;
        match shared.turns_away() {
            Some(seen) => shared.turn_away(item, seen),
            None if shared.hooks.is_tagging() => shared.offer_tagged(item),
            None => self.offer(item),
        }
    }

    #[inline(never)]
    fn offer(&self, item: T) -> Result<Sent, SendError<T>> {
        self.shared.offer(item)
    }

    /// Sends all of `items`, in order, as [`send`](Self::send) would one after the other, but under one lock for as many as
    /// there is room for. Under [`Strategy::Block`] it waits for room for the rest; while other producers wait too, each has
    /// its turn before the next of these items.
    ///
    /// The longest wait is counted from the last item that entered. Resolves at once if `items` is empty.
    ///
    /// ```
    /// use backpressure_channel::channel;
    /// use backpressure_core::BackpressureConfig;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, mut rx) = channel(BackpressureConfig::builder().capacity(4).build()?);
    /// let producer = tokio::spawn(async move {
    ///     let mut numbers: Vec<_> = (0..10).collect();
    ///     let sent = tx.send_many(&mut numbers).await?;
    ///     assert_eq!((sent.accepted, numbers.len()), (10, 0));
    ///     Ok::<_, backpressure_channel::SendError<()>>(())
    /// });
    /// let mut received = Vec::new();
    /// while rx.recv_many(&mut received, 100).await > 0 {}
    /// assert_eq!(received, (0..10).collect::<Vec<_>>());
    /// producer.await??;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). The items that were not sent are left in `items`, and counted as rejected.
    ///
    /// # Cancel safety
    ///
    /// A future dropped before it resolves has sent the items that are no longer in `items`, and none of the others. Its
    /// place in the queue and a slot it may have been given go to the next producer.
    pub fn send_many<'a>(&'a self, items: &'a mut Vec<T>) -> SendMany<'a, T> {
        SendMany::new(&self.shared, items)
    }

    /// Sends of `items`, in order, what the channel takes at once, under one lock. The strategies that discard items take all.
    ///
    /// # Errors
    ///
    /// [`Full`](SendError::Full) under [`Strategy::Block`] and [`Strategy::Reject`] when there is not room for all, or other
    /// producers wait for it; [`Closed`](SendError::Closed) once the receiver is gone or closed. The items that were not
    /// sent are left in `items`, and counted as rejected.
    pub fn try_send_many(&self, items: &mut Vec<T>) -> Result<SentMany, SendError<()>> {
        let mut tags = self.shared.tags(items);
        let (sent, answer) = self.shared.offer_many(items, &mut tags, None);
        answer.map(|()| sent).map_err(|refusal| {
            self.shared.reporter.rejected_many(items.len());
            refusal.into()
        })
    }

    /// Waits for a slot and holds it. Under a strategy other than [`Strategy::Block`] no slot is held: the permit comes at
    /// once, and the item it sends meets the strategy.
    ///
    /// The slot is for an item of weight 1: see [`Permit::send`].
    ///
    /// # Errors
    ///
    /// [`TimedOut`](SendError::TimedOut) after the longest wait, [`Closed`](SendError::Closed) once the receiver is gone or closed.
    ///
    /// # Cancel safety
    ///
    /// A future dropped before it resolves holds nothing; its place goes to the next producer.
    pub fn reserve(&self) -> Reserve<'_, T> {
        Reserve::new(&self.shared)
    }

    /// Holds a slot if there is one at once.
    ///
    /// # Errors
    ///
    /// [`Full`](SendError::Full) when there is no room or other producers wait for it, [`Closed`](SendError::Closed).
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        Permit::try_new(&self.shared)
    }

    /// Closes the channel for every sender: offers are handed back from now on, waiting producers are woken, and what is
    /// queued can still be received. Idempotent.
    pub fn close_channel(&self) {
        self.shared.close();
    }

    /// Whether the channel takes nothing any more.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().buffer.is_closed()
    }

    /// Changes the channel's bounds and strategy while it is in use.
    pub fn handle(&self) -> ChannelHandle<T> {
        ChannelHandle::new(self.shared.clone())
    }

    /// How full the channel is, and what has happened in it.
    pub fn gauge(&self) -> Gauge {
        self.shared.gauge.clone()
    }

    /// Ready with a slot: for the heavy item if there is one outside, otherwise for the next. `false` says that whoever
    /// wants it is not to wait for one.
    fn poll_slot(&mut self, cx: &Context<'_>) -> Poll<Result<bool, SinkError<T>>> {
        let (place, claim) = match &mut self.slot {
            Slot::Waiting { place, claim } => (place, *claim),
            Slot::Reserved => return Poll::Ready(Ok(true)),
            Slot::Closed => return Poll::Ready(Err(SinkError::Closed(None))),
        };
        match ready!(self.shared.poll_reserve(place, claim, cx.waker())) {
            Ok(()) => {
                self.slot = Slot::Reserved;
                Poll::Ready(Ok(true))
            }
            Err(NoSlot::Dismissed) => Poll::Ready(Ok(false)),
            Err(NoSlot::Closed) => {
                self.slot = Slot::NONE;
                let heavy = self.heavy.get().take().map(|(item, _)| item);
                if heavy.is_some() {
                    self.shared.reporter.rejected();
                }
                Poll::Ready(Err(SinkError::Closed(heavy)))
            }
        }
    }

    /// Ready once no heavy item is left outside.
    fn poll_heavy(&mut self, cx: &Context<'_>) -> Poll<Result<(), SinkError<T>>> {
        while self.heavy.get().is_some() {
            let has_slot = ready!(self.poll_slot(cx))?;
            if let Some((item, tag)) = self.heavy.get().take() {
                self.slot = Slot::NONE;
                let sent = if has_slot {
                    self.shared.fill(item, tag, Claim::of_item(tag.weight))
                } else {
                    self.shared.offer_uncounted(item, &tag)
                };
                match sent {
                    Ok(_) => {}
                    Err(SendError::Full(item)) if !waits(&self.shared, tag.weight) => {
                        self.shared.reporter.rejected();
                        return Poll::Ready(Err(SinkError::Full(item)));
                    }
                    Err(SendError::Closed(item)) => {
                        self.shared.reporter.rejected();
                        return Poll::Ready(Err(SinkError::Closed(Some(item))));
                    }
                    Err(error) => self.wait_for_weight(error.into_inner(), tag),
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn wait_for_weight(&mut self, item: T, tag: Tag) {
        self.slot = Slot::Waiting { place: Place::Nowhere, claim: Claim::of_item(tag.weight) };
        *self.heavy.get() = Some((item, tag));
    }

    /// Gives up what this sender holds as a sink, and its part in keeping the channel open.
    fn leave(&mut self) {
        let mut relay = Relay::new();
        match std::mem::replace(&mut self.slot, Slot::Closed) {
            Slot::Waiting { mut place, claim } => relay.call(|| self.shared.abandon(&mut place, claim.weight)),
            Slot::Reserved => relay.call(|| self.shared.release(READY)),
            Slot::Closed => return,
        }
        // AcqRel: pairs with the other senders' decrements, so that the close comes after all that they sent.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            relay.call(|| self.shared.close());
        }
        relay.resume();
    }

    fn refuse(&self, error: SinkError<T>) -> Result<(), SinkError<T>> {
        self.shared.reporter.rejected();
        Err(error)
    }
}

impl<T> Sink<T> for Sender<T> {
    type Error = SinkError<T>;

    fn poll_ready(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError<T>>> {
        let this = self.get_mut();
        ready!(this.poll_heavy(cx))?;
        while this.shared.rules.waits() || this.slot.is_in_line() {
            if ready!(this.poll_slot(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        if matches!(this.slot, Slot::Closed) || this.is_closed() {
            return Poll::Ready(Err(SinkError::Closed(None)));
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(self: std::pin::Pin<&mut Self>, item: T) -> Result<(), SinkError<T>> {
        let this = self.get_mut();
        if matches!(this.slot, Slot::Closed) {
            return this.refuse(SinkError::Closed(Some(item)));
        }
        if this.heavy.get().is_some() {
            return this.refuse(SinkError::Full(item));
        }
        let tag = this.shared.tag(&item);
        let reserved = matches!(this.slot, Slot::Reserved);
        let sent = if reserved {
            this.slot = Slot::NONE;
            this.shared.fill(item, tag, READY)
        } else {
            this.shared.offer_uncounted(item, &tag)
        };
        match sent {
            Ok(_) => Ok(()),
            Err(SendError::Full(item)) if reserved && this.shared.lock().buffer.admits(tag.weight) => {
                this.wait_for_weight(item, tag);
                Ok(())
            }
            Err(SendError::Closed(item)) => this.refuse(SinkError::Closed(Some(item))),
            Err(error) => this.refuse(SinkError::Full(error.into_inner())),
        }
    }

    fn poll_flush(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError<T>>> {
        self.get_mut().poll_heavy(cx)
    }

    fn poll_close(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError<T>>> {
        let this = self.get_mut();
        ready!(this.poll_heavy(cx))?;
        this.leave();
        Poll::Ready(Ok(()))
    }
}

impl<T> Unpin for Sender<T> {}

impl<T> Clone for Sender<T> {
    /// Another producer. A slot that this one holds as a sink stays with this one.
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self::new(self.shared.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let lost = self.heavy.get().take().map(|(item, _)| item);
        if lost.is_some() {
            self.shared.reporter.refused(DropReason::Closed);
        }
        let mut relay = Relay::new();
        relay.call(|| self.leave());
        relay.call(|| self.shared.hooks.dispose(lost, DropReason::Closed));
        relay.resume();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("gauge", &self.shared.gauge.state()).finish_non_exhaustive()
    }
}
