//! Places for calls that wait, taken without the lock as long as nobody stands in line for one.

use crate::sync::{AtomicUsize, Ordering};

/// How many places are taken, and whether anybody stands in line, in one word: so whoever gives one back either sees the
/// line, or has given it back before the first in line looked for the last time.
#[derive(Debug)]
pub(super) struct Places {
    /// Places taken, times two; plus one if there is a line.
    word: AtomicUsize,
    /// The word from which on nothing is left, without the line.
    full: usize,
}

const LINE: usize = 1;
const PLACE: usize = 2;

impl Places {
    /// Places for this many, or for half as many as can be counted.
    pub(super) fn new(capacity: usize) -> Self {
        Self { word: AtomicUsize::new(0), full: capacity.min(usize::MAX / PLACE - 1) * PLACE }
    }

    /// Takes places, unless there are not as many, or a line for them.
    #[inline]
    pub(super) fn try_take(&self, places: usize) -> bool {
        let is_room = |word: usize| word & LINE == 0 && (self.full - word) / PLACE >= places;
        let taken = |word: usize| is_room(word).then(|| word + places * PLACE);
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).is_ok()
    }

    /// Takes a place for the first in line.
    pub(super) fn take_in_line(&self) -> bool {
        let taken = |word: usize| ((word & !LINE) < self.full).then(|| word + PLACE);
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).is_ok()
    }

    /// Gives places back. Answers whether somebody in line is to be served.
    #[inline]
    pub(super) fn give_back(&self, places: usize) -> bool {
        self.word.fetch_sub(places * PLACE, Ordering::AcqRel) & LINE != 0
    }

    /// There is a line from now on.
    pub(super) fn open_line(&self) {
        self.word.fetch_or(LINE, Ordering::AcqRel);
    }

    /// There is none from now on.
    pub(super) fn close_line(&self) {
        self.word.fetch_and(!LINE, Ordering::AcqRel);
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use super::*;

    #[test]
    fn d3_no_more_are_taken_than_there_are() {
        let places = Places::new(2);
        assert!(places.try_take(1) && places.try_take(1) && !places.try_take(1) && !places.take_in_line());
        assert!(!places.give_back(2));
        assert!(places.try_take(1));
    }

    #[test]
    fn o4_nobody_overtakes_the_line() {
        let places = Places::new(2);
        assert!(places.try_take(1));
        places.open_line();
        assert!(!places.try_take(1));
        assert!(places.take_in_line());
        assert!(places.give_back(1), "somebody is to be served");
        places.close_line();
        assert!(places.try_take(1));
    }

    #[test]
    fn d6_the_largest_capacity_does_not_overflow() {
        let places = Places::new(usize::MAX);
        places.open_line();
        assert!(places.take_in_line() && places.give_back(1));
    }
}
