//! The cooperative budget of a task.
//!
//! A producer under a dropping strategy, or a consumer of a channel that never runs dry, would never be pending. Inside a tokio
//! task operations take from the task's cooperative budget, as those of tokio's own channels do; elsewhere nothing is taken.

use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

#[cfg(feature = "tokio")]
use tokio::task::coop::{RestoreOnPending as Budgeted, poll_proceed as poll_budget};

/// How many sends, or receives, share a unit of budget. A unit is meant for an operation of tokio's, which takes about as long as
/// these; and to ask for one takes a tenth of a send.
const SHARERS: u8 = 4;

/// Where the sends, or the receives, through one handle share their units of budget: the first of each few pays for all.
///
/// Through a handle that is used on several threads at once, a few more or fewer may share a unit.
#[derive(Debug)]
pub(crate) struct Share {
    /// How many have shared the unit that was taken last; 0 when the next is due.
    sharers: AtomicU8,
}

/// What an operation took: to be given back, by dropping it, unless progress was made with it.
pub(crate) struct Taken(Option<Budgeted>);

impl Share {
    pub(crate) const fn new() -> Self {
        Self { sharers: AtomicU8::new(0) }
    }

    /// Ready unless a unit is due and none is left.
    #[inline]
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Taken> {
        let is_due = self.sharers.load(Ordering::Relaxed) == 0;
        Poll::Ready(Taken(if is_due { Some(ready!(poll_budget(cx))) } else { None }))
    }

    /// Progress was made.
    #[inline]
    pub(crate) fn keep(&self, taken: Taken) {
        if let Some(unit) = taken.0 {
            keep(unit);
        }
        let sharers = self.sharers.load(Ordering::Relaxed);
        self.sharers.store((sharers + 1) % SHARERS, Ordering::Relaxed);
    }
}

/// Polls with a unit of budget, which is kept only if the poll is ready. Pending without polling once none is left.
#[inline]
pub(crate) fn budgeted<R>(cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<R>) -> Poll<R> {
    let taken: Budgeted = ready!(poll_budget(cx));
    let polled = poll(cx);
    if polled.is_ready() {
        keep(taken);
    }
    polled
}

/// A unit that is dropped is given back.
#[cfg(feature = "tokio")]
#[inline]
fn keep(taken: Budgeted) {
    std::mem::forget(taken);
}

#[cfg(not(feature = "tokio"))]
struct Budgeted;

#[cfg(not(feature = "tokio"))]
const fn poll_budget(_cx: &mut Context<'_>) -> Poll<Budgeted> {
    Poll::Ready(Budgeted)
}

#[cfg(not(feature = "tokio"))]
const fn keep(_taken: Budgeted) {}
