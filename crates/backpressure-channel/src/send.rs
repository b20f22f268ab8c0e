//! The future that sends one item.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use backpressure_core::Tag;
use backpressure_rt::sync::MutexGuard;

use crate::budget::Share;
use crate::claim::Claim;
use crate::error::{SendError, Sent};
use crate::place::{NoSlot, Place};
use crate::shared::{Inner, Shared};
use crate::unsent::taken;
use crate::wait_timeout::WaitTimeout;

/// Sends one item. Made by [`Sender::send`](crate::Sender::send), which says what it promises.
#[derive(Debug)]
#[must_use = "nothing is sent unless this is awaited"]
pub struct Send<'a, T> {
    shared: &'a Shared<T>,
    share: &'a Share,
    item: Option<T>,
    /// `None` stands for the default, where items have no tags.
    tag: Option<Tag>,
    place: Place,
    timeout: WaitTimeout,
}

impl<T> Unpin for Send<'_, T> {}

impl<T> Drop for Send<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if matches!(self.place, Place::Queued { .. }) {
            self.leave();
        }
    }
}

impl<'a, T> Send<'a, T> {
    #[inline]
    pub(crate) fn new(shared: &'a Shared<T>, share: &'a Share, item: T) -> Self {
        let tag = shared.hooks.is_tagging().then(|| shared.tag(&item));
        Self { shared, share, item: Some(item), tag, place: Place::Nowhere, timeout: WaitTimeout::NEW }
    }
}

impl<T> Future for Send<'_, T> {
    type Output = Result<Sent, SendError<T>>;

    /// # Panics
    ///
    /// When polled again after it resolved.
    // In line, or the answer would be written to memory and read back by whoever awaits it: a sixth of the whole.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let unit = ready!(this.share.poll(cx));
        assert!(this.item.is_some(), "a finished send is not polled again");
        let polled = match this.place {
            Place::Nowhere => match this.shared.push(&mut this.item) {
                Ok(()) => {
                    this.share.keep(unit);
                    return Poll::Ready(Ok(this.shared.accepted));
                }
                Err(inner) => this.poll_offer(inner, cx),
            },
            Place::Queued { .. } => this.poll_turn(cx),
        };
        if polled.is_ready() {
            this.share.keep(unit);
        }
        polled
    }
}

impl<T> Send<'_, T> {
    fn weight(&self) -> usize {
        self.tag.as_ref().unwrap_or(&Tag::DEFAULT).weight
    }

    /// Gives up the place in the queue.
    #[cold]
    fn leave(&mut self) {
        let weight = self.weight();
        self.shared.abandon(&mut self.place, weight);
    }

    #[inline(never)]
    fn poll_offer(
        &mut self,
        inner: MutexGuard<'_, Inner<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sent, SendError<T>>> {
        let item = taken(&mut self.item);
        match self.shared.offer_closely(inner, item, self.tag.as_ref().unwrap_or(&Tag::DEFAULT)) {
            Err(SendError::Full(item)) if waits(self.shared, self.weight()) => {
                self.item = Some(item);
                self.poll_turn(cx)
            }
            sent => Poll::Ready(self.shared.reported(sent)),
        }
    }

    /// Waits for room.
    #[cold]
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sent, SendError<T>>> {
        let item = taken(&mut self.item);
        let claim = Claim::of_item(self.weight());
        match self.shared.poll_turn(&mut self.place, claim, cx.waker()) {
            Poll::Ready(Ok(())) => {
                Poll::Ready(self.shared.reported(self.shared.fill(item, self.tag.unwrap_or_default(), claim)))
            }
            Poll::Ready(Err(NoSlot::Closed)) => Poll::Ready(self.shared.reported(Err(SendError::Closed(item)))),
            Poll::Ready(Err(NoSlot::Dismissed)) => {
                self.item = Some(item);
                self.poll_offer(self.shared.lock(), cx)
            }
            Poll::Pending => {
                self.item = Some(item);
                ready!(self.timeout.poll(self.shared.rules.max_wait(), cx));
                if self.shared.makes_room(&self.place) {
                    return self.poll_turn(cx);
                }
                self.leave();
                let item = self.item.take().map(|item| Err(SendError::TimedOut(item)));
                item.map_or(Poll::Pending, |sent| Poll::Ready(self.shared.reported(sent)))
            }
        }
    }
}

/// Whether an offer that found no room waits for it.
pub(crate) fn waits<T>(shared: &Shared<T>, weight: usize) -> bool {
    shared.rules.waits() && (!shared.minds_tags || shared.lock().buffer.admits(weight))
}
