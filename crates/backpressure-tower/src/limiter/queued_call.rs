//! A call's place in the queue.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use backpressure_core::DropReason;

use super::fate::Fate;
use super::permit::Permit;
use super::queue::Key;
use super::seats::Verdict;
use super::shared::Shared;
use crate::overloaded::{Overloaded, ShedReason};

/// How a call entered a [`Limiter`](super::Limiter).
#[derive(Debug)]
#[must_use = "dropping it gives the slot, or the place in the queue, back"]
pub enum Entry {
    /// It has a slot.
    Admitted(Permit),
    /// It waits for one.
    Queued(QueuedCall),
}

impl Entry {
    /// The entry of a call of this class, which has been counted.
    pub(super) fn of_class(self, class: u8) -> Self {
        match self {
            Self::Admitted(permit) => Self::Admitted(permit.of_class(class)),
            Self::Queued(ticket) => Self::Queued(ticket.of_class(class)),
        }
    }
}

/// A place in the short queue of a [`Limiter`](super::Limiter). Dropping it leaves the queue; a slot that was meant for it
/// goes to the next.
#[must_use = "dropping a ticket leaves the queue"]
pub struct QueuedCall {
    /// `None` once there is nothing left to give back.
    limiter: Option<Arc<Shared>>,
    key: Key,
    /// The number of its class; 0 if it has none.
    class: u8,
}

impl QueuedCall {
    pub(super) const fn new(limiter: Arc<Shared>, key: Key) -> Self {
        Self { limiter: Some(limiter), key, class: 0 }
    }

    fn of_class(mut self, class: u8) -> Self {
        self.class = class;
        self
    }

    /// Ready once there is a slot, or once it is clear that there will be none in time. Whoever polls it polls again when
    /// woken, and at the [`deadline`](Self::deadline), which by itself wakes nobody.
    ///
    /// The latest waker is the one that is woken. Once it has been ready it stays pending.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] when the time is up or the limiter drains.
    #[inline]
    pub fn poll_admitted(&mut self, cx: &Context<'_>) -> Poll<Result<Permit, Overloaded>> {
        let Some(limiter) = &self.limiter else { return Poll::Pending };
        let verdict = ready!(limiter.poll_verdict(self.key, cx));
        let Some(limiter) = self.limiter.take() else { return Poll::Pending };
        Poll::Ready(self.read(limiter, verdict))
    }

    /// When the call is refused if it has not been admitted; `None` if never.
    pub fn deadline(&self) -> Option<Instant> {
        self.key.deadline()
    }
}

impl QueuedCall {
    /// Ready with what has become of the call by now, which is refused if it still waits.
    pub(crate) fn time_out(&mut self) -> Poll<Result<Permit, Overloaded>> {
        let Some(limiter) = self.limiter.take() else { return Poll::Pending };
        match limiter.time_out(self.key) {
            Some(verdict) => Poll::Ready(self.read(limiter, verdict)),
            None => Poll::Pending,
        }
    }

    fn read(&self, limiter: Arc<Shared>, verdict: Verdict) -> Result<Permit, Overloaded> {
        match verdict {
            Verdict::Admitted(since) => Ok(Permit::served(limiter, self.key.number(), since).of_class(self.class)),
            Verdict::Refused(reason) => Err(self.refuse(&limiter, reason)),
            // Only a service's, which waits again.
            Verdict::TakenBack => Err(self.refuse(&limiter, ShedReason::Limit)),
        }
    }

    fn refuse(&self, limiter: &Shared, reason: ShedReason) -> Overloaded {
        limiter.turn_back(self.class);
        limiter.overloaded(reason)
    }

    /// Leaves the queue for this reason. If it was served a slot meanwhile, which now goes on, it has this fate instead, or that
    /// of a permit that is dropped.
    pub(super) fn leave(&mut self, reason: DropReason, fate: Option<Fate>) {
        if let Some(limiter) = self.limiter.take() {
            let Some(Verdict::Admitted(since)) = limiter.leave(self.key, reason) else {
                limiter.turn_back(self.class);
                return;
            };
            let permit = Permit::served(limiter, self.key.number(), since).of_class(self.class);
            match fate {
                Some(fate) => permit.end(fate),
                None => drop(permit),
            }
        }
    }

    pub(super) fn limiter(&self) -> Option<&Shared> {
        self.limiter.as_deref()
    }
}

impl Drop for QueuedCall {
    fn drop(&mut self) {
        self.leave(DropReason::Cancelled, None);
    }
}

impl fmt::Debug for QueuedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedCall").field("number", &self.key.number()).finish_non_exhaustive()
    }
}
