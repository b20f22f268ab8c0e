//! The fates of the items, as everybody but the ledger sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock};

use backpressure_core::{Counts, DropReason, Gauge};

use crate::plan::Plan;
use crate::support::{Log, Target};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    /// Given to the hook for failures.
    Failed,
    /// Given to the hook for losses.
    Lost(DropReason),
    /// Given back to its producer.
    HandedBack,
    /// In the report of the drain.
    Reported,
}

pub(crate) struct Fates {
    bounds: (u64, u64),
    gauge: OnceLock<Gauge>,
    last: Mutex<Counts>,
    fates: Mutex<BTreeMap<u32, Vec<Fate>>>,
    answered: Mutex<BTreeSet<u32>>,
    accepted: Mutex<BTreeSet<u32>>,
    /// Hooks must not panic, and what tasks panic about nobody hears: they write it here.
    wrongs: Log<String>,
}

impl Fates {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            bounds: (plan.capacity as u64, plan.most_out() as u64),
            gauge: OnceLock::new(),
            last: Mutex::default(),
            fates: Mutex::default(),
            answered: Mutex::default(),
            accepted: Mutex::default(),
            wrongs: Log::new(),
        }
    }

    pub(crate) fn watch(&self, gauge: Gauge) {
        assert!(self.gauge.set(gauge).is_ok());
    }

    pub(crate) fn add(&self, item: u32, fate: Fate) {
        self.fates.lock().unwrap().entry(item).or_default().push(fate);
        self.observe();
    }

    /// A producer has an answer about its item.
    pub(crate) fn answer(&self, item: u32, accepted: bool) {
        self.answered.lock().unwrap().insert(item);
        if accepted {
            self.accepted.lock().unwrap().insert(item);
        }
    }

    pub(crate) fn accepted(&self) -> BTreeSet<u32> {
        self.accepted.lock().unwrap().clone()
    }

    /// Looks at the ledger.
    pub(crate) fn observe(&self) -> Counts {
        let counts = self.gauge.get().map(|gauge| gauge.snapshot().counts).unwrap_or_default();
        let last = std::mem::replace(&mut *self.last.lock().unwrap(), counts);
        let grows = |count: fn(&Counts) -> u64| count(&counts) >= count(&last);
        let (queued, out) = self.bounds;
        let all_grow = grows(|counts| counts.received)
            && grows(|counts| counts.delivered)
            && grows(|counts| counts.rejected)
            && DropReason::ALL.iter().all(|&reason| counts.lost(reason) >= last.lost(reason));
        if !(counts.balances() && all_grow && counts.queued <= queued && counts.in_flight <= out) {
            self.wrongs.push(format!("{last:?}, then {counts:?}"));
        }
        counts
    }

    /// A barrier was passed that these were before. A flush without a copy takes its items with it.
    pub(crate) fn expect_settled(&self, items: &BTreeSet<u32>, target: &Target<u32>, copies: bool) {
        let (fates, delivered) = (self.all(target), target.batches().concat());
        for item in items {
            if !fates.contains_key(item) && (copies || !delivered.contains(item)) {
                self.wrongs.push(format!("{item} has no fate after a barrier"));
            }
        }
    }

    fn all(&self, target: &Target<u32>) -> BTreeMap<u32, Vec<Fate>> {
        let mut fates = self.fates.lock().unwrap().clone();
        for item in target.delivered() {
            fates.entry(item).or_default().push(Fate::Delivered);
        }
        fates
    }

    /// At the end: every item has one fate, and the ledger has the same.
    pub(crate) fn check(&self, target: &Target<u32>, copies: bool) {
        let counts = self.observe();
        let (fates, answered) = (self.all(target), self.answered.lock().unwrap().clone());
        assert!(fates.values().all(|fates| fates.len() == 1), "{fates:?}");
        assert!(fates.keys().all(|item| answered.contains(item)), "a dropped push did something");

        let out: BTreeSet<u32> = target.batches().concat().into_iter().collect();
        let mute: Vec<u32> = answered.iter().copied().filter(|item| !fates.contains_key(item)).collect();
        assert!(mute.iter().all(|item| !copies && out.contains(item)), "{mute:?} vanished");

        let has = |fate: Fate| fates.values().filter(|fates| fates[0] == fate).count() as u64;
        let told = |reason: DropReason| match reason {
            DropReason::Failed => has(Fate::Failed),
            DropReason::DrainDeadline => has(Fate::Lost(reason)) + has(Fate::Reported),
            _ => has(Fate::Lost(reason)),
        };
        assert_eq!((counts.queued, counts.in_flight), (0, 0));
        assert_eq!(counts.received, answered.len() as u64);
        assert_eq!(counts.delivered, has(Fate::Delivered));
        assert_eq!(counts.rejected, has(Fate::HandedBack));
        // Items that a flush took with it have been counted, and that is all that can be known of them.
        let silent = [DropReason::Failed, DropReason::Closed, DropReason::DrainDeadline];
        for reason in DropReason::ALL.into_iter().filter(|reason| copies || !silent.contains(reason)) {
            assert_eq!(counts.lost(reason), told(reason), "{reason}");
        }
        let lost: u64 = silent.iter().map(|&reason| counts.lost(reason)).sum();
        assert_eq!(lost, silent.map(told).iter().sum::<u64>() + mute.len() as u64);
        assert_eq!(self.wrongs.take(), Vec::<String>::new());
    }
}
