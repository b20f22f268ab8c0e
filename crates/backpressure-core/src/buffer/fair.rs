//! A queue per key. The queues are served in turn, and the longest one is where items are evicted.

mod queues;

use std::time::Instant;

use super::links::Links;
use super::tag::Tag;
use queues::Queues;

/// Items that are linked twice: with all others in the order they came, and with those of their key.
///
/// Every call takes constant time.
#[derive(Debug)]
pub(super) struct Fair<T> {
    entries: Vec<Entry<T>>,
    vacant: Vec<usize>,
    arrivals: Links,
    oldest: Option<usize>,
    queues: Queues,
}

#[derive(Debug)]
struct Entry<T> {
    item: Option<T>,
    weight: usize,
    arrival: u64,
    deadline: Option<Instant>,
    queue: usize,
    /// The next entry of the same queue, if there is one.
    next: usize,
}

impl<T> Fair<T> {
    /// With queues for at most so many keys, and one for all others. The longest queue is that of most items, or, if they are
    /// `weighed`, of most weight.
    pub(super) fn new(most_keys: usize, weighed: bool) -> Self {
        Self {
            entries: Vec::new(),
            vacant: Vec::new(),
            arrivals: Links::default(),
            oldest: None,
            queues: Queues::new(most_keys, weighed),
        }
    }

    #[inline(never)]
    pub(super) fn push(&mut self, item: T, tag: &Tag, weight: usize, arrival: u64) {
        let queue = self.queues.of(tag.key);
        let item = Some(item);
        let entry = Entry { item, weight, arrival, deadline: tag.deadline, queue, next: usize::MAX };
        let index = self.vacant.pop().unwrap_or(self.entries.len());
        match self.entries.get_mut(index) {
            Some(vacant) => *vacant = entry,
            None => self.entries.push(entry),
        }
        self.arrivals.append(&mut self.oldest, index);
        if let Some(last) = self.queues.push(queue, index, weight) {
            self.entries[last].next = index;
        }
    }

    /// The next item in turn.
    #[inline(never)]
    pub(super) fn pop_next(&mut self) -> Option<(T, usize)> {
        let queue = self.queues.serve()?;
        self.take(self.queues.head(queue))
    }

    /// Takes the next item in turn, and its key keeps its turn.
    #[inline(never)]
    pub(super) fn discard_next(&mut self) -> Option<(T, usize)> {
        self.take(self.queues.head(self.queues.next()?))
    }

    /// The item that came first.
    #[inline(never)]
    pub(super) fn pop_oldest(&mut self) -> Option<(T, usize)> {
        self.take(self.oldest?)
    }

    /// The first item of the longest queue, to make room for one of `key`: of its own queue if none is longer.
    #[inline]
    pub(super) fn pop_longest(&mut self, key: u32) -> Option<(T, usize)> {
        let queue = self.queues.longest(key)?;
        self.take(self.queues.head(queue))
    }

    /// Puts the first item of its own queue in the place of `item`, which has no weight and enters, if no queue is longer.
    /// Returns whether it is so.
    #[inline(always)]
    pub(super) fn exchange(&mut self, item: &mut T, tag: &Tag, arrival: u64) -> bool {
        let Some(queue) = self.queues.longest_of(tag.key) else { return false };
        let index = self.queues.head(queue);
        let entry = &mut self.entries[index];
        let Some(held) = &mut entry.item else { return false };
        std::mem::swap(held, item);
        (entry.arrival, entry.deadline) = (arrival, tag.deadline);
        let next = std::mem::replace(&mut entry.next, usize::MAX);
        self.arrivals.make_last(&mut self.oldest, index);
        if let Some(last) = self.queues.rotate(queue, next) {
            self.entries[last].next = index;
        }
        true
    }

    pub(super) fn peek_weight(&self) -> Option<usize> {
        self.peek().map(|entry| entry.weight)
    }

    pub(super) fn peek_deadline(&self) -> Option<Instant> {
        self.peek()?.deadline
    }

    /// The arrival number of the item that came first.
    #[inline]
    pub(super) fn oldest(&self) -> Option<u64> {
        Some(self.entries[self.oldest?].arrival)
    }

    fn peek(&self) -> Option<&Entry<T>> {
        Some(&self.entries[self.queues.head(self.queues.next()?)])
    }

    /// Takes out an entry that is the first of its queue.
    #[inline]
    fn take(&mut self, index: usize) -> Option<(T, usize)> {
        let entry = &mut self.entries[index];
        let item = entry.item.take()?;
        let (weight, queue, next) = (entry.weight, entry.queue, entry.next);
        let next_weight = self.entries.get(next).map_or(0, |entry| entry.weight);
        self.arrivals.remove(&mut self.oldest, index);
        self.queues.shift(queue, weight, next, next_weight);
        self.vacant.push(index);
        Some((item, weight))
    }
}
