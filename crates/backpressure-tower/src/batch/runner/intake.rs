//! The calls that wait with the runner until their batch is due, sorted into lanes.

use std::time::Instant;

use backpressure_rt::guarded;

use crate::batch::plan::{Hooks, LaneBatch, Lanes, Limits, Linger, QueuedCall, Sort};

/// Where calls gather for their batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gather {
    /// In the inbox, from which batches are taken. This is the usual case.
    Inbox,
    /// In lanes. Only an arrival that fills a lane is of interest at once.
    Lanes,
    /// In lanes, and every arrival is of interest at once, while batches can leave.
    LanesAtOnce,
}

pub(super) struct Intake<Req> {
    pub(super) gather: Gather,
    pub(super) lanes: Lanes<Req>,
    sort: Option<Box<dyn Sort<Req>>>,
    /// The lane of all calls, if there is one and they are not sorted.
    lane: Option<usize>,
}

impl<Req> Intake<Req> {
    pub(super) fn new<Resp>(limits: Limits, linger: Linger, hooks: &Hooks<Req, Resp>) -> Self {
        let by_request = hooks.sorting.is_some() || hooks.inspector.deadline.is_some();
        let gather = match (by_request || limits.quiet.is_some(), linger) {
            (true, _) => Gather::LanesAtOnce,
            (false, Linger::Never) => Gather::Inbox,
            (false, Linger::WhileBusy | Linger::Always) => Gather::Lanes,
        };
        let sort = hooks.sorting.as_ref().map(|make| make());
        Self { gather, lanes: Lanes::new(limits), sort, lane: None }
    }

    /// A call arrives in the lane of its key. False if the key panics.
    pub(super) fn push(&mut self, number: usize, call: QueuedCall<Req>, since: Instant, now: Instant) -> bool {
        let Some(sort) = &mut self.sort else {
            self.lane = Some(self.lanes.push(self.lane, number, call, since, now));
            return true;
        };
        let Ok(lane) = guarded(|| sort.find(&call.request)) else { return false };
        let found = self.lanes.push(lane, number, call, since, now);
        if lane.is_none() {
            sort.open(found);
        }
        true
    }

    /// A call leaves, if it is here. Tells whether it was.
    pub(super) fn remove(&mut self, number: usize) -> bool {
        let Some((_, emptied)) = self.lanes.remove(number) else { return false };
        self.close(emptied);
        true
    }

    /// A call whose deadline has passed by now leaves.
    pub(super) fn remove_expired(&mut self, now: Instant) -> Option<usize> {
        self.lanes.expired(now).filter(|&number| self.remove(number))
    }

    /// Takes the batch of the lane whose turn it is.
    pub(super) fn take(&mut self) -> Option<LaneBatch<Req>> {
        let batch = self.lanes.take()?;
        self.close(batch.emptied);
        Some(batch)
    }

    /// Nobody is left in this lane.
    fn close(&mut self, lane: Option<usize>) {
        match (lane, &mut self.sort) {
            (Some(lane), Some(sort)) => sort.close(lane),
            (Some(_), None) => self.lane = None,
            (None, _) => {}
        }
    }
}
