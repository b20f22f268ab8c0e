//! Sending one item, in its turn.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backpressure_core::{Strategy, Tag};

use crate::budget::budgeted;
use crate::error::{SendError, Sent};
use crate::patience::Patience;
use crate::place::{Closed, Place};
use crate::shared::Shared;

/// Sends one item. Made by [`Sender::send`](crate::Sender::send), which says what it promises.
#[derive(Debug)]
#[must_use = "nothing is sent unless this is awaited"]
pub struct Sending<'a, T> {
    shared: &'a Shared<T>,
    item: Option<T>,
    tag: Tag,
    place: Place,
    patience: Patience,
}

impl<T> Unpin for Sending<'_, T> {}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        self.shared.abandon(&mut self.place, self.tag.weight);
    }
}

impl<'a, T> Sending<'a, T> {
    pub(crate) fn new(shared: &'a Shared<T>, item: T) -> Self {
        let tag = shared.tag(&item);
        let patience = Patience::new(max_wait(shared.strategy));
        Self { shared, item: Some(item), tag, place: Place::Nowhere, patience }
    }
}

impl<T> Future for Sending<'_, T> {
    type Output = Result<Sent, SendError<T>>;

    /// # Panics
    ///
    /// When polled again after it resolved.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        budgeted(cx, |cx| self.get_mut().poll_send(cx))
    }
}

impl<T> Sending<'_, T> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sent, SendError<T>>> {
        let mut item = self.item.take().expect("a finished send is not polled again");
        if matches!(self.place, Place::Nowhere) {
            match self.shared.offer(item, self.tag) {
                Err(SendError::Full(back)) if waits(self.shared, self.tag) => item = back,
                sent => return Poll::Ready(reported(self.shared, sent)),
            }
        }
        match self.shared.poll_reserve(&mut self.place, self.tag.weight, cx.waker()) {
            Poll::Ready(Ok(())) => {
                Poll::Ready(reported(self.shared, self.shared.fill(item, self.tag, self.tag.weight)))
            }
            Poll::Ready(Err(Closed)) => Poll::Ready(reported(self.shared, Err(SendError::Closed(item)))),
            Poll::Pending => {
                self.item = Some(item);
                ready!(self.patience.poll(cx));
                self.shared.abandon(&mut self.place, self.tag.weight);
                let item = self.item.take().map(|item| Err(SendError::TimedOut(item)));
                item.map_or(Poll::Pending, |sent| Poll::Ready(reported(self.shared, sent)))
            }
        }
    }
}

pub(crate) const fn max_wait(strategy: Strategy) -> Duration {
    match strategy {
        Strategy::Block { max_wait } => max_wait,
        _ => Duration::ZERO,
    }
}

/// Whether an offer that found no room waits for it.
fn waits<T>(shared: &Shared<T>, tag: Tag) -> bool {
    matches!(shared.strategy, Strategy::Block { .. }) && shared.lock().buffer.admits(tag.weight)
}

fn reported<T>(shared: &Shared<T>, sent: Result<Sent, SendError<T>>) -> Result<Sent, SendError<T>> {
    if sent.is_err() {
        shared.reporter.rejected();
    }
    sent
}
