//! A lane per priority, with a bound on starvation.

use std::collections::VecDeque;
use std::time::Instant;

use super::tag::Tag;
use crate::strategy::Priority;

/// Every delivery of this number is the oldest item, whatever its priority.
const FAIRNESS: u32 = 16;

#[derive(Debug)]
pub(super) struct Lanes<T> {
    lanes: [Lane<T>; Priority::COUNT],
    /// Deliveries since the oldest item last had its turn.
    turn: u32,
}

#[derive(Debug)]
struct Lane<T> {
    queue: VecDeque<Entry<T>>,
    weight: usize,
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    weight: usize,
    arrival: u64,
    deadline: Option<Instant>,
}

impl<T> Lanes<T> {
    pub(super) fn new() -> Self {
        Self { lanes: std::array::from_fn(|_| Lane { queue: VecDeque::new(), weight: 0 }), turn: 0 }
    }

    #[inline]
    pub(super) fn push(&mut self, item: T, tag: &Tag, weight: usize, arrival: u64) {
        let lane = &mut self.lanes[usize::from(tag.priority.as_u8())];
        lane.weight = lane.weight.saturating_add(weight);
        lane.queue.push_back(Entry { item, weight, arrival, deadline: tag.deadline });
    }

    pub(super) fn pop_next(&mut self) -> Option<(T, usize)> {
        let next = self.next()?;
        self.turn = if self.turn + 1 >= FAIRNESS { 0 } else { self.turn + 1 };
        self.lanes[next].pop(VecDeque::pop_front)
    }

    /// Takes the next item without a turn for it.
    pub(super) fn discard_next(&mut self) -> Option<(T, usize)> {
        let next = self.next()?;
        self.lanes[next].pop(VecDeque::pop_front)
    }

    pub(super) fn peek_deadline(&self) -> Option<Instant> {
        self.lanes[self.next()?].queue.front()?.deadline
    }

    pub(super) fn peek_weight(&self) -> Option<usize> {
        self.lanes[self.next()?].queue.front().map(|entry| entry.weight)
    }

    pub(super) fn pop_oldest(&mut self) -> Option<(T, usize)> {
        let oldest = self.oldest_lane()?;
        self.lanes[oldest].pop(VecDeque::pop_front)
    }

    pub(super) fn pop_last(&mut self) -> Option<(T, usize)> {
        self.lanes.iter_mut().find(|lane| !lane.queue.is_empty())?.pop(VecDeque::pop_back)
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        let lane = self.oldest_lane()?;
        self.lanes[lane].queue.front().map(|entry| entry.arrival)
    }

    pub(super) fn below(&self, priority: Priority) -> (usize, usize) {
        self.lanes[..usize::from(priority.as_u8())]
            .iter()
            .fold((0, 0_usize), |(items, weight), lane| (items + lane.queue.len(), weight.saturating_add(lane.weight)))
    }

    /// The lane whose head is delivered next.
    fn next(&self) -> Option<usize> {
        if self.turn == FAIRNESS - 1 {
            self.oldest_lane()
        } else {
            self.lanes.iter().rposition(|lane| !lane.queue.is_empty())
        }
    }

    fn oldest_lane(&self) -> Option<usize> {
        let heads = self.lanes.iter().enumerate().filter_map(|(i, lane)| Some((lane.queue.front()?.arrival, i)));
        heads.min().map(|(_, i)| i)
    }
}

impl<T> Lane<T> {
    fn pop(&mut self, end: fn(&mut VecDeque<Entry<T>>) -> Option<Entry<T>>) -> Option<(T, usize)> {
        let entry = end(&mut self.queue)?;
        self.weight = self.weight.saturating_sub(entry.weight);
        Some((entry.item, entry.weight))
    }
}
