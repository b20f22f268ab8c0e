//! A message that is held until somebody says what became of it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::outbox::Outbox;
use crate::settlement::Settlement;

/// A message that was delivered to this worker, and that the server keeps until it is told what became of it.
///
/// It is settled exactly once: with [`ack`](Self::ack), [`nak`](Self::nak), [`retry`](Self::retry) or [`term`](Self::term),
/// by itself or through a clone. If the last clone is dropped unsettled, it goes back to the server, and is counted as
/// [dropped](crate::PullCounts::dropped). Until then its lease is renewed, at most for as long as
/// [`longest_hold`](crate::PullConfig::longest_hold) says.
///
/// Settling never waits, never fails, and may be done anywhere: the answer goes to the task of the source, which sends it. It
/// reaches the server if the source is [waited for](crate::PullHandle::settled) at the end.
///
/// The same message may be delivered twice, to this worker or to another one: after a kill, after a lost acknowledgement, after a
/// flush that took too long. [`id`](Self::id) is the same then, so a flush that writes it beside the row, with a unique key, writes
/// nothing twice.
///
/// The message is shared by all clones, and never copied: to clone or to move a delivery costs the same whatever it delivers.
#[must_use = "a delivery that is dropped goes back to the server"]
pub struct Delivery<T> {
    item: Arc<T>,
    settler: Settler,
}

/// What settles a delivery, without its message. Clones settle the same one.
#[derive(Clone)]
pub(crate) struct Settler(Arc<Lease>);

struct Lease {
    id: u64,
    delivered: u64,
    is_settled: AtomicBool,
    outbox: Arc<Outbox>,
}

impl Lease {
    fn settle(&self, settlement: Settlement) -> bool {
        let is_first = !self.is_settled.swap(true, Ordering::AcqRel);
        if is_first {
            self.outbox.settle(self.id, settlement);
        }
        is_first
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !*self.is_settled.get_mut() {
            self.outbox.settle(self.id, Settlement::Dropped);
        }
    }
}

impl Settler {
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    pub(crate) fn settle(&self, settlement: Settlement) -> bool {
        self.0.settle(settlement)
    }

    /// Acknowledges all that nobody has settled: a lock for each row of deliveries from one source, not for each delivery.
    pub(crate) fn acknowledge(settlers: &[Self]) {
        for row in settlers.chunk_by(|one, next| Arc::ptr_eq(&one.0.outbox, &next.0.outbox)) {
            let Some(Self(first)) = row.first() else { continue };
            let open = row.iter().filter(|it| !it.0.is_settled.swap(true, Ordering::AcqRel));
            first.outbox.settle_all(open.map(|it| (it.id(), Settlement::Ack)));
        }
    }
}

impl<T> Delivery<T> {
    pub(crate) fn new(item: Arc<T>, id: u64, delivered: u64, outbox: &Arc<Outbox>) -> Self {
        let lease = Lease { id, delivered, is_settled: AtomicBool::new(false), outbox: Arc::clone(outbox) };
        Self { item, settler: Settler(Arc::new(lease)) }
    }

    /// The number of the message in its stream: the same for each delivery of it.
    pub fn id(&self) -> u64 {
        self.settler.0.id
    }

    /// Which delivery of the message this was when it came, from 1 on.
    pub fn delivered(&self) -> u64 {
        self.settler.0.delivered
    }

    /// The message.
    pub fn item(&self) -> &T {
        &self.item
    }

    /// Whether somebody has settled it.
    pub fn is_settled(&self) -> bool {
        self.settler.0.is_settled.load(Ordering::Acquire)
    }

    /// The message is where it was to go. Answers whether it was still to be settled.
    pub fn ack(self) -> bool {
        self.settler.settle(Settlement::Ack)
    }

    /// The message goes back, to be delivered again at once, here or elsewhere. Answers whether it was still to be settled.
    pub fn nak(self) -> bool {
        self.nak_after(Duration::ZERO)
    }

    /// The message goes back, to be delivered again after this time. Answers whether it was still to be settled.
    pub fn nak_after(self, delay: Duration) -> bool {
        self.settler.settle(Settlement::Nak(delay))
    }

    /// What was to be done with the message has failed. It comes back as the
    /// [redelivery policy](crate::PullConfig::redeliver) says, and not sooner than after `least`; when the policy is used up, or the
    /// consumer permits no further delivery, it is [terminated](Self::term). Answers whether it was still to be settled.
    pub fn retry(self, least: Duration) -> bool {
        self.settler.settle(Settlement::Retry(least))
    }

    /// The message is never to be delivered again: it goes to the
    /// [dead-letter subject](crate::PullBuilder::dead_letters), if there is one, and is then taken off the consumer. Answers whether
    /// it was still to be settled.
    pub fn term(self) -> bool {
        self.settler.settle(Settlement::Term)
    }

    /// The same delivery of another item. If there is another clone of it, `change` gets a copy of the message.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Delivery<U>
    where
        T: Clone,
    {
        let Self { item, settler } = self;
        Delivery { item: Arc::new(change(Arc::unwrap_or_clone(item))), settler }
    }

    /// The same delivery of another item, or of what is in its way, as [`map`](Self::map) makes it. A message that can never be
    /// read is best [terminated](Self::term).
    ///
    /// # Errors
    ///
    /// The delivery of the error.
    pub fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Delivery<U>, Delivery<E>>
    where
        T: Clone,
    {
        let Self { item, settler } = self;
        match change(Arc::unwrap_or_clone(item)) {
            Ok(item) => Ok(Delivery { item: Arc::new(item), settler }),
            Err(item) => Err(Delivery { item: Arc::new(item), settler }),
        }
    }

    pub(crate) fn settler(&self) -> Settler {
        self.settler.clone()
    }
}

/// The clone is of the same delivery: whichever is settled first settles it.
impl<T> Clone for Delivery<T> {
    fn clone(&self) -> Self {
        Self { item: Arc::clone(&self.item), settler: self.settler.clone() }
    }
}

impl<T> Deref for Delivery<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T: fmt::Debug> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("id", &self.id()).field("item", &self.item).finish_non_exhaustive()
    }
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settler").field(&self.id()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cannot be copied.
    #[derive(Debug)]
    struct Message;

    #[test]
    fn clones_share_the_message_and_whichever_is_settled_first_settles_it() {
        let outbox = Arc::<Outbox>::default();
        let delivery = Delivery::new(Arc::new(Message), 7, 1, &outbox);
        let copy = delivery.clone();
        assert!(std::ptr::eq(delivery.item(), copy.item()));
        assert!(copy.ack() && delivery.is_settled() && !delivery.nak());
        let mut answers = Vec::new();
        outbox.take(&mut answers);
        assert_eq!(answers, [(7, Settlement::Ack)]);
    }

    #[test]
    fn c2_what_is_mapped_is_the_same_delivery_for_all_clones() {
        let outbox = Arc::<Outbox>::default();
        let delivery = Delivery::new(Arc::new("message"), 7, 1, &outbox);
        let copy = delivery.clone();
        let mapped = delivery.map(str::len);
        assert_eq!((*mapped.item(), *copy.item()), (7, "message"));
        drop(mapped);
        let mut answers = Vec::new();
        outbox.take(&mut answers);
        assert_eq!(answers, [], "there is another clone");
        drop(copy);
        outbox.take(&mut answers);
        assert_eq!(answers, [(7, Settlement::Dropped)]);
    }
}
