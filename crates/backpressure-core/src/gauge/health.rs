//! The health of a part, derived from its snapshot.

use std::fmt;
use std::time::Duration;

use super::snapshot::Snapshot;
use crate::ledger::sum;
use crate::offer::DropReason;

/// How well a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Health {
    /// Nothing to do.
    #[default]
    Healthy,
    /// Worth a look before it gets worse.
    Warning,
    /// It is losing, or about to lose, time or items.
    Critical,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// The four signs of a part's health, each with its own verdict.
///
/// | sign | healthy | warning | critical |
/// |---|---|---|---|
/// | depth: utilization | below 50 % | 50 to 80 % | above 80 %, or above 50 % and growing |
/// | consumer: p99 of the flushes | stable | rising: at least × 1.25 | spiking: at least × 2 |
/// | producers: p99 of their wait | below 10 ms | 10 to 100 ms | above 100 ms |
/// | losses: dropped, evicted or failed items | none | some that expired, or that the strategy may lose | any others |
///
/// *Growing*, *rising* and *some* compare with an earlier snapshot of the same part; without one nothing grows or rises, and
/// losses count from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Vitals {
    /// How full the buffer is.
    pub depth: Health,
    /// How the consumer's latency develops.
    pub consumer: Health,
    /// How long producers wait.
    pub producers: Health,
    /// Whether items are lost.
    pub losses: Health,
}

impl Vitals {
    /// The worst of the four signs.
    pub fn worst(&self) -> Health {
        self.depth.max(self.consumer).max(self.producers).max(self.losses)
    }
}

impl Snapshot {
    /// Classifies this snapshot, in comparison with an earlier one of the same part if there is one.
    pub fn vitals(&self, earlier: Option<&Self>) -> Vitals {
        let grown = earlier.is_some_and(|earlier| self.counts.queued > earlier.counts.queued);
        let since = |lost: fn(&Self) -> u64| lost(self) - earlier.map_or(0, lost).min(lost(self));
        let (lost, expired) = (since(Self::lost), since(|snapshot| snapshot.counts.lost(DropReason::Expired)));
        Vitals {
            depth: match self.utilization {
                u if u < 0.5 => Health::Healthy,
                u if u <= 0.8 && !grown => Health::Warning,
                _ => Health::Critical,
            },
            consumer: trend(earlier.and_then(|earlier| earlier.flush.p99), self.flush.p99),
            producers: match self.producer_wait_p99.unwrap_or_default() {
                wait if wait < Duration::from_millis(10) => Health::Healthy,
                wait if wait <= Duration::from_millis(100) => Health::Warning,
                _ => Health::Critical,
            },
            losses: match lost {
                0 => Health::Healthy,
                _ if lost == expired || self.strategy.is_lossy() => Health::Warning,
                _ => Health::Critical,
            },
        }
    }

    /// The worst of the [`vitals`](Self::vitals).
    pub fn health(&self, earlier: Option<&Self>) -> Health {
        self.vitals(earlier).worst()
    }

    fn lost(&self) -> u64 {
        sum(self.counts.lost)
    }
}

fn trend(before: Option<Duration>, now: Option<Duration>) -> Health {
    let (Some(before), Some(now)) = (before, now) else { return Health::Healthy };
    if now >= before.saturating_mul(2) && !before.is_zero() {
        Health::Critical
    } else if now >= before.saturating_add(before / 4) && now > before {
        Health::Warning
    } else {
        Health::Healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::Strategy;

    fn snapshot(utilization: f64, queued: u64) -> Snapshot {
        let mut snapshot = Snapshot { utilization, ..Snapshot::default() };
        snapshot.counts.queued = queued;
        snapshot
    }

    #[test]
    fn verdicts_are_ordered_by_severity_and_padded_like_other_words() {
        assert!(Health::Healthy < Health::Warning && Health::Warning < Health::Critical);
        assert_eq!(format!("[{:>8}|{:<8}]", Health::Healthy, Health::Critical), "[ healthy|critical]");
    }

    #[test]
    fn depth_follows_the_table() {
        for (utilization, healthy) in [
            (0.0, Health::Healthy),
            (0.49, Health::Healthy),
            (0.5, Health::Warning),
            (0.8, Health::Warning),
            (0.81, Health::Critical),
            (f64::NAN, Health::Critical),
        ] {
            assert_eq!(snapshot(utilization, 1).health(None), healthy, "at {utilization}");
        }
        let earlier = snapshot(0.5, 50);
        assert_eq!(snapshot(0.6, 60).health(Some(&earlier)), Health::Critical, "above half and growing");
        assert_eq!(snapshot(0.6, 50).health(Some(&earlier)), Health::Warning);
        assert_eq!(snapshot(0.4, 60).health(Some(&earlier)), Health::Healthy, "growing below half is a queue at work");
    }

    #[test]
    fn the_consumer_is_judged_by_its_trend() {
        let with = |millis| {
            let mut snapshot = snapshot(0.0, 0);
            snapshot.flush.p99 = Some(Duration::from_millis(millis));
            snapshot
        };
        let verdict = |before, now| with(now).vitals(Some(&with(before))).consumer;
        assert_eq!(verdict(100, 124), Health::Healthy);
        assert_eq!(verdict(100, 125), Health::Warning);
        assert_eq!(verdict(100, 200), Health::Critical);
        assert_eq!(verdict(0, 0), Health::Healthy);
        assert_eq!(with(500).vitals(None).consumer, Health::Healthy);
    }

    #[test]
    fn producers_are_judged_by_their_wait() {
        for (millis, verdict) in
            [(9, Health::Healthy), (10, Health::Warning), (100, Health::Warning), (101, Health::Critical)]
        {
            let waited = Snapshot { producer_wait_p99: Some(Duration::from_millis(millis)), ..Snapshot::default() };
            assert_eq!(waited.vitals(None).producers, verdict, "after {millis} ms");
        }
    }

    #[test]
    fn losses_are_a_warning_only_where_the_strategy_may_lose() {
        let mut lossy = Snapshot { strategy: Strategy::DropOldest, ..Snapshot::default() };
        lossy.counts.lost[DropReason::Evicted as usize] = 3;
        assert_eq!(lossy.vitals(None).losses, Health::Warning);
        assert_eq!(lossy.vitals(Some(&lossy)).losses, Health::Healthy, "none since the earlier snapshot");
        let lossless = Snapshot { strategy: Strategy::block(), ..lossy };
        assert_eq!(lossless.vitals(None).losses, Health::Critical);
        let mut expiring = Snapshot { strategy: Strategy::block(), ..Snapshot::default() };
        expiring.counts.lost[DropReason::Expired as usize] = 3;
        assert_eq!(expiring.vitals(None).losses, Health::Warning, "only what was to expire does");
    }
}
