//! The requests that are out.

use std::collections::VecDeque;
use std::time::Instant;

/// Most requests of one worker that are out at a time. The consumer has places for 512 of all workers, unless it was set up with
/// other bounds.
const MOST: usize = 4;

#[derive(Debug)]
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) items: usize,
    pub(super) bytes: Option<usize>,
    /// When its end is no longer waited for.
    pub(super) unheard_at: Instant,
}

/// Requests that wait at the server, in the order in which they were sent. A message does not tell which of them it answers, so
/// what is known is how many they will bring together.
#[derive(Debug, Default)]
pub(super) struct Out {
    requests: VecDeque<Request>,
    left: usize,
    /// Whether a message came since the last one was sent.
    has_come: bool,
}

impl Out {
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Most messages that may still come.
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    pub(super) const fn has_come(&self) -> bool {
        self.has_come
    }

    /// Whether it is time for another one: half of the last one has come, or there is none. One with a bound in bytes is out alone:
    /// how much it brings is not known before.
    pub(super) fn has_place(&self) -> bool {
        self.requests
            .back()
            .is_none_or(|last| self.left <= last.items / 2 && last.bytes.is_none() && self.requests.len() < MOST)
    }

    pub(super) fn send(&mut self, request: Request) {
        self.left = self.left.saturating_add(request.items);
        self.has_come = false;
        self.requests.push_back(request);
    }

    pub(super) fn came(&mut self) {
        self.has_come = true;
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.requests.clear();
        }
    }

    /// A request ended; so many of its messages will not come, if that is known.
    pub(super) fn end(&mut self, number: u64, undelivered: Option<usize>) -> Option<Request> {
        let place = self.requests.iter().position(|request| request.number == number)?;
        let ended = self.requests.remove(place)?;
        self.left = self.left.saturating_sub(undelivered.unwrap_or(0).min(ended.items));
        self.at_most_what_is_asked_for();
        Some(ended)
    }

    pub(super) fn unheard_at(&self) -> Option<Instant> {
        self.requests.front().map(|request| request.unheard_at)
    }

    /// Gives up what is waited for no longer. Answers whether messages were to come that nobody will bring now.
    pub(super) fn give_up(&mut self, now: Instant) -> bool {
        while self.requests.front().is_some_and(|request| request.unheard_at <= now) {
            self.requests.pop_front();
        }
        let before = self.left;
        self.at_most_what_is_asked_for();
        self.left < before
    }

    fn at_most_what_is_asked_for(&mut self) {
        let asked = self.requests.iter().fold(0, |sum: usize, request| sum.saturating_add(request.items));
        self.left = self.left.min(asked);
        if self.left == 0 {
            self.requests.clear();
        }
    }
}
