//! Which calls are to travel together, and from when on. A plain value: it reads no clock and runs nobody's code.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use backpressure_core::FlushReason;
use slab::Slab;

use super::links::{Line, Links, List};

/// Calls that wait for a batch, in lanes: the calls of a lane travel together, first come, first served.
///
/// A lane is *due* once it is full, or old enough, or quiet; due lanes take turns. What a batch holds is decided when it
/// [leaves](Self::take), not when its lane falls due: whoever comes while the inner service is busy may still join, and a
/// lane stays due even if a caller that made it full is gone.
///
/// Calls are known by number. The numbers are small, as they are used as indices.
#[derive(Debug)]
pub(super) struct Lanes<Req> {
    limits: Limits,
    /// By call.
    waiting: Vec<Option<Waiting<Req>>>,
    links: Links,
    lanes: Slab<Lane>,
    /// Lanes that are due, in the order in which they fell due.
    due: Line,
    /// The other lanes, by the time of their first calls.
    by_age: BTreeSet<(Instant, usize)>,
    /// The other lanes, by the time of their last calls, if that matters.
    by_arrival: BTreeSet<(Instant, usize)>,
    deadlines: BTreeSet<(Instant, usize)>,
    /// The latest time seen: it only grows, whatever the clock does.
    now: Option<Instant>,
    ending: bool,
}

/// When a lane is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most calls in a batch; at least 1.
    pub(super) max_items: usize,
    /// Most weight in a batch.
    pub(super) max_weight: Option<usize>,
    /// Longest wait of the first call of a lane. Zero: every lane is due.
    pub(super) linger: Duration,
    /// Longest gap between arrivals.
    pub(super) quiet: Option<Duration>,
    /// Most lanes that are not due.
    pub(super) max_lanes: usize,
}

/// A request, and what is to be known of it.
#[derive(Debug)]
pub(super) struct Ticket<Req> {
    pub(super) request: Req,
    pub(super) weight: usize,
    /// From when on it is not worth sending.
    pub(super) deadline: Option<Instant>,
}

#[derive(Debug)]
struct Waiting<Req> {
    ticket: Ticket<Req>,
    since: Instant,
    lane: usize,
}

#[derive(Debug)]
struct Lane {
    calls: List,
    /// Wide enough for the sum of any weights.
    weight: u128,
    /// When the first of them came, and when the last did.
    since: Instant,
    arrived: Instant,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// In no list yet.
    New,
    Waiting,
    Due(FlushReason),
}

/// A batch that leaves.
#[derive(Debug)]
pub(super) struct Departure<Req> {
    /// At least one; each has the request of the same position.
    pub(super) calls: Vec<usize>,
    pub(super) requests: Vec<Req>,
    pub(super) reason: FlushReason,
    /// The lane, if nobody is left in it: its number is free.
    pub(super) emptied: Option<usize>,
}

impl<Req> Lanes<Req> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: Vec::new(),
            links: Links::default(),
            lanes: Slab::new(),
            due: Line::default(),
            by_age: BTreeSet::new(),
            by_arrival: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            now: None,
            ending: false,
        }
    }

    /// Adapts the limits; a lane that is due stays so.
    pub(super) fn set_limits(&mut self, max_items: usize, linger: Duration) {
        self.limits.max_items = max_items;
        self.limits.linger = linger;
    }

    /// A call arrives in this lane, or in a new one, which is answered. `since` is when it came, `now` is now.
    #[inline]
    pub(super) fn arrive(
        &mut self,
        lane: Option<usize>,
        call: usize,
        ticket: Ticket<Req>,
        since: Instant,
        now: Instant,
    ) -> usize {
        let now = self.pass(now);
        let lane = lane.unwrap_or_else(|| self.open(since));
        if call >= self.waiting.len() {
            self.waiting.resize_with(call + 1, || None);
        }
        if let Some(deadline) = ticket.deadline {
            self.deadlines.insert((deadline, call));
        }
        let weight = ticket.weight;
        self.waiting[call] = Some(Waiting { ticket, since, lane });
        self.delist_arrival(lane);
        let entry = &mut self.lanes[lane];
        entry.weight += weight as u128;
        entry.arrived = now;
        self.links.push(&mut entry.calls, call);
        if !matches!(self.lanes[lane].standing, Standing::Due(_)) {
            self.judge(lane);
        }
        lane
    }

    /// A call leaves, if it is here. Answers its request, and the lane, if nobody is left in that: its number is free.
    pub(super) fn leave(&mut self, call: usize) -> Option<(Req, Option<usize>)> {
        let Waiting { ticket, lane, .. } = self.waiting.get_mut(call)?.take()?;
        if let Some(deadline) = ticket.deadline {
            self.deadlines.remove(&(deadline, call));
        }
        let entry = &mut self.lanes[lane];
        entry.weight -= ticket.weight as u128;
        self.links.remove(&mut entry.calls, call);
        let emptied = (self.lanes[lane].calls.len() == 0).then(|| self.close(lane));
        Some((ticket.request, emptied))
    }

    /// A call whose deadline has passed by now.
    pub(super) fn expired(&self, now: Instant) -> Option<usize> {
        self.deadlines.first().filter(|(deadline, _)| *deadline <= now).map(|&(_, call)| call)
    }

    /// Looks at the clock: lanes may fall due.
    pub(super) fn observe(&mut self, now: Instant) {
        let now = self.pass(now);
        while let Some(&(since, lane)) = self.by_age.first() {
            if !is_past(since, self.limits.linger, now) {
                break;
            }
            self.fall_due(lane, FlushReason::Linger);
        }
        let Some(quiet) = self.limits.quiet else { return };
        while let Some(&(arrived, lane)) = self.by_arrival.first() {
            if !is_past(arrived, quiet, now) {
                break;
            }
            self.fall_due(lane, FlushReason::Quiet);
        }
    }

    /// From now on every lane is due, because nothing follows.
    pub(super) fn end(&mut self) {
        self.ending = true;
        while let Some(&(_, lane)) = self.by_age.first() {
            self.fall_due(lane, FlushReason::End);
        }
    }

    /// The oldest lane is due, if none is yet, because somebody has nothing else to do.
    pub(super) fn urge(&mut self) {
        if let (None, Some(&(_, lane))) = (self.due.first(), self.by_age.first()) {
            self.fall_due(lane, FlushReason::Flush);
        }
    }

    /// Whether the batch that leaves next is as large as a batch may be; `None` if no lane is due.
    pub(super) fn next_is_whole(&self) -> Option<bool> {
        let lane = &self.lanes[self.due.first()?];
        Some(self.fullness(lane).is_some())
    }

    /// Takes the batch of the lane whose turn it is.
    pub(super) fn take(&mut self) -> Option<Departure<Req>> {
        let lane = self.due.pop()?;
        let standing = std::mem::replace(&mut self.lanes[lane].standing, Standing::New);
        let reason = match (self.fullness(&self.lanes[lane]), standing) {
            (Some(reason), _) | (None, Standing::Due(reason)) => reason,
            (None, Standing::New | Standing::Waiting) => FlushReason::Flush,
        };
        let count = self.lanes[lane].calls.len().min(self.limits.max_items);
        let (mut calls, mut requests) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut weight, max_weight) = (0usize, self.limits.max_weight);
        while calls.len() < self.limits.max_items {
            let Some(call) = self.lanes[lane].calls.first() else { break };
            let fits = |waiting: &mut Waiting<Req>| {
                let together = weight.checked_add(waiting.ticket.weight);
                calls.is_empty() || max_weight.is_none_or(|max| together.is_some_and(|weight| weight <= max))
            };
            let Some(Waiting { ticket, .. }) = self.waiting[call].take_if(fits) else { break };
            if let Some(deadline) = ticket.deadline {
                self.deadlines.remove(&(deadline, call));
            }
            let entry = &mut self.lanes[lane];
            self.links.remove(&mut entry.calls, call);
            entry.weight -= ticket.weight as u128;
            weight = weight.saturating_add(ticket.weight);
            calls.push(call);
            requests.push(ticket.request);
        }
        let first = self.lanes[lane].calls.first().and_then(|call| self.waiting[call].as_ref());
        let emptied = if let Some(first) = first {
            self.lanes[lane].since = first.since;
            self.judge(lane);
            None
        } else {
            self.lanes.remove(lane);
            Some(lane)
        };
        Some(Departure { calls, requests, reason, emptied })
    }

    /// When to [`observe`](Self::observe) or to look for [expired](Self::expired) calls next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let linger = self.by_age.first().and_then(|(since, _)| since.checked_add(self.limits.linger));
        let quiet = self.by_arrival.first().and_then(|(arrived, _)| arrived.checked_add(self.limits.quiet?));
        let expiry = self.deadlines.first().map(|&(deadline, _)| deadline);
        [linger, quiet, expiry].into_iter().flatten().min()
    }

    /// How many more calls, and how much more weight, the only lane takes until it is full; 1 without any lane.
    pub(super) fn appetite(&self) -> (usize, usize) {
        let Some((_, lane)) = self.lanes.iter().next() else { return (1, 1) };
        let weight = usize::try_from(lane.weight).unwrap_or(usize::MAX);
        let max_weight = self.limits.max_weight.unwrap_or(usize::MAX);
        let left = |max: usize, have: usize| max.saturating_sub(have).max(1);
        (left(self.limits.max_items, lane.calls.len()), left(max_weight, weight))
    }

    fn open(&mut self, since: Instant) -> usize {
        let lane = Lane { calls: List::default(), weight: 0, since, arrived: since, standing: Standing::New };
        self.lanes.insert(lane)
    }

    fn close(&mut self, lane: usize) -> usize {
        match self.lanes[lane].standing {
            Standing::New => {}
            Standing::Waiting => self.delist(lane),
            Standing::Due(_) => self.due.remove(lane),
        }
        self.lanes.remove(lane);
        lane
    }

    /// Finds a lane that is not due its place: due, if it is full or if all are, or else among those that wait.
    fn judge(&mut self, lane: usize) {
        if let Some(reason) = self.fullness(&self.lanes[lane]) {
            self.fall_due(lane, reason);
        } else if self.ending {
            self.fall_due(lane, FlushReason::End);
        } else if self.limits.linger.is_zero() {
            self.fall_due(lane, FlushReason::Linger);
        } else if self.lanes[lane].standing == Standing::New {
            self.enlist(lane);
        } else if self.limits.quiet.is_some() {
            self.by_arrival.insert((self.lanes[lane].arrived, lane));
        }
    }

    fn fullness(&self, lane: &Lane) -> Option<FlushReason> {
        if lane.calls.len() >= self.limits.max_items {
            Some(FlushReason::Full)
        } else if self.limits.max_weight.is_some_and(|max| lane.weight >= max as u128) {
            Some(FlushReason::Weight)
        } else {
            None
        }
    }

    fn fall_due(&mut self, lane: usize, reason: FlushReason) {
        if self.lanes[lane].standing == Standing::Waiting {
            self.delist(lane);
        }
        self.lanes[lane].standing = Standing::Due(reason);
        self.due.push(lane);
    }

    /// Lets a lane wait. One lane too many, and the oldest is due.
    fn enlist(&mut self, lane: usize) {
        let entry = &mut self.lanes[lane];
        entry.standing = Standing::Waiting;
        self.by_age.insert((entry.since, lane));
        if self.limits.quiet.is_some() {
            self.by_arrival.insert((entry.arrived, lane));
        }
        if self.by_age.len() > self.limits.max_lanes {
            if let Some(&(_, oldest)) = self.by_age.first() {
                self.fall_due(oldest, FlushReason::Flush);
            }
        }
    }

    fn delist(&mut self, lane: usize) {
        self.by_age.remove(&(self.lanes[lane].since, lane));
        self.delist_arrival(lane);
    }

    fn delist_arrival(&mut self, lane: usize) {
        if self.limits.quiet.is_some() {
            self.by_arrival.remove(&(self.lanes[lane].arrived, lane));
        }
    }

    fn pass(&mut self, now: Instant) -> Instant {
        *self.now.insert(self.now.map_or(now, |before| before.max(now)))
    }
}

fn is_past(start: Instant, wait: Duration, now: Instant) -> bool {
    start.checked_add(wait).is_some_and(|end| end <= now)
}

#[cfg(test)]
mod tests;
