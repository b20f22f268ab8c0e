//! What the intake counts: lines, bad lines, events, and offers that were handed back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// How many different bad lines are remembered for the report; all are counted.
const REMEMBERED: usize = 20;

/// Counters shared by all producers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    lines: AtomicU64,
    blank: AtomicU64,
    bad: AtomicU64,
    events: AtomicU64,
    offered_again: AtomicU64,
    given_up: AtomicU64,
    too_late: AtomicU64,
    remembered: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    bad_lines: BTreeMap<(String, u64), BadLine>,
    broken: Vec<String>,
}

/// A line that is no event, and how often it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) why: String,
    pub(crate) times: u64,
}

/// The counters at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Intake {
    /// Lines read.
    pub(crate) lines: u64,
    /// Lines of nothing but white space, which NDJSON allows.
    pub(crate) blank: u64,
    /// Lines that are no events.
    pub(crate) bad: u64,
    /// Lines that became events.
    pub(crate) events: u64,
    /// Offers made again of events that had been handed back.
    pub(crate) offered_again: u64,
    /// Events handed back and not offered again.
    pub(crate) given_up: u64,
    /// Events handed back because the intake had ended.
    pub(crate) too_late: u64,
    /// Bad lines by where they came from and their number: the first [`REMEMBERED`].
    pub(crate) bad_lines: BTreeMap<(String, u64), BadLine>,
    /// Connections that broke, and why: the first [`REMEMBERED`].
    pub(crate) broken: Vec<String>,
}

impl Tally {
    pub(crate) fn line(&self) {
        self.lines.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn blank(&self) {
        self.blank.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn offered_again(&self) {
        self.offered_again.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn given_up(&self) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn too_late(&self) {
        self.too_late.fetch_add(1, Ordering::Relaxed);
    }

    /// Line `number` of `origin` is no event.
    pub(crate) fn bad(&self, origin: &str, number: u64, why: &dyn fmt::Display) {
        self.bad.fetch_add(1, Ordering::Relaxed);
        let mut remembered = self.remembered();
        let lines = &mut remembered.bad_lines;
        let key = (origin.to_owned(), number);
        if let Some(line) = lines.get_mut(&key) {
            line.times += 1;
        } else if lines.len() < REMEMBERED {
            lines.insert(key, BadLine { why: why.to_string(), times: 1 });
        }
    }

    /// The connection from `origin` broke; the lines before that are counted.
    pub(crate) fn broken(&self, origin: &str, why: &dyn fmt::Display) {
        let broken = &mut self.remembered().broken;
        if broken.len() < REMEMBERED {
            broken.push(format!("{origin}: {why}"));
        }
    }

    /// Lines read, and how many of them were bad.
    pub(crate) fn lines_and_bad(&self) -> (u64, u64) {
        (self.lines.load(Ordering::Relaxed), self.bad.load(Ordering::Relaxed))
    }

    /// The counters as they are now; final once every producer has ended.
    pub(crate) fn intake(&self) -> Intake {
        let remembered = self.remembered();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Intake {
            lines: read(&self.lines),
            blank: read(&self.blank),
            bad: read(&self.bad),
            events: read(&self.events),
            offered_again: read(&self.offered_again),
            given_up: read(&self.given_up),
            too_late: read(&self.too_late),
            bad_lines: remembered.bad_lines.clone(),
            broken: remembered.broken.clone(),
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Intake {
    /// Whether every line is a blank, bad or an event, and every offer `received` was an event's first or a further one.
    pub(crate) fn balances(&self, received: u64) -> bool {
        self.lines == self.blank + self.bad + self.events && received == self.events + self.offered_again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_of_a_file_read_twice_is_one_line_twice() {
        let tally = Tally::default();
        for _ in 0..2 {
            tally.bad("a.ndjson", 7, &"no");
            tally.bad("b.ndjson", 7, &"nor that");
        }
        let intake = tally.intake();
        assert_eq!((intake.bad, intake.bad_lines.len()), (4, 2));
        let line = BadLine { why: "no".to_owned(), times: 2 };
        assert_eq!(intake.bad_lines[&("a.ndjson".to_owned(), 7)], line);
    }

    #[test]
    fn a_million_bad_lines_are_counted_and_few_remembered() {
        let tally = Tally::default();
        (1..=1_000_000).for_each(|number| tally.bad("x", number, &"no"));
        let intake = tally.intake();
        assert_eq!((intake.bad, intake.bad_lines.len()), (1_000_000, REMEMBERED));
        assert_eq!(intake.bad_lines.keys().next_back(), Some(&("x".to_owned(), REMEMBERED as u64)));
    }

    #[test]
    fn the_books_balance_only_when_every_line_and_offer_is_accounted_for() {
        let tally = Tally::default();
        (0..4).for_each(|_| tally.line());
        tally.blank();
        tally.bad("x", 2, &"no");
        (0..2).for_each(|_| tally.event());
        tally.offered_again();
        assert!(tally.intake().balances(3));
        assert!(!tally.intake().balances(2));
        tally.line();
        assert!(!tally.intake().balances(3));
    }
}
