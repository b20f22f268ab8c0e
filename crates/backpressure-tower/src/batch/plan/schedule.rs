//! Which lane may go next, and when the others may: by age, by quiet, or because somebody says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use backpressure_core::FlushReason;

/// Lanes by number, each of them [new](Standing::New), waiting, or due. Due lanes take turns in the order in which they fell
/// due.
pub(super) struct Schedule {
    linger: Duration,
    /// Longest gap between arrivals.
    quiet: Option<Duration>,
    /// Most lanes that wait.
    max_waiting: usize,
    /// By lane.
    times: Vec<Times>,
    /// In the order in which they fell due.
    due: BTreeMap<u64, usize>,
    fell_due: u64,
    /// Lanes that wait, by the time of their first calls.
    by_age: BTreeSet<(Instant, usize)>,
    /// The same by the time of their last calls, if that matters.
    by_arrival: BTreeSet<(Instant, usize)>,
    ending: bool,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    /// When its first call came, and when its last one did.
    since: Instant,
    arrived: Instant,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// In no list.
    New,
    Waiting,
    /// With its key in the order of those that are.
    Due(u64, FlushReason),
}

impl Schedule {
    pub(super) fn new(linger: Duration, quiet: Option<Duration>, max_waiting: usize) -> Self {
        Self {
            linger,
            quiet,
            max_waiting,
            times: Vec::new(),
            due: BTreeMap::new(),
            fell_due: 0,
            by_age: BTreeSet::new(),
            by_arrival: BTreeSet::new(),
            ending: false,
        }
    }

    /// Adapts the linger; a lane that is due stays so.
    pub(super) fn set_linger(&mut self, linger: Duration) {
        self.linger = linger;
    }

    /// Takes another linger and another quiet; a lane that is due stays so.
    pub(super) fn reconfigure(&mut self, linger: Duration, quiet: Option<Duration>) {
        let arrivals = |&(_, lane): &(Instant, usize)| (self.times[lane].arrived, lane);
        self.by_arrival = if quiet.is_some() { self.by_age.iter().map(arrivals).collect() } else { BTreeSet::new() };
        (self.linger, self.quiet) = (linger, quiet);
    }

    /// Lanes that wait are due if there is a reason, the oldest first.
    pub(super) fn look_again(&mut self, full: impl Fn(usize) -> Option<FlushReason>) {
        let full: Vec<_> = self.by_age.iter().filter_map(|&(_, lane)| Some((lane, full(lane)?))).collect();
        full.into_iter().for_each(|(lane, reason)| self.fall_due(lane, reason));
    }

    /// Whether no lane is due and none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.by_age.is_empty()
    }

    /// There is a lane of this number from now on.
    pub(super) fn open(&mut self, lane: usize, since: Instant) {
        let times = Times { since, arrived: since, standing: Standing::New };
        if lane >= self.times.len() {
            self.times.resize(lane + 1, times);
        }
        self.times[lane] = times;
    }

    /// The number is free.
    pub(super) fn close(&mut self, lane: usize) {
        match self.times[lane].standing {
            Standing::New => {}
            Standing::Waiting => self.delist(lane),
            Standing::Due(key, _) => drop(self.due.remove(&key)),
        }
        self.times[lane].standing = Standing::New;
    }

    /// A call has come into this lane, which is `full` now if there is a reason.
    pub(super) fn arrived(&mut self, lane: usize, now: Instant, full: Option<FlushReason>) {
        self.delist_arrival(lane);
        self.times[lane].arrived = now;
        if !matches!(self.times[lane].standing, Standing::Due(..)) {
            self.place(lane, full);
        }
    }

    /// Some calls of a lane that was [taken](Self::take) have stayed; the first of them came then.
    pub(super) fn put_back(&mut self, lane: usize, since: Instant, full: Option<FlushReason>) {
        self.times[lane].since = since;
        self.place(lane, full);
    }

    /// Looks at the clock: lanes may fall due.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(&(_, lane)) = self.by_age.first().filter(|(since, _)| is_past(*since, self.linger, now)) {
            self.fall_due(lane, FlushReason::Linger);
        }
        let Some(quiet) = self.quiet else { return };
        while let Some(&(_, lane)) = self.by_arrival.first().filter(|(arrived, _)| is_past(*arrived, quiet, now)) {
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
    pub(super) fn flush_oldest(&mut self) {
        if let (None, Some(&(_, lane))) = (self.next_due(), self.by_age.first()) {
            self.fall_due(lane, FlushReason::Flush);
        }
    }

    /// The lane whose turn it is.
    pub(super) fn next_due(&self) -> Option<usize> {
        self.due.values().next().copied()
    }

    /// The same, and why it is due. It is in no list from then on.
    pub(super) fn take(&mut self) -> Option<(usize, FlushReason)> {
        let (_, lane) = self.due.pop_first()?;
        match std::mem::replace(&mut self.times[lane].standing, Standing::New) {
            Standing::Due(_, reason) => Some((lane, reason)),
            Standing::New | Standing::Waiting => None,
        }
    }

    /// When to [look at the clock](Self::advance) next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let linger = self.by_age.first().and_then(|(since, _)| since.checked_add(self.linger));
        let quiet = self.by_arrival.first().and_then(|(arrived, _)| arrived.checked_add(self.quiet?));
        [linger, quiet].into_iter().flatten().min()
    }

    /// Finds a lane that is not due its place: due, if it is full or if all are, or else among those that wait.
    fn place(&mut self, lane: usize, full: Option<FlushReason>) {
        let Times { since, arrived, standing } = self.times[lane];
        if let Some(reason) = full {
            self.fall_due(lane, reason);
        } else if self.ending {
            self.fall_due(lane, FlushReason::End);
        } else if self.linger.is_zero() {
            self.fall_due(lane, FlushReason::Linger);
        } else {
            if self.quiet.is_some() {
                self.by_arrival.insert((arrived, lane));
            }
            if standing == Standing::New {
                self.times[lane].standing = Standing::Waiting;
                self.by_age.insert((since, lane));
                if let Some(&(_, oldest)) = self.by_age.first().filter(|_| self.by_age.len() > self.max_waiting) {
                    self.fall_due(oldest, FlushReason::Flush);
                }
            }
        }
    }

    /// Puts a lane behind those that are due, for this reason.
    fn fall_due(&mut self, lane: usize, reason: FlushReason) {
        if self.times[lane].standing == Standing::Waiting {
            self.delist(lane);
        }
        self.fell_due += 1;
        self.times[lane].standing = Standing::Due(self.fell_due, reason);
        self.due.insert(self.fell_due, lane);
    }

    /// Takes a lane off the lists of those that wait.
    fn delist(&mut self, lane: usize) {
        self.by_age.remove(&(self.times[lane].since, lane));
        self.delist_arrival(lane);
    }

    /// Takes a lane off the list by last calls, if there is one.
    fn delist_arrival(&mut self, lane: usize) {
        if self.quiet.is_some() {
            self.by_arrival.remove(&(self.times[lane].arrived, lane));
        }
    }
}

/// Whether so long a wait, begun then, is over by now.
fn is_past(start: Instant, wait: Duration, now: Instant) -> bool {
    start.checked_add(wait).is_some_and(|end| end <= now)
}
