//! The future that sends many items.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use backpressure_core::Tag;

use crate::budget::budgeted;
use crate::claim::Claim;
use crate::error::{SendError, SentMany};
use crate::many::Refusal;
use crate::place::{NoSlot, Place};
use crate::send::waits;
use crate::shared::Shared;
use crate::wait_timeout::WaitTimeout;

/// Sends many items. Made by [`Sender::send_many`](crate::Sender::send_many), which says what it promises.
#[derive(Debug)]
#[must_use = "nothing is sent unless this is awaited"]
pub struct SendMany<'a, T> {
    shared: &'a Shared<T>,
    items: &'a mut Vec<T>,
    tags: VecDeque<Tag>,
    /// Where the first item stands that is not sent yet.
    place: Place,
    timeout: WaitTimeout,
    sent: SentMany,
}

impl<T> Drop for SendMany<'_, T> {
    fn drop(&mut self) {
        let weight = self.first_tag().weight;
        self.shared.abandon(&mut self.place, weight);
    }
}

impl<'a, T> SendMany<'a, T> {
    pub(crate) fn new(shared: &'a Shared<T>, items: &'a mut Vec<T>) -> Self {
        let tags = shared.tags(items);
        let (place, timeout, sent) = (Place::Nowhere, WaitTimeout::NEW, SentMany::default());
        Self { shared, items, tags, place, timeout, sent }
    }

    fn first_tag(&self) -> Tag {
        self.tags.front().copied().unwrap_or_default()
    }

    fn offer(&mut self, reserved: Option<usize>) -> Result<(), Refusal> {
        let (sent, answer) = self.shared.offer_many(self.items, &mut self.tags, reserved);
        self.sent.accepted += sent.accepted;
        self.sent.evicted += sent.evicted;
        self.sent.dropped += sent.dropped;
        if sent.accepted > 0 {
            self.timeout = WaitTimeout::NEW;
        }
        answer
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<SentMany, SendError<()>>> {
        let mut reserved = None;
        loop {
            if matches!(self.place, Place::Nowhere) {
                match self.offer(reserved) {
                    Ok(()) => return Poll::Ready(Ok(self.sent)),
                    Err(Refusal::Full) if waits(self.shared, self.first_tag().weight) => {}
                    Err(refusal) => return Poll::Ready(Err(self.give_up(refusal.into()))),
                }
            }
            let weight = self.first_tag().weight;
            match self.shared.poll_turn(&mut self.place, Claim::of_item(weight), cx.waker()) {
                Poll::Ready(Ok(())) => reserved = Some(weight),
                Poll::Ready(Err(NoSlot::Dismissed)) => reserved = None,
                Poll::Ready(Err(NoSlot::Closed)) => return Poll::Ready(Err(self.give_up(SendError::Closed(())))),
                Poll::Pending => {
                    ready!(self.timeout.poll(self.shared.rules.max_wait(), cx));
                    if self.shared.makes_room(&self.place) {
                        continue;
                    }
                    self.shared.abandon(&mut self.place, weight);
                    return Poll::Ready(Err(self.give_up(SendError::TimedOut(()))));
                }
            }
        }
    }

    /// What is left goes back.
    fn give_up(&self, error: SendError<()>) -> SendError<()> {
        self.shared.reporter.rejected_many(self.items.len());
        error
    }
}

impl From<Refusal> for SendError<()> {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Full(()),
            Refusal::Closed => Self::Closed(()),
        }
    }
}

impl<T> Future for SendMany<'_, T> {
    type Output = Result<SentMany, SendError<()>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        budgeted(cx, |cx| self.get_mut().poll_send(cx))
    }
}
