//! The lanes: which calls travel together, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use backpressure_core::FlushReason;
use backpressure_rt::{discard, guarded};

use super::call::QueuedCall;
use super::keys::Sort;
use super::schedule::Schedule;

/// Calls that wait for a batch, in lanes: the calls of a lane travel together, first come, first served.
///
/// A lane is *due* once it is full, or old enough, or quiet; due lanes take turns. What a batch holds is decided when it is
/// [taken](Self::take), not when its lane falls due: whoever comes while the inner service is busy may still join, and a
/// lane stays due even if a caller that made it full is gone.
///
/// Calls are known by number. The numbers are small, as they are used as indices.
pub(crate) struct Lanes<Req> {
    /// Most calls in a batch, at least 1, and most weight.
    max_items: usize,
    max_weight: Option<usize>,
    /// By call.
    waiting: Vec<Option<Waiting<Req>>>,
    /// By number; one without calls is free.
    lanes: Vec<Lane>,
    /// Knows the lane of each call, if there are several.
    sort: Option<Box<dyn Sort<Req>>>,
    /// How many calls have come.
    arrived: u64,
    schedule: Schedule,
    deadlines: BTreeSet<(Instant, usize)>,
    /// The latest time seen: it only grows, whatever the clock does.
    now: Option<Instant>,
}

/// When a lane is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most calls in a batch; at least 1.
    pub(crate) max_items: usize,
    /// Most weight in a batch.
    pub(crate) max_weight: Option<usize>,
    /// Longest wait of the first call of a lane. Zero: every lane is due.
    pub(crate) linger: Duration,
    /// Longest gap between arrivals.
    pub(crate) quiet: Option<Duration>,
    /// Most lanes that are not due.
    pub(crate) max_lanes: usize,
}

struct Waiting<Req> {
    call: QueuedCall<Req>,
    since: Instant,
    lane: usize,
    /// Its key in the lane.
    arrival: u64,
}

#[derive(Default)]
struct Lane {
    /// By arrival.
    calls: BTreeMap<u64, usize>,
    /// Wide enough for the sum of any weights.
    weight: u128,
}

/// Calls that are to go together.
pub(crate) struct Taken<Req> {
    pub(crate) calls: Vec<usize>,
    /// By the position of its call.
    pub(crate) requests: Vec<Req>,
    /// Why they go now.
    pub(crate) reason: FlushReason,
}

impl<Req> Lanes<Req> {
    pub(crate) fn new(limits: Limits, sort: Option<Box<dyn Sort<Req>>>) -> Self {
        Self {
            max_items: limits.max_items,
            max_weight: limits.max_weight,
            waiting: Vec::new(),
            lanes: Vec::new(),
            sort,
            arrived: 0,
            schedule: Schedule::new(limits.linger, limits.quiet, limits.max_lanes),
            deadlines: BTreeSet::new(),
            now: None,
        }
    }

    /// Adapts the limits; a lane that is due stays so, and one that is full now falls due.
    pub(crate) fn set_limits(&mut self, max_items: usize, linger: Duration) {
        let has_shrunk = max_items < self.max_items;
        self.max_items = max_items;
        self.schedule.set_linger(linger);
        if has_shrunk {
            self.look_again();
        }
    }

    /// Takes other limits but for the number of lanes, in the same way.
    pub(crate) fn reconfigure(&mut self, limits: Limits, now: Instant) {
        (self.max_items, self.max_weight) = (limits.max_items, limits.max_weight);
        self.schedule.reconfigure(limits.linger, limits.quiet);
        self.look_again();
        self.advance(now);
    }

    /// Lanes that wait and are full fall due.
    fn look_again(&mut self) {
        let Self { lanes, max_items, max_weight, schedule, .. } = self;
        schedule.look_again(|lane| fullness(lanes[lane].calls.len(), lanes[lane].weight, *max_items, *max_weight));
    }

    /// Whether nobody is in any lane.
    pub(crate) fn is_empty(&self) -> bool {
        self.schedule.is_empty()
    }

    /// A call arrives in its lane. `since` is when it came, `now` is now. False if its key panics: it is not here then.
    pub(crate) fn push(&mut self, number: usize, call: QueuedCall<Req>, since: Instant, now: Instant) -> bool {
        let now = self.pass(now);
        let sorted = self.sort.as_mut().map_or(Ok(0), |sort| guarded(|| sort.lane(&call.request)));
        let Ok(lane) = sorted else {
            discard(call);
            return false;
        };
        if lane >= self.lanes.len() {
            self.lanes.resize_with(lane + 1, Lane::default);
        }
        if self.lanes[lane].calls.is_empty() {
            self.schedule.open(lane, since);
        }
        if number >= self.waiting.len() {
            self.waiting.resize_with(number + 1, || None);
        }
        if let Some(deadline) = call.deadline {
            self.deadlines.insert((deadline, number));
        }
        let entry = &mut self.lanes[lane];
        entry.weight += call.weight as u128;
        self.arrived += 1;
        entry.calls.insert(self.arrived, number);
        self.waiting[number] = Some(Waiting { call, since, lane, arrival: self.arrived });
        self.schedule.arrived(lane, now, self.fullness(&self.lanes[lane]));
        true
    }

    /// A call leaves, if it is here, with its request.
    pub(crate) fn remove(&mut self, number: usize) -> Option<Req> {
        let waiting = self.waiting.get_mut(number)?.take()?;
        self.unlink(number, &waiting);
        if self.lanes[waiting.lane].calls.is_empty() {
            self.close(waiting.lane);
        }
        Some(waiting.call.request)
    }

    /// A call whose deadline has passed by now leaves.
    pub(crate) fn remove_expired(&mut self, now: Instant) -> Option<usize> {
        let &(_, number) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        self.remove(number).map(discard).map(|()| number)
    }

    /// Looks at the clock: lanes may fall due.
    pub(crate) fn advance(&mut self, now: Instant) {
        let now = self.pass(now);
        self.schedule.advance(now);
    }

    /// From now on every lane is due, because nothing follows.
    pub(crate) fn end(&mut self) {
        self.schedule.end();
    }

    /// The oldest lane is due, if none is yet, because somebody has nothing else to do.
    pub(crate) fn flush_oldest(&mut self) {
        self.schedule.flush_oldest();
    }

    /// Whether the batch that leaves next is as large as a batch may be; `None` if no lane is due.
    pub(crate) fn next_is_full(&self) -> Option<bool> {
        let lane = &self.lanes[self.schedule.next_due()?];
        Some(self.fullness(lane).is_some())
    }

    /// Takes the batch of the lane whose turn it is.
    pub(crate) fn take(&mut self) -> Option<Taken<Req>> {
        let (lane, due) = self.schedule.take()?;
        let reason = self.fullness(&self.lanes[lane]).unwrap_or(due);
        let count = self.lanes[lane].calls.len().min(self.max_items);
        let (mut calls, mut requests) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut weight, max_weight) = (0usize, self.max_weight);
        while calls.len() < count {
            let Some(number) = self.lanes[lane].first() else { break };
            let fits = |waiting: &mut Waiting<Req>| {
                let together = weight.checked_add(waiting.call.weight);
                calls.is_empty() || max_weight.is_none_or(|max| together.is_some_and(|weight| weight <= max))
            };
            let Some(waiting) = self.waiting[number].take_if(fits) else { break };
            self.unlink(number, &waiting);
            weight = weight.saturating_add(waiting.call.weight);
            calls.push(number);
            requests.push(waiting.call.request);
        }
        match self.lanes[lane].first().and_then(|number| self.waiting[number].as_ref()) {
            Some(first) => self.schedule.put_back(lane, first.since, self.fullness(&self.lanes[lane])),
            None => self.close(lane),
        }
        Some(Taken { calls, requests, reason })
    }

    /// When to [advance](Self::advance) or to look for [expired](Self::remove_expired) calls next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let expiry = self.deadlines.first().map(|&(deadline, _)| deadline);
        [self.schedule.poll_timeout(), expiry].into_iter().flatten().min()
    }

    /// How many more calls, and how much more weight, the only lane takes until it is full; 1 while nobody is in it.
    pub(crate) fn room(&self) -> (usize, usize) {
        let Some(lane) = self.lanes.first().filter(|lane| !lane.calls.is_empty()) else { return (1, 1) };
        let weight = usize::try_from(lane.weight).unwrap_or(usize::MAX);
        let left = |max: usize, have: usize| max.saturating_sub(have).max(1);
        (left(self.max_items, lane.calls.len()), left(self.max_weight.unwrap_or(usize::MAX), weight))
    }

    /// Takes a call that waits no more out of its lane.
    fn unlink(&mut self, number: usize, waiting: &Waiting<Req>) {
        if let Some(deadline) = waiting.call.deadline {
            self.deadlines.remove(&(deadline, number));
        }
        let lane = &mut self.lanes[waiting.lane];
        lane.weight -= waiting.call.weight as u128;
        lane.calls.remove(&waiting.arrival);
    }

    /// Nobody is left in this lane.
    fn close(&mut self, lane: usize) {
        self.schedule.close(lane);
        if let Some(sort) = &mut self.sort {
            sort.close(lane);
        }
    }

    /// By what this lane is full, if it is.
    fn fullness(&self, lane: &Lane) -> Option<FlushReason> {
        fullness(lane.calls.len(), lane.weight, self.max_items, self.max_weight)
    }

    /// The time it is, or the latest that was seen, if that is later.
    fn pass(&mut self, now: Instant) -> Instant {
        *self.now.insert(self.now.map_or(now, |before| before.max(now)))
    }
}

impl Lane {
    /// The call that has been here for the longest time.
    fn first(&self) -> Option<usize> {
        self.calls.values().next().copied()
    }
}

/// By what so many calls of this weight fill a batch, if they do.
pub(crate) fn fullness(calls: usize, weight: u128, max_items: usize, max_weight: Option<usize>) -> Option<FlushReason> {
    if calls >= max_items {
        Some(FlushReason::Full)
    } else if max_weight.is_some_and(|max| weight >= max as u128) {
        Some(FlushReason::Weight)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
