//! The counts of items by fate.

use std::fmt;

use crate::offer::DropReason;

/// How many items met which fate, as of one instant.
///
/// `received` and `queued` are counted on their own, not derived, so [`balances`](Self::balances) is a real check:
/// received = delivered + rejected + dropped + evicted + failed + queued + in flight. All but `queued` and `in_flight` only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Offers made, whatever the answer.
    pub received: u64,
    /// Items the consumer took or, where outcomes are tracked, answered for.
    pub delivered: u64,
    /// Items handed back to their producer.
    pub rejected: u64,
    /// Items in the buffer.
    pub queued: u64,
    /// Items the consumer took and has not answered for yet. Always 0 where outcomes are not tracked.
    pub in_flight: u64,
    pub(crate) lost: [u64; DropReason::ALL.len()],
}

impl Counts {
    /// Items lost for this reason.
    pub const fn lost(&self, reason: DropReason) -> u64 {
        self.lost[reason as usize]
    }

    /// Items that were queued and had to make room.
    pub const fn evicted(&self) -> u64 {
        self.lost(DropReason::Evicted)
    }

    /// Items that the consumer failed on.
    pub const fn failed(&self) -> u64 {
        self.lost(DropReason::Failed)
    }

    /// Items lost for any other reason than an eviction or a failure.
    pub fn dropped(&self) -> u64 {
        let others = |reason: &DropReason| !matches!(reason, DropReason::Evicted | DropReason::Failed);
        sum(DropReason::ALL.into_iter().filter(others).map(|reason| self.lost(reason)))
    }

    /// Whether every item received has exactly one fate.
    pub fn balances(&self) -> bool {
        let fates = [self.delivered, self.rejected, self.queued, self.in_flight];
        self.received == sum(fates.into_iter().chain(self.lost))
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            received: sum([self.received, other.received]),
            delivered: sum([self.delivered, other.delivered]),
            rejected: sum([self.rejected, other.rejected]),
            queued: sum([self.queued, other.queued]),
            in_flight: sum([self.in_flight, other.in_flight]),
            lost: std::array::from_fn(|i| sum([self.lost[i], other.lost[i]])),
        }
    }
}

/// One line for a log: what was received, its fates, and each reason for which items were lost.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { received, delivered, rejected, queued, in_flight, .. } = self;
        write!(
            f,
            "{received} received: {delivered} delivered, {rejected} rejected, {queued} queued, {in_flight} in flight"
        )?;
        for reason in DropReason::ALL.into_iter().filter(|&reason| self.lost(reason) > 0) {
            write!(f, ", {} lost ({reason})", self.lost(reason))?;
        }
        Ok(())
    }
}

/// Stops at the top, where only a wrong report can lead.
pub(crate) fn sum(items: impl IntoIterator<Item = u64>) -> u64 {
    items.into_iter().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_for_a_log_names_each_reason_for_a_loss() {
        let mut counts = Counts { received: 5, delivered: 2, queued: 1, ..Counts::default() };
        counts.lost[DropReason::Closed as usize] = 2;
        let line = "5 received: 2 delivered, 0 rejected, 1 queued, 0 in flight, 2 lost (closed)";
        assert_eq!(counts.to_string(), line);
    }
}
