//! What happened to deliveries, in numbers.

/// What a source did, since it began. Every delivery that was received is counted once among
/// [`held`](Self::held), [`acked`](Self::acked), [`naked`](Self::naked), [`termed`](Self::termed) and
/// [`forgotten`](Self::forgotten).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PullCounts {
    /// Deliveries received, without [`doubles`](Self::doubles) and [`repeats`](Self::repeats).
    pub received: u64,
    /// Of those, how many had been delivered before, to whomever.
    pub redelivered: u64,
    /// Deliveries that are not settled.
    pub held: u64,
    /// Deliveries acknowledged.
    pub acked: u64,
    /// Of those, how many after the lease was over: another worker may have been given the message, too.
    pub acked_late: u64,
    /// Deliveries given back, for whatever reason.
    pub naked: u64,
    /// Of those, how many nobody said a word of: they were dropped.
    pub dropped: u64,
    /// Of those, how many arrived when there was no room for them, or when the source had been stopped.
    pub handed_back: u64,
    /// Deliveries that are never to be delivered again.
    pub termed: u64,
    /// Of those, how many are among the dead letters.
    pub dead_letters: u64,
    /// Deliveries that were to be given back, or terminated, after their lease was over: nothing is said, since the message may
    /// be somebody else's by then. It is delivered again.
    pub forgotten: u64,
    /// Deliveries that were given back although it was the last one that the consumer permits: nobody gets the message again,
    /// and it stays in the stream.
    pub exhausted: u64,
    /// Messages delivered again while they were held. There is still one delivery to settle.
    pub doubles: u64,
    /// Messages delivered again after they were acknowledged late, and acknowledged once more.
    pub repeats: u64,
    /// Renewals of leases.
    pub renewals: u64,
    /// Requests for messages.
    pub pulls: u64,
    /// Requests of which no end was heard.
    pub unheard: u64,
}

impl PullCounts {
    /// Whether every delivery received has one fate, or is held.
    pub const fn balances(&self) -> bool {
        self.received == self.held + self.acked + self.naked + self.termed + self.forgotten
    }
}
