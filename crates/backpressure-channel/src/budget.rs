//! Letting other tasks have their turn.
//!
//! A producer under a dropping strategy, or a consumer of a channel that never runs dry, would never be pending. Inside a tokio
//! task each operation takes from the task's cooperative budget, as tokio's own channels do; elsewhere nothing is taken.

use std::task::{Context, Poll};

#[cfg(feature = "tokio")]
pub(crate) use tokio::task::coop::{RestoreOnPending as Budgeted, poll_proceed as poll_budget};

/// A unit of budget that was taken, to be given back unless progress was made with it.
#[cfg(not(feature = "tokio"))]
pub(crate) struct Budgeted;

#[cfg(not(feature = "tokio"))]
pub(crate) const fn poll_budget(_cx: &mut Context<'_>) -> Poll<Budgeted> {
    Poll::Ready(Budgeted)
}

/// Polls with a unit of budget, which is kept only if the poll is ready. Pending without polling once none is left.
#[inline]
pub(crate) fn budgeted<R>(cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<R>) -> Poll<R> {
    let taken: Budgeted = std::task::ready!(poll_budget(cx));
    let polled = poll(cx);
    if polled.is_ready() {
        keep(taken);
    }
    polled
}

/// A unit that is dropped is given back.
#[cfg(feature = "tokio")]
#[inline]
pub(crate) fn keep(taken: Budgeted) {
    std::mem::forget(taken);
}

#[cfg(not(feature = "tokio"))]
pub(crate) const fn keep(_taken: Budgeted) {}
