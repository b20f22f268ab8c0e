//! Wakers that count, and what a poll may answer after one that was pending.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::examine::{Wrongs, settle};
use crate::law::{Law, W3};

/// Pending this often in a row, each time woken with nothing done, is no yielding any more.
pub(crate) const SPINNING: usize = 64;

#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Somebody who polls one thing, with wakers of their own.
#[derive(Debug)]
pub(crate) struct Watch {
    count: Arc<Count>,
    /// How often the latest waker had been woken when it was given, if the answer was Pending.
    pending_at: Option<usize>,
    /// The law that a missing wake breaks.
    law: Law,
    forgiven: bool,
}

impl Watch {
    pub(crate) fn new(law: Law) -> Self {
        Self { count: Arc::default(), pending_at: None, law, forgiven: false }
    }

    /// Polls, with a fresh waker if asked to. Ready where there was no wake since the last Pending breaks the law.
    pub(crate) fn poll<R>(
        &mut self,
        fresh: bool,
        wrongs: &Wrongs,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        let was_woken = self.is_due() || std::mem::take(&mut self.forgiven);
        if fresh {
            self.count = Arc::default();
        }
        let before = self.count.0.load(Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&self.count));
        let answer = poll(&mut Context::from_waker(&waker));
        if answer.is_ready() {
            wrongs.unless(was_woken, self.law, || "it is Ready, but its latest waker was not woken".into());
            self.pending_at = None;
        } else {
            self.pending_at = Some(before);
        }
        answer
    }

    /// Whether a poll is called for: there was none, or a wake since.
    pub(crate) fn is_due(&self) -> bool {
        self.pending_at.is_none_or(|at| self.count.0.load(Ordering::Relaxed) > at)
    }

    /// Whether the last answer was Pending.
    pub(crate) const fn is_pending(&self) -> bool {
        self.pending_at.is_some()
    }

    /// Ready without a wake would be no fault.
    pub(crate) fn forgive(&mut self) {
        self.forgiven = true;
    }

    /// Another thing is polled from now on.
    pub(crate) fn forget(&mut self) {
        self.pending_at = None;
    }

    /// Polls as long as it is woken, and finds out whether that ends.
    pub(crate) async fn rest<R>(
        &mut self,
        wrongs: &Wrongs,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        for _ in 0..SPINNING {
            if let Poll::Ready(answer) = self.poll(false, wrongs, &mut poll) {
                return Poll::Ready(answer);
            }
            settle().await;
            if !self.is_due() {
                return Poll::Pending;
            }
        }
        wrongs.add(W3, format!("{SPINNING} polls in a row were Pending, and each was woken at once"));
        Poll::Pending
    }
}
