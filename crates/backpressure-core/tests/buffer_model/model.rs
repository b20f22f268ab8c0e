//! A bounded buffer as a list of everything in it, in the order it came.

use std::time::{Duration, Instant};

use backpressure_core::{BackpressureConfig, DropReason, Oversize, Priority, State, Strategy, Tag, Watermarks};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) id: u64,
    pub(crate) tag: Tag,
    /// When somebody last looked at the clock before it came, or first did at all.
    pub(crate) seen: Option<Instant>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// In exchange for these.
    Accepted(Vec<u64>),
    Dropped(u64, DropReason),
    Full(u64),
    Closed(u64),
}

pub(crate) struct Model {
    /// With their arrival numbers.
    pub(crate) items: Vec<(u64, Item)>,
    /// The weights of the slots reserved.
    pub(crate) reserved: Vec<usize>,
    pub(crate) closed: bool,
    arrivals: u64,
    deliveries: u64,
    offers_under_pressure: u64,
    prioritized: bool,
    dated: bool,
    max_age: Option<Duration>,
    now: Option<Instant>,
    /// What has expired since somebody asked.
    pub(crate) expired: Vec<u64>,
    capacity: usize,
    max_weight: Option<usize>,
    oversize: Oversize,
    strategy: Strategy,
    watermarks: Watermarks,
}

impl Model {
    pub(crate) fn new(config: &BackpressureConfig, prioritized: bool, dated: bool) -> Self {
        Self {
            items: Vec::new(),
            reserved: Vec::new(),
            closed: false,
            arrivals: 0,
            deliveries: 0,
            offers_under_pressure: 0,
            prioritized,
            dated,
            max_age: config.max_age(),
            now: None,
            expired: Vec::new(),
            capacity: config.capacity(),
            max_weight: config.max_weight(),
            oversize: config.oversize(),
            strategy: config.strategy(),
            watermarks: config.watermarks(),
        }
    }

    /// Takes these bounds and this strategy; a new strategy begins a sample of its own.
    pub(crate) fn reconfigure(&mut self, config: &BackpressureConfig) {
        if self.strategy != config.strategy() {
            self.offers_under_pressure = 0;
        }
        self.capacity = config.capacity();
        self.max_weight = config.max_weight();
        self.oversize = config.oversize();
        self.strategy = config.strategy();
        self.watermarks = config.watermarks();
        self.max_age = config.max_age();
    }

    pub(crate) fn held(&self) -> usize {
        self.items.len() + self.reserved.len()
    }

    pub(crate) fn queued_weight(&self) -> u128 {
        self.items.iter().map(|(_, item)| self.counted(item.tag.weight)).sum()
    }

    pub(crate) fn held_weight(&self) -> u128 {
        self.queued_weight() + self.reserved.iter().map(|&weight| self.counted(weight)).sum::<u128>()
    }

    pub(crate) fn oldest(&self) -> u64 {
        self.items.first().map_or(self.arrivals, |&(arrival, _)| arrival)
    }

    pub(crate) fn utilization(&self) -> f64 {
        let items = self.held() as f64 / self.capacity as f64;
        self.max_weight.map_or(items, |max| items.max(self.held_weight() as f64 / max as f64))
    }

    pub(crate) fn offer(&mut self, item: Item) -> Answer {
        if self.closed {
            return Answer::Closed(item.id);
        }
        if let Strategy::Sample { one_in } = self.strategy
            && self.watermarks.classify(self.utilization()) != State::Normal
        {
            let skipped = self.offers_under_pressure % u64::from(one_in) != 0;
            self.offers_under_pressure += 1;
            if skipped {
                return Answer::Dropped(item.id, DropReason::Sampled);
            }
        }
        if self.fits(item.tag.weight) {
            self.enter(item);
            return Answer::Accepted(vec![]);
        }
        match self.strategy {
            Strategy::DropOldest => self.exchange(item, |_| true, |items| (!items.is_empty()).then_some(0)),
            Strategy::DropLowest if self.prioritized => {
                self.exchange(item, |other| other.tag.priority < item.tag.priority, newest_of_the_lowest)
            }
            strategy if strategy.is_lossy() => Answer::Dropped(item.id, DropReason::Overflow),
            _ => Answer::Full(item.id),
        }
    }

    /// Gives up what `victim` picks among the `candidates` until there is room, if that makes room at all.
    fn exchange(
        &mut self,
        item: Item,
        candidate: impl Fn(&Item) -> bool,
        victim: impl Fn(&[(u64, Item)]) -> Option<usize>,
    ) -> Answer {
        let before = self.items.clone();
        self.items.retain(|(_, other)| !candidate(other));
        let hopeless = !self.fits(item.tag.weight) || self.is_oversize(item.tag.weight);
        self.items = before;
        if hopeless {
            return Answer::Dropped(item.id, DropReason::Overflow);
        }
        let mut victims = Vec::new();
        while !self.fits(item.tag.weight) {
            let index = victim(&self.items).expect("there are candidates left");
            victims.push(self.items.remove(index).1.id);
        }
        self.enter(item);
        Answer::Accepted(victims)
    }

    pub(crate) fn reserve(&mut self, weight: usize) -> bool {
        let reserves = !self.closed && self.fits(weight);
        if reserves {
            self.reserved.push(weight);
        }
        reserves
    }

    /// Fills the slot that was reserved first.
    pub(crate) fn fill(&mut self, item: Item) -> Answer {
        let reserved = self.reserved.remove(0);
        if self.closed {
            Answer::Closed(item.id)
        } else if self.counted(item.tag.weight) <= self.counted(reserved) || self.fits(item.tag.weight) {
            self.enter(item);
            Answer::Accepted(vec![])
        } else {
            Answer::Full(item.id)
        }
    }

    /// Gives the slot back that was reserved last.
    pub(crate) fn release(&mut self) -> Option<usize> {
        self.reserved.pop()
    }

    /// It is `now`, or later if it was before.
    pub(crate) fn expire(&mut self, now: Instant) {
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        self.items.iter_mut().for_each(|(_, item)| item.seen = item.seen.or(Some(now)));
        let max_age = self.max_age.unwrap_or(Duration::MAX);
        let is_old = |item: &Item| item.seen.is_some_and(|seen| now.duration_since(seen) >= max_age);
        let (old, rest) = self.items.iter().partition(|(_, item)| is_old(item));
        self.items = rest;
        self.expired.extend(Vec::into_iter(old).map(|(_, item): (u64, Item)| item.id));
        self.skip();
    }

    /// What is next and past its deadline has expired.
    fn skip(&mut self) {
        while let (true, Some(now), Some(next)) = (self.dated, self.now, self.next()) {
            if self.items[next].1.tag.deadline.is_none_or(|deadline| deadline > now) {
                break;
            }
            self.expired.push(self.items.remove(next).1.id);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<u64> {
        self.skip();
        let next = self.next()?;
        self.deliveries += 1;
        Some(self.items.remove(next).1.id)
    }

    pub(crate) fn pop_many(&mut self, max_items: usize, max_weight: usize) -> Vec<u64> {
        let (mut out, mut weight) = (Vec::new(), 0);
        while out.len() < max_items {
            self.skip();
            let Some(next) = self.next() else { break };
            weight += self.counted(self.items[next].1.tag.weight);
            if !out.is_empty() && weight > max_weight as u128 {
                break;
            }
            out.extend(self.pop());
        }
        out
    }

    fn next(&self) -> Option<usize> {
        if !self.prioritized || self.deliveries % 16 == 15 {
            return (!self.items.is_empty()).then_some(0);
        }
        let highest = self.items.iter().map(|(_, item)| item.tag.priority).max()?;
        self.items.iter().position(|(_, item)| item.tag.priority == highest)
    }

    fn fits(&self, weight: usize) -> bool {
        let Some(max) = self.max_weight else { return self.held() < self.capacity };
        let alone = self.held() == 0 && self.oversize == Oversize::AdmitAlone;
        self.held() < self.capacity && (self.held_weight() + self.counted(weight) <= max as u128 || alone)
    }

    fn is_oversize(&self, weight: usize) -> bool {
        self.max_weight.is_some_and(|max| weight > max)
    }

    fn enter(&mut self, item: Item) {
        let item = Item { seen: self.now, ..item };
        self.items.push((self.arrivals, item));
        self.arrivals += 1;
    }

    fn counted(&self, weight: usize) -> u128 {
        if self.max_weight.is_some() { weight as u128 } else { 0 }
    }
}

fn newest_of_the_lowest(items: &[(u64, Item)]) -> Option<usize> {
    let lowest: Priority = items.iter().map(|(_, item)| item.tag.priority).min()?;
    items.iter().rposition(|(_, item)| item.tag.priority == lowest)
}
