//! What a channel is, as simply as it can be said: vectors, searched from end to end.

use std::collections::BTreeMap;

use backpressure_channel::Demand;
use backpressure_core::{DropReason, Oversize, State, Strategy, Watermarks};

use crate::steps::{Load, Rules};

/// Names an item.
pub(crate) type Id = usize;

/// Names one that may wait.
pub(crate) type Key = usize;

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is queued, or still its producer's.
    Open,
    Received,
    Returned,
    Lost(DropReason),
    /// It was dropped together with the future that was to send it.
    Cancelled,
}

/// The answer to an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Evicting(usize),
    Dropped(DropReason),
    Full,
    TimedOut,
    Closed,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) id: Id,
    pub(crate) load: Load,
    arrival: u64,
}

/// Where one that waits stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Waiting,
    Served,
    Dismissed,
}

/// Why one has no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSlot {
    Answered(Answer),
    /// It is to be offered again.
    Dismissed,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) rules: Rules,
    pub(crate) queue: Vec<Entry>,
    /// How many of the first are lent to the receiver.
    lent: usize,
    pub(crate) reserved: usize,
    pub(crate) reserved_weight: usize,
    /// The weights of the slots that are kept without an item.
    kept: Vec<usize>,
    /// In the order they came; those that are served or dismissed stay until they notice.
    pub(crate) line: Vec<(Key, usize, Standing)>,
    pub(crate) closed: bool,
    pub(crate) senders: usize,
    pub(crate) accepted: u64,
    pub(crate) fates: Vec<Fate>,
    /// How often each has been woken.
    pub(crate) wakes: BTreeMap<Key, usize>,
    pub(crate) demand: Option<Demand>,
    pub(crate) receiver_wakes: usize,
    /// Of those that have begun to wait, whether they began under a strategy that makes them give up at once.
    pub(crate) impatient: BTreeMap<Key, bool>,
    deliveries: usize,
    pressed_offers: u32,
}

impl Model {
    pub(crate) const fn new(rules: Rules, senders: usize) -> Self {
        Self {
            rules,
            queue: Vec::new(),
            lent: 0,
            reserved: 0,
            reserved_weight: 0,
            kept: Vec::new(),
            line: Vec::new(),
            closed: false,
            senders,
            accepted: 0,
            fates: Vec::new(),
            wakes: BTreeMap::new(),
            demand: None,
            receiver_wakes: 0,
            impatient: BTreeMap::new(),
            deliveries: 0,
            pressed_offers: 0,
        }
    }

    pub(crate) const fn blocks(&self) -> bool {
        matches!(self.rules.strategy, Strategy::Block { .. })
    }

    /// What counts of a weight.
    pub(crate) const fn counted(&self, weight: usize) -> usize {
        if self.rules.max_weight.is_some() { weight } else { 0 }
    }

    pub(crate) fn weight(&self) -> usize {
        self.queue.iter().map(|entry| self.counted(entry.load.weight)).sum()
    }

    pub(crate) fn utilization(&self) -> f64 {
        let items = (self.queue.len() + self.reserved) as f64 / self.rules.capacity as f64;
        let weight = (self.weight() + self.reserved_weight) as f64;
        self.rules.max_weight.map_or(items, |max| items.max(weight / max as f64))
    }

    pub(crate) fn state(&self) -> State {
        match (self.closed, self.nobody_in_line()) {
            (true, _) => State::Draining,
            (false, false) => State::Blocked,
            (false, true) => Watermarks::default().classify(self.utilization()),
        }
    }

    /// The arrival number of the oldest queued item.
    pub(crate) fn oldest(&self) -> u64 {
        self.queue.iter().map(|entry| entry.arrival).min().unwrap_or(self.accepted)
    }

    pub(crate) fn admits(&self, weight: usize) -> bool {
        self.rules.oversize == Oversize::AdmitAlone || self.counted(weight) <= self.rules.max_weight.unwrap_or(0)
    }

    pub(crate) fn fits(&self, weight: usize) -> bool {
        self.fits_beside(self.queue.len() + self.reserved, self.weight() + self.reserved_weight, weight)
    }

    fn fits_beside(&self, held: usize, held_weight: usize, weight: usize) -> bool {
        let light = held_weight + self.counted(weight) <= self.rules.max_weight.unwrap_or(0);
        held < self.rules.capacity && (light || (held == 0 && self.admits(weight)))
    }

    /// A slot that was granted is kept without an item.
    pub(crate) fn keep(&mut self, weight: usize) {
        self.kept.push(self.counted(weight));
        self.settle();
    }

    /// It is used, or given back.
    pub(crate) fn unkeep(&mut self, weight: usize) {
        let kept = self.kept.iter().position(|&kept| kept == self.counted(weight)).unwrap();
        self.kept.remove(kept);
    }

    /// Whether there would be no room for this weight even if nothing were queued.
    fn bars(&self, weight: usize) -> bool {
        !self.fits_beside(self.kept.len(), self.kept.iter().sum(), weight)
    }

    /// The item that is delivered next.
    fn next(&self) -> Option<usize> {
        let index = 0..self.queue.len();
        let oldests_turn = self.deliveries % 16 == 15;
        if !self.rules.ranked || oldests_turn {
            index.min_by_key(|&i| self.queue[i].arrival)
        } else {
            index.min_by_key(|&i| (std::cmp::Reverse(self.queue[i].load.rank), self.queue[i].arrival))
        }
    }

    pub(crate) fn nobody_waits(&self) -> bool {
        self.line.iter().all(|&(_, _, standing)| standing != Standing::Waiting)
    }

    /// Nobody waits for whom room may come.
    pub(crate) fn nobody_in_line(&self) -> bool {
        self.line.iter().all(|&(_, weight, standing)| standing != Standing::Waiting || self.bars(weight))
    }

    fn insert(&mut self, id: Id, load: Load) {
        self.queue.push(Entry { id, load, arrival: self.accepted });
        self.accepted += 1;
        self.serve();
        self.rouse();
        self.settle();
    }

    /// Whether there is something to do for a receiver with this demand.
    pub(crate) fn meets(&self, demand: Demand) -> bool {
        let (queued, weight) = (self.queue.len(), self.weight());
        queued >= demand.items.max(1)
            || (queued > 0 && (weight >= demand.weight || !self.nobody_waits()))
            || self.closed
    }

    fn rouse(&mut self) {
        if self.demand.is_some_and(|demand| self.meets(demand)) {
            self.demand = None;
            self.receiver_wakes += 1;
        }
    }

    /// One more waits, at the end of the line.
    pub(crate) fn join_line(&mut self, key: Key, weight: usize) {
        self.line.push((key, weight, Standing::Waiting));
        self.settle();
        self.rouse();
    }

    /// An offer that does not wait.
    pub(crate) fn offer(&mut self, id: Id, load: Load) -> Answer {
        if self.closed {
            return Answer::Closed;
        }
        if !self.nobody_in_line() {
            return Answer::Full;
        }
        if let Strategy::Sample { one_in } = self.rules.strategy
            && self.utilization() >= 0.5
        {
            self.pressed_offers += 1;
            if self.pressed_offers % one_in != 1 {
                return self.lose(id, DropReason::Sampled);
            }
        }
        if self.fits(load.weight) {
            self.insert(id, load);
            return Answer::Accepted;
        }
        match self.rules.strategy {
            Strategy::DropOldest => self.evict(id, load, |_| true, |entry| (0, entry.arrival)),
            Strategy::DropLowest => {
                let ranked = self.rules.ranked;
                let lower = |entry: &Entry| ranked && entry.load.rank < load.rank;
                self.evict(id, load, lower, |entry| (entry.load.rank, u64::MAX - entry.arrival))
            }
            Strategy::DropNewest | Strategy::Sample { .. } => self.lose(id, DropReason::Overflow),
            _ => Answer::Full,
        }
    }

    fn lose(&mut self, id: Id, reason: DropReason) -> Answer {
        self.fates[id] = Fate::Lost(reason);
        Answer::Dropped(reason)
    }

    /// Lets victims go, the least of them first, until the item fits; none of them if it would not fit even so. An
    /// oversize item evicts nobody.
    fn evict(
        &mut self,
        id: Id,
        load: Load,
        is_victim: impl Fn(&Entry) -> bool,
        order: impl Fn(&Entry) -> (u8, u64),
    ) -> Answer {
        if self.rules.max_weight.is_some_and(|max| load.weight > max) {
            return self.lose(id, DropReason::Overflow);
        }
        let before = self.queue.clone();
        let mut evicted = 0;
        while !self.fits(load.weight) {
            let victims = (self.lent..self.queue.len()).filter(|&i| is_victim(&self.queue[i]));
            let Some(victim) = victims.min_by_key(|&i| order(&self.queue[i])) else {
                self.queue = before;
                return self.lose(id, DropReason::Overflow);
            };
            self.queue.remove(victim);
            evicted += 1;
        }
        for entry in before.iter().filter(|entry| self.queue.iter().all(|left| left.id != entry.id)) {
            self.fates[entry.id] = Fate::Lost(DropReason::Evicted);
        }
        self.insert(id, load);
        Answer::Evicting(evicted)
    }

    /// Takes other rules; whether items are weighed or ranked stays. Answers whether it does.
    pub(crate) fn reconfigure(&mut self, rules: Rules) -> bool {
        if rules.max_weight.is_some() != self.rules.max_weight.is_some() || rules.expiring.0 != self.rules.expiring.0 {
            return false;
        }
        if self.rules.strategy != rules.strategy {
            self.pressed_offers = 0;
        }
        self.rules = Rules { ranked: self.rules.ranked, expiring: self.rules.expiring, ..rules };
        for place in 0..self.line.len() {
            let (key, weight, standing) = self.line[place];
            if standing == Standing::Waiting && !self.lets_wait(weight) {
                self.line[place].2 = Standing::Dismissed;
                *self.wakes.entry(key).or_default() += usize::from(!self.closed);
            }
        }
        self.settle();
        true
    }

    /// Whether one that wants this is made to wait for it.
    pub(crate) fn lets_wait(&self, weight: usize) -> bool {
        self.blocks() && self.admits(weight)
    }

    pub(crate) fn reserve(&mut self, weight: usize) {
        self.reserved += 1;
        self.reserved_weight += self.counted(weight);
    }

    pub(crate) fn release(&mut self, weight: usize) {
        self.reserved -= 1;
        self.reserved_weight -= self.counted(weight);
        self.settle();
    }

    /// Uses up a slot.
    pub(crate) fn fill(&mut self, id: Id, load: Load, reserved_weight: usize) -> Answer {
        self.reserved -= 1;
        self.reserved_weight -= self.counted(reserved_weight);
        let answer = if self.closed {
            Answer::Closed
        } else if self.counted(load.weight) <= self.counted(reserved_weight) || self.fits(load.weight) {
            self.insert(id, load);
            Answer::Accepted
        } else {
            Answer::Full
        };
        self.settle();
        answer
    }

    /// Serves the first in line if there is room.
    fn serve(&mut self) -> bool {
        let is_next = |waiter: &&(Key, usize, Standing)| waiter.2 == Standing::Waiting && !self.bars(waiter.1);
        let Some(&(key, weight, _)) = self.line.iter().find(is_next) else { return false };
        let served = !self.closed && self.fits(weight);
        if served {
            self.reserve(weight);
            self.line.iter_mut().filter(|waiter| waiter.0 == key).for_each(|waiter| waiter.2 = Standing::Served);
            *self.wakes.entry(key).or_default() += 1;
        }
        served
    }

    /// Serves those in line for as long as there is room.
    pub(crate) fn settle(&mut self) {
        while self.serve() {}
    }

    pub(crate) fn take_next(&mut self) -> Option<Entry> {
        let entry = self.queue.remove(self.next()?);
        self.deliveries += 1;
        Some(entry)
    }

    /// Takes out up to so many items, up to so much weight or one.
    pub(crate) fn take(&mut self, max: usize, max_weight: usize, fate: Fate) -> Vec<Id> {
        let (mut taken, mut weight) = (Vec::new(), 0);
        while taken.len() < max
            && let Some(next) = self.next()
        {
            weight += self.counted(self.queue[next].load.weight);
            if !taken.is_empty() && weight > max_weight {
                break;
            }
            taken.extend(self.take_next().map(|entry| entry.id));
        }
        for &id in &taken {
            self.fates[id] = fate;
        }
        self.lent = self.lent.saturating_sub(taken.len());
        self.settle();
        taken
    }

    /// Takes the next item for a receiver that takes one at a time, to which more are lent while that changes nothing.
    pub(crate) fn take_one(&mut self) -> Vec<Id> {
        let had = self.lent;
        let taken = self.take(1, usize::MAX, Fate::Received);
        let lends = matches!(self.rules.strategy, Strategy::Block { .. } | Strategy::Reject | Strategy::DropNewest);
        if !taken.is_empty() && had == 0 && lends && self.is_plain() && self.nobody_waits() {
            let held = self.queue.len() + self.reserved;
            let state = |held: usize| Watermarks::default().classify(held as f64 / self.rules.capacity as f64);
            let least = if self.closed { Some(0) } else { (0..=held).find(|&less| state(less) == state(held)) };
            self.lent = (held - least.unwrap_or(held)).min(self.queue.len());
        }
        taken
    }

    const fn is_plain(&self) -> bool {
        !self.rules.ranked && self.rules.max_weight.is_none()
    }

    pub(crate) fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.receiver_wakes += usize::from(self.demand.take().is_some());
        for (key, ..) in self.line.iter().filter(|&&(_, _, standing)| standing == Standing::Waiting) {
            *self.wakes.entry(*key).or_default() += 1;
        }
    }

    pub(crate) fn sender_leaves(&mut self) {
        self.senders -= 1;
        if self.senders == 0 {
            self.close();
        }
    }
}
