//! Items that expire while their batch is open.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

/// When the items of the open batch expire, and those that have.
///
/// Nothing is stored for an item of weight 1 without a deadline. Each look at the clock notes how many items the batch had
/// by then, and an item counts as having come at the latest look before it.
#[derive(Debug)]
pub(super) struct Expiry<T> {
    max_age: Option<Duration>,
    /// The latest look.
    now: Option<Instant>,
    /// How many items the batch had at each look. The first is the look before the oldest item.
    looks: VecDeque<(usize, Instant)>,
    /// What was said of the first items. Those that follow are [`PLAIN`](Note::PLAIN).
    notes: Vec<Note>,
    /// No deadline passes before this one.
    earliest: Option<Instant>,
    /// What has expired and was not [taken out](super::BatchAccumulator::take_expired) yet.
    pub(super) expired: Vec<T>,
}

#[derive(Debug, Clone, Copy)]
struct Note {
    weight: usize,
    deadline: Option<Instant>,
}

impl Note {
    const PLAIN: Self = Self { weight: 1, deadline: None };
}

/// What is left of a batch once the expired items are gone.
pub(super) struct Left {
    pub(super) weight: usize,
    /// How many are gone that the clock had seen.
    pub(super) seen_gone: usize,
}

impl<T> Expiry<T> {
    pub(super) const fn new(max_age: Option<Duration>) -> Self {
        Self { max_age, now: None, looks: VecDeque::new(), notes: Vec::new(), earliest: None, expired: Vec::new() }
    }

    /// The next item, with this number, weighs so much and has this deadline.
    pub(super) fn note(&mut self, index: usize, weight: usize, deadline: Option<Instant>) {
        if weight == 1 && deadline.is_none() {
            return;
        }
        self.notes.resize(index, Note::PLAIN);
        self.notes.push(Note { weight, deadline });
        self.earliest = match (self.earliest, deadline) {
            (Some(earliest), Some(deadline)) => Some(earliest.min(deadline)),
            (earliest, deadline) => earliest.or(deadline),
        };
    }

    /// The batch is gone.
    #[cold]
    #[inline(never)]
    pub(super) fn begin_anew(&mut self) {
        self.notes.clear();
        self.earliest = None;
        let latest = self.looks.pop_back();
        self.looks.clear();
        self.looks.extend(latest.map(|(_, at)| (0, at)));
    }

    pub(super) fn has_passed(&self, deadline: Option<Instant>) -> bool {
        deadline.is_some_and(|deadline| self.now.is_some_and(|now| deadline <= now))
    }

    /// It is `now`, and the batch has so many items. Tells how many of them are too old: the first ones.
    pub(super) fn look(&mut self, now: Instant, items: usize) -> usize {
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        let Some(max_age) = self.max_age else { return 0 };
        if self.looks.is_empty() {
            self.looks.push_back((0, now));
        }
        match self.looks.back_mut() {
            Some((before, at)) if *before == items => *at = now,
            _ => self.looks.push_back((items, now)),
        }
        let mut stale = 0;
        while let (Some(&(_, at)), Some(&(next, _))) = (self.looks.front(), self.looks.get(1)) {
            if now.saturating_duration_since(at) >= max_age {
                stale = next;
            } else if next > 0 {
                break;
            }
            self.looks.pop_front();
        }
        stale
    }

    /// Takes out the first `stale` items, and those whose deadline has passed. `seen` of the items were seen by the clock.
    pub(super) fn sift(&mut self, items: &mut Vec<T>, stale: usize, seen: usize) -> Option<Left> {
        if stale == 0 && !self.has_passed(self.earliest) {
            return None;
        }
        let (notes, mut left) = (mem::take(&mut self.notes), Left { weight: 0, seen_gone: 0 });
        self.earliest = None;
        let room = items.capacity();
        let mut looks = 0;
        for (index, item) in mem::replace(items, Vec::with_capacity(room)).into_iter().enumerate() {
            looks = self.recount(looks, index, items.len());
            let Note { weight, deadline } = notes.get(index).copied().unwrap_or(Note::PLAIN);
            if index < stale || self.has_passed(deadline) {
                left.seen_gone += usize::from(index < seen);
                self.expired.push(item);
            } else {
                self.note(items.len(), weight, deadline);
                left.weight = left.weight.saturating_add(weight);
                items.push(item);
            }
        }
        self.recount(looks, usize::MAX, items.len());
        Some(left)
    }

    /// The looks from this one on that saw no more than `before` items saw so many of those that are left. Returns the next.
    fn recount(&mut self, from: usize, before: usize, left: usize) -> usize {
        let seen = self.looks.iter_mut().skip(from).take_while(|(items, _)| *items <= before);
        from + seen.map(|(items, _)| *items = left).count()
    }
}
