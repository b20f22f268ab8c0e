//! The items that are set aside: a lane per key, and all of them in order of arrival.

use std::mem;

/// The items of one key, as places in [`Waiting`].
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The first and the last.
    ends: Option<(usize, usize)>,
}

impl Lane {
    pub(super) const fn is_empty(&self) -> bool {
        self.ends.is_none()
    }
}

pub(super) struct Waiting<T> {
    places: Vec<Place<T>>,
    /// A place that is free, which knows the next one.
    vacant: Option<usize>,
    oldest: Option<usize>,
    newest: Option<usize>,
    len: usize,
    weight: usize,
    next_number: u64,
}

enum Place<T> {
    Taken(Entry<T>),
    Vacant(Option<usize>),
}

struct Entry<T> {
    item: T,
    weight: usize,
    number: u64,
    /// The next one of the same key.
    behind: Option<usize>,
    older: Option<usize>,
    newer: Option<usize>,
}

impl<T> Waiting<T> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), vacant: None, oldest: None, newest: None, len: 0, weight: 0, next_number: 0 }
    }

    pub(super) fn push(&mut self, lane: &mut Lane, item: T, weight: usize) {
        let (number, older) = (self.next_number, self.newest);
        let entry = Entry { item, weight, number, behind: None, older, newer: None };
        let place = self.settle_in(Place::Taken(entry));
        match older.and_then(|older| self.entry(older)) {
            Some(older) => older.newer = Some(place),
            None => self.oldest = Some(place),
        }
        self.newest = Some(place);
        let first = match lane.ends {
            Some((first, last)) => {
                if let Some(last) = self.entry(last) {
                    last.behind = Some(place);
                }
                first
            }
            None => place,
        };
        lane.ends = Some((first, place));
        self.len += 1;
        self.weight = self.weight.saturating_add(weight);
        self.next_number += 1;
    }

    fn settle_in(&mut self, entry: Place<T>) -> usize {
        let Some(place) = self.vacant else {
            self.places.push(entry);
            return self.places.len() - 1;
        };
        if let Place::Vacant(next) = mem::replace(&mut self.places[place], entry) {
            self.vacant = next;
        }
        place
    }

    fn entry(&mut self, place: usize) -> Option<&mut Entry<T>> {
        match self.places.get_mut(place) {
            Some(Place::Taken(entry)) => Some(entry),
            _ => None,
        }
    }

    /// The weight of the first item of a lane.
    pub(super) fn peek(&self, lane: &Lane) -> Option<usize> {
        match self.places.get(lane.ends?.0)? {
            Place::Taken(entry) => Some(entry.weight),
            Place::Vacant(_) => None,
        }
    }

    /// The first item of a lane, with its weight.
    pub(super) fn pop(&mut self, lane: &mut Lane) -> Option<(T, usize)> {
        let (first, last) = lane.ends?;
        let Place::Taken(entry) = mem::replace(self.places.get_mut(first)?, Place::Vacant(self.vacant)) else {
            return None;
        };
        self.vacant = Some(first);
        lane.ends = entry.behind.map(|second| (second, last));
        match entry.older.and_then(|older| self.entry(older)) {
            Some(older) => older.newer = entry.newer,
            None => self.oldest = entry.newer,
        }
        match entry.newer.and_then(|newer| self.entry(newer)) {
            Some(newer) => newer.older = entry.older,
            None => self.newest = entry.older,
        }
        self.len -= 1;
        // Weights saturate on the way in, so the last item takes all that is left along.
        self.weight = if self.len == 0 { 0 } else { self.weight.saturating_sub(entry.weight) };
        Some((entry.item, entry.weight))
    }

    pub(super) fn oldest_number(&self) -> Option<u64> {
        match self.places.get(self.oldest?)? {
            Place::Taken(entry) => Some(entry.number),
            Place::Vacant(_) => None,
        }
    }

    pub(super) const fn next_number(&self) -> u64 {
        self.next_number
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// Takes everything out, oldest first.
    pub(super) fn evacuate(&mut self) -> Vec<T> {
        let next_number = self.next_number;
        let mut places = mem::replace(self, Self { next_number, ..Self::new() });
        let mut items = Vec::with_capacity(places.len);
        while let Some(oldest) = places.oldest {
            let Place::Taken(entry) = mem::replace(&mut places.places[oldest], Place::Vacant(None)) else { break };
            places.oldest = entry.newer;
            items.push(entry.item);
        }
        items
    }
}
