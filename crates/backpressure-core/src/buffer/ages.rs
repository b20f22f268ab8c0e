//! How old queued items are, and which of them are too old.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// When the items of a buffer expire, and those that have.
///
/// Nothing is stored for an item that has no deadline of its own. Each look at the clock notes how many items had been
/// accepted by then, and an item counts as having come at the latest look before it. Since these ages follow the order of
/// arrival, one number says which items are too old.
#[derive(Debug)]
pub(super) struct Expiry<T> {
    max_age: Option<Duration>,
    /// Whether items have deadlines of their own.
    pub(super) dated: bool,
    /// The latest look.
    pub(super) now: Option<Instant>,
    /// How many items had been accepted by each look. The first is the look before the oldest item.
    looks: VecDeque<(u64, Instant)>,
    /// Items with a lower arrival number are too old.
    pub(super) stale: u64,
    /// What has expired and was not [taken out](crate::BoundedBuffer::take_expired) yet.
    pub(super) expired: Vec<T>,
}

impl<T> Expiry<T> {
    pub(super) fn new(max_age: Option<Duration>) -> Box<Self> {
        Box::new(Self { max_age, dated: false, now: None, looks: VecDeque::new(), stale: 0, expired: Vec::new() })
    }

    pub(super) const fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// Holds from the next look on, for what is queued as well.
    pub(super) const fn set_max_age(&mut self, max_age: Option<Duration>) {
        self.max_age = max_age;
    }

    /// It is `now`. So many items were accepted, and all that are held have an arrival number of at least `oldest`.
    pub(super) fn look(&mut self, now: Instant, accepted: u64, oldest: u64) {
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        let Some(max_age) = self.max_age else { return };
        if self.looks.is_empty() {
            self.looks.push_back((0, now));
        }
        match self.looks.back_mut() {
            Some((before, at)) if *before == accepted => *at = now,
            _ => self.looks.push_back((accepted, now)),
        }
        while let (Some(&(_, at)), Some(&(next, _))) = (self.looks.front(), self.looks.get(1)) {
            if now.saturating_duration_since(at) >= max_age {
                self.stale = next;
            } else if next > oldest {
                break;
            }
            self.looks.pop_front();
        }
    }

    /// When the oldest item is too old.
    pub(super) fn due(&self, oldest: u64) -> Option<Instant> {
        let look = self.looks.iter().take_while(|&&(before, _)| before <= oldest).last().or(self.looks.front());
        look?.1.checked_add(self.max_age?)
    }
}
