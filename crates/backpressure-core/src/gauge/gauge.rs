//! The gauge: a shared handle that reads the instruments.

use std::sync::Arc;

use super::shared::Shared;
use super::snapshot::Snapshot;
use crate::state::State;

/// How close to the edge a part is. Cheap to clone, shared, readable from anywhere.
///
/// [`state`](Self::state) is one relaxed atomic load. No reading takes a lock that the part itself needs.
#[derive(Debug, Clone)]
pub struct Gauge {
    parts: Parts,
}

#[derive(Debug, Clone)]
enum Parts {
    One(Arc<Shared>),
    Several(Arc<[Arc<Shared>]>),
}

impl Gauge {
    pub(crate) const fn of(shared: Arc<Shared>) -> Self {
        Self { parts: Parts::One(shared) }
    }

    /// A gauge of several parts: its state and its utilization are those of the worst one, its numbers their sum.
    /// Of no parts at all it is `Normal`.
    pub fn worst_of(gauges: impl IntoIterator<Item = Self>) -> Self {
        let parts: Vec<_> =
            gauges.into_iter().flat_map(|gauge| gauge.parts().map(Arc::clone).collect::<Vec<_>>()).collect();
        Self { parts: Parts::Several(parts.into()) }
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Arc<Shared>> {
        match &self.parts {
            Parts::One(part) => std::slice::from_ref(part),
            Parts::Several(parts) => parts,
        }
        .iter()
    }

    /// Whether both read the same parts.
    pub fn is_same(&self, other: &Self) -> bool {
        self.parts().map(Arc::as_ptr).eq(other.parts().map(Arc::as_ptr))
    }

    /// The state now.
    #[inline]
    pub fn state(&self) -> State {
        match &self.parts {
            Parts::One(part) => part.fill.state(),
            Parts::Several(parts) => parts.iter().map(|part| part.fill.state()).max().unwrap_or_default(),
        }
    }

    /// The filled share of the tighter bound, 0 to 1. Above 1 only while one oversize item is held alone, or while more is held
    /// than a bound that was lowered allows.
    pub fn utilization(&self) -> f64 {
        self.parts().map(|part| part.utilization()).fold(0.0, f64::max)
    }

    /// Everything that is known, as of now. Of several parts: the sum of their counts, the worst of the rest.
    ///
    /// The first snapshot starts the counting of the time in each state, and the age of the oldest item is as exact as
    /// snapshots are frequent: instruments that nobody reads cost nothing.
    pub fn snapshot(&self) -> Snapshot {
        self.parts().map(|part| Snapshot::of(part)).reduce(Snapshot::merge).unwrap_or_default()
    }

    /// From now on, or from when the part first tells, the time is taken that it spends idle, busy and blocked:
    /// [`Snapshot::work`]. Before, that costs nothing.
    ///
    /// It is known of parts that tell: of a channel, whether its receiver waits for items; of a batching part, whether a
    /// flush is in flight. Of several parts together it is not known.
    pub fn time_work(&self) {
        self.parts().for_each(|part| part.work.time());
    }

    /// Says that what goes through this part goes on to that one: while this part works and a producer waits for room in that
    /// one, this is blocked. Both are [timed](Self::time_work) from now on.
    ///
    /// Which producer waits is not known. Where several parts feed one, they all count as blocked then, unless they are idle.
    pub fn feeds(&self, next: &Self) {
        for part in self.parts() {
            next.parts().for_each(|next| part.work.feeds(&next.work));
        }
    }
}
