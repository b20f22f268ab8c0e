//! A slot held ahead of the item.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use backpressure_core::Strategy;

use crate::claim::Claim;
use crate::error::{SendError, Sent};
use crate::place::{NoSlot, Place};
use crate::shared::Shared;
use crate::wait_timeout::WaitTimeout;

/// What a permit holds: see [`Permit::send`].
const CLAIM: Claim = Claim::kept(1);

/// A slot held for one item. Dropping it gives the slot to the next producer.
///
/// A permit that is held for long makes the channel smaller by one slot, and by a weight of 1; one that is forgotten
/// ([`std::mem::forget`]) does so for as long as the channel lives. Items that the permits leave no room for, not even in an
/// empty channel, wait for them: under [`Oversize::AdmitAlone`](backpressure_core::Oversize::AdmitAlone) every oversize item
/// does. All others go past those, and are served in turn.
#[derive(Debug)]
#[must_use = "a permit that is dropped gives its slot back"]
pub struct Permit<'a, T> {
    shared: &'a Shared<T>,
    holds: bool,
}

impl<'a, T> Permit<'a, T> {
    pub(crate) fn try_new(shared: &'a Shared<T>) -> Result<Self, SendError<()>> {
        if shared.is_expiring {
            shared.expire();
        }
        let mut inner = shared.lock();
        if inner.buffer.is_closed() {
            return Err(SendError::Closed(()));
        }
        if !holds_slots(inner.buffer.strategy()) {
            return Ok(Self { shared, holds: false });
        }
        if inner.first_in_line().is_some() || !inner.buffer.try_reserve(CLAIM.weight) {
            return Err(SendError::Full(()));
        }
        inner.kept.add(CLAIM);
        let after = inner.settle(backpressure_core::Moved::NOTHING);
        drop(inner);
        shared.carry_out_or(after, || shared.release(CLAIM));
        Ok(Self { shared, holds: true })
    }

    /// Puts the item into the slot.
    ///
    /// # Errors
    ///
    /// Hands the item back if the channel was closed meanwhile; or as [`Full`](SendError::Full) if the channel bounds the
    /// weight, the item weighs more than 1 and there is no room for the rest of it. Under [`Strategy::Reject`] a permit
    /// holds no slot, so the item may find the channel full.
    pub fn send(mut self, item: T) -> Result<Sent, SendError<T>> {
        let tag = self.shared.tag(&item);
        if std::mem::take(&mut self.holds) {
            self.shared.reported(self.shared.fill(item, tag, CLAIM))
        } else {
            self.shared.reported(self.shared.offer_uncounted(item, &tag))
        }
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        if self.holds {
            self.shared.release(CLAIM);
        }
    }
}

const fn holds_slots(strategy: Strategy) -> bool {
    matches!(strategy, Strategy::Block { .. })
}

/// Waits for a slot. Made by [`Sender::reserve`](crate::Sender::reserve), which says what it promises.
#[derive(Debug)]
#[must_use = "nothing is reserved unless this is awaited"]
pub struct Reserve<'a, T> {
    shared: &'a Shared<T>,
    place: Place,
    timeout: WaitTimeout,
}

impl<T> Drop for Reserve<'_, T> {
    fn drop(&mut self) {
        self.shared.abandon(&mut self.place, CLAIM.weight);
    }
}

impl<'a, T> Reserve<'a, T> {
    pub(crate) const fn new(shared: &'a Shared<T>) -> Self {
        Self { shared, place: Place::Nowhere, timeout: WaitTimeout::NEW }
    }
}

impl<'a, T> Future for Reserve<'a, T> {
    type Output = Result<Permit<'a, T>, SendError<()>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            if matches!(this.place, Place::Nowhere) && !this.shared.rules.waits() {
                match Permit::try_new(this.shared) {
                    // Only a strategy that waits is full, so it has just become one.
                    Err(SendError::Full(())) => {}
                    permit => return Poll::Ready(permit),
                }
            }
            match this.shared.poll_reserve(&mut this.place, CLAIM, cx.waker()) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(Permit { shared: this.shared, holds: true })),
                Poll::Ready(Err(NoSlot::Closed)) => return Poll::Ready(Err(SendError::Closed(()))),
                Poll::Ready(Err(NoSlot::Dismissed)) => {}
                Poll::Pending => {
                    ready!(this.timeout.poll(this.shared.rules.max_wait(), cx));
                    if this.shared.makes_room(&this.place) {
                        continue;
                    }
                    this.shared.abandon(&mut this.place, CLAIM.weight);
                    return Poll::Ready(Err(SendError::TimedOut(())));
                }
            }
        }
    }
}
