//! Levels by tenant: whoever calls most goes last.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use backpressure_core::limit::{Criticality, Level, Usage};
use backpressure_rt::lock;
use backpressure_rt::sync::Mutex;

use super::classify::{Class, Classify};
use crate::hash::hash_of;

/// The levels of tenants by how much they call. Whoever makes more than half as many of the recent calls as the heaviest tenant has
/// rank 2, more than a quarter as many rank 1, and all others rank 0, as has everybody with less than 1 in 64 of the calls.
///
/// Under a flood by one tenant the others keep what they had. The flooder is the only one of its rank, so the
/// [`Threshold`](backpressure_core::limit::Threshold) falls on it alone: it gets what the others leave. A rank by a hash of the tenant
/// ([`Level::of_tenant`]) cannot protect anybody like that. It knows nothing of usage, so half of the tenants are ranked behind
/// the flooder and are refused before it.
///
/// All calls count, those that are refused, too: a tenant that calls more because it is refused does not move up by it. What is
/// known is about the last few thousand calls, and about tenants that make at least 1 in 64 of them; all others are
/// small. See [`Usage`]. A tenant that can call under many names is many small ones: use names that it cannot choose.
///
/// Clones share what they know. It takes a lock for each call, for the time it takes to look through 64 numbers.
///
/// ```
/// use backpressure_core::limit::Criticality;
/// use backpressure_tower::TenantLevels;
///
/// let tenants = TenantLevels::new();
/// let levels: Vec<_> = (0..100).map(|n| tenants.level(&["flood", "flood", "quiet"][n % 3], Criticality::Critical)).collect();
/// let (flood, quiet) = (levels[97], levels[98]);
/// assert!(quiet < flood, "the quiet one is more important: {quiet:?} {flood:?}");
/// ```
#[derive(Clone, Default)]
pub struct TenantLevels {
    usage: Arc<Mutex<Usage>>,
}

impl TenantLevels {
    /// Levels that know of nobody yet: all tenants are alike.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a call of this tenant, and answers its level in that class.
    pub fn level<T: Hash + ?Sized>(&self, tenant: &T, criticality: Criticality) -> Level {
        let key = hash_of(tenant);
        let mut usage = lock(&self.usage);
        usage.note(key);
        let (share, heaviest) = (usage.share(key), usage.heaviest());
        drop(usage);
        Level::new(criticality, rank(share, heaviest))
    }
}

/// A share that is not known to be one is none.
const KNOWN: f64 = 1.0 / 64.0;

/// Few ranks, or tenants that call alike would be told apart by chance, and some of them refused for it.
fn rank(share: f64, heaviest: f64) -> u8 {
    if share < KNOWN {
        return 0;
    }
    u8::from(share * 2.0 > heaviest) + u8::from(share * 4.0 > heaviest)
}

impl fmt::Debug for TenantLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantLevels").finish_non_exhaustive()
    }
}

/// Made by [`ShedLayer::tenant`](super::ShedLayer::tenant).
#[derive(Debug, Clone)]
pub struct ByTenant<C, F> {
    pub(super) rest: C,
    pub(super) tenant: F,
    pub(super) levels: TenantLevels,
}

impl<Req, C: Classify<Req>, T: Hash, F: Fn(&Req) -> T> Classify<Req> for ByTenant<C, F> {
    fn key(&self, request: &Req) -> Option<u64> {
        self.rest.key(request)
    }

    fn classify(&self, request: &Req) -> Class {
        match self.rest.classify(request) {
            Class::Bypass => Class::Bypass,
            Class::Call { level, wait_timeout } => {
                let level = self.levels.level(&(self.tenant)(request), level.criticality());
                Class::Call { level, wait_timeout }
            }
        }
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use super::super::Plain;
    use super::*;

    fn by_tenant() -> ByTenant<Plain, fn(&u64) -> u64> {
        ByTenant { rest: Plain, tenant: |tenant| *tenant, levels: TenantLevels::new() }
    }

    fn rank(classes: &impl Classify<u64>, tenant: u64) -> u8 {
        match classes.classify(&tenant) {
            Class::Call { level, .. } => level.rank(),
            Class::Bypass => panic!("nothing is exempt"),
        }
    }

    #[test]
    fn the_heaviest_tenant_goes_last_and_comes_back_when_it_is_calm() {
        let classes = by_tenant();
        for call in 0..10_000 {
            rank(&classes, if call % 2 == 0 { 0 } else { call % 20 });
        }
        let (flooder, others): (_, Vec<u8>) =
            (rank(&classes, 0), (1..20).step_by(2).map(|n| rank(&classes, n)).collect());
        assert_eq!((flooder, others), (2, vec![0; 10]));
        for call in 0..40_000 {
            rank(&classes.clone(), call % 20);
        }
        assert_eq!(rank(&classes, 0), rank(&classes, 1), "it is one of twenty again");
    }

    #[test]
    fn everybody_is_alike_where_nobody_is_heavy() {
        let classes = by_tenant();
        let ranks: Vec<_> = (0..20_000).map(|call| rank(&classes, call % 1000)).collect();
        assert!(ranks[1000..].iter().all(|&rank| rank == 0));
    }

    #[test]
    fn d6_the_only_tenant_has_the_last_rank_of_its_class() {
        let levels = TenantLevels::new();
        assert_eq!(levels.level("only", Criticality::Sheddable), Criticality::Sheddable.into(), "nothing is known yet");
        for _ in 0..1000 {
            levels.level("only", Criticality::Sheddable);
        }
        assert_eq!(levels.level("only", Criticality::Sheddable), Level::new(Criticality::Sheddable, 2));
    }
}
