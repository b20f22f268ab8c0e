//! What is held, and under which lease.

use std::time::{Duration, Instant};

/// A delivery that is not settled.
#[derive(Debug, Clone)]
pub(super) struct Held<K> {
    pub(super) key: K,
    pub(super) bytes: usize,
    pub(super) delivered: u64,
    /// When the message was first received.
    since: Instant,
    /// When its lease began, or was renewed.
    renewed: Instant,
    /// Whether it is on its way to the dead letters.
    pub(super) lettering: bool,
}

impl<K> Held<K> {
    pub(super) const fn new(now: Instant, key: K, bytes: usize, delivered: u64) -> Self {
        Self { key, bytes, delivered, since: now, renewed: now, lettering: false }
    }

    /// The server has delivered it again: the newer lease counts, and so does the newer name.
    pub(super) fn again(&mut self, now: Instant, key: K, delivered: u64) {
        if delivered >= self.delivered {
            (self.key, self.delivered, self.renewed) = (key, delivered, now);
        }
    }
}

/// How long leases last, and when they are renewed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    ack_wait: Duration,
    longest_hold: Duration,
}

impl Lease {
    pub(super) fn new(ack_wait: Duration, longest_hold: Option<Duration>) -> Self {
        Self { ack_wait, longest_hold: longest_hold.unwrap_or(ack_wait.saturating_mul(10)) }
    }

    /// Whether the message may be somebody else's. The server's clock began earlier than ours, by the way that the message had to
    /// go: a sixth is left for that.
    pub(super) fn is_over<K>(self, now: Instant, held: &Held<K>) -> bool {
        now.saturating_duration_since(held.renewed) >= self.ack_wait - self.ack_wait / 6
    }

    /// Renews it, if that is due. With a look every twelfth of `ack_wait`, nothing gets older than a third of it.
    pub(super) fn renew<K>(self, now: Instant, held: &mut Held<K>) -> bool {
        let kept = now.saturating_duration_since(held.since) < self.longest_hold;
        let is_due = now.saturating_duration_since(held.renewed) >= self.ack_wait / 4;
        let renews = kept && is_due && !self.is_over(now, held);
        if renews {
            held.renewed = now;
        }
        renews
    }

    /// For how long a late acknowledgement is remembered.
    pub(super) fn memory(self) -> Duration {
        self.ack_wait.saturating_mul(2)
    }

    fn interval(self) -> Duration {
        (self.ack_wait / 12).max(Duration::from_millis(1))
    }
}

/// When the leases are looked at: a few times in `ack_wait`, however many there are, and never while there are none.
#[derive(Debug)]
pub(super) struct Renewals {
    next: Option<Instant>,
}

impl Renewals {
    pub(super) const fn new() -> Self {
        Self { next: None }
    }

    /// Something is held, from now on at the latest.
    pub(super) fn arm(&mut self, now: Instant, lease: Lease) {
        self.next.get_or_insert(now + lease.interval());
    }

    pub(super) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether it is time for a look at what is held.
    pub(super) fn is_time(&mut self, now: Instant, lease: Lease, is_empty: bool) -> bool {
        let is_time = !is_empty && self.next.is_some_and(|next| next <= now);
        if is_time {
            self.next = Some(now + lease.interval());
        } else if is_empty {
            self.next = None;
        }
        is_time
    }
}
