//! How much to ask for, and when.

use std::time::{Duration, Instant};

use super::out::{Out, Request};
use crate::config::{ConsumerRules, PullConfig};
use crate::engine::{Demand, End};

/// How long to leave a server alone that cannot serve a request now.
const PAUSE: Duration = Duration::from_millis(250);

/// How much longer than the server the end of a request is waited for.
const GRACE: Duration = Duration::from_secs(1);

/// What room there is for more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Deliveries that fit into the window.
    pub(super) window: usize,
    /// Deliveries that the server would give.
    pub(super) server: usize,
    /// Bytes that are held.
    pub(super) bytes: usize,
    /// Whether nothing is held.
    pub(super) is_empty: bool,
    /// Whether what follows waits for something to come.
    pub(super) is_wanted: bool,
}

/// The requests that are out, and what was learned from those before them.
#[derive(Debug)]
pub(super) struct Requests {
    next_number: u64,
    out: Out,
    paused: Option<Instant>,
    /// Since when nobody answers.
    unanswered: Option<Instant>,
    /// The next message did not fit beside this many bytes.
    too_large_beside: Option<usize>,
    batch: usize,
    expires: Duration,
    /// Most bytes of a request, as the consumer says.
    largest: Option<usize>,
    window: usize,
    window_bytes: Option<usize>,
    patience: Duration,
}

/// Whether a request that ended this way brought nothing, or whether all that are out end with it.
const fn is_refusal(end: End) -> bool {
    matches!(end, End::TooMany(_) | End::TooLong(_) | End::TooLarge(_) | End::Busy | End::Unanswered)
}

impl Requests {
    pub(super) fn new(config: &PullConfig, rules: &ConsumerRules) -> Self {
        Self {
            next_number: 0,
            out: Out::default(),
            paused: None,
            unanswered: None,
            too_large_beside: None,
            batch: config.batch.min(rules.max_batch.unwrap_or(usize::MAX)).max(1),
            expires: config.expires.min(rules.max_expires.unwrap_or(Duration::MAX)),
            largest: rules.max_bytes,
            window: config.window,
            window_bytes: config.window_bytes,
            patience: config.patience,
        }
    }

    pub(super) fn is_out(&self) -> bool {
        !self.out.is_empty()
    }

    /// When to look again although nothing happens.
    pub(super) fn timeout(&self) -> Option<Instant> {
        self.out.unheard_at().or(self.paused)
    }

    /// A message came.
    pub(super) fn came(&mut self) {
        self.unanswered = None;
        self.out.came();
    }

    /// A request ended, and so many of its messages will not come, if that is known; `false` if that is the end of all.
    pub(super) fn ended(
        &mut self,
        now: Instant,
        number: u64,
        end: End,
        undelivered: Option<usize>,
        held_bytes: usize,
    ) -> bool {
        let has_come = self.out.has_come();
        let undelivered = undelivered.or_else(|| is_refusal(end).then_some(usize::MAX));
        let Some(request) = self.out.end(number, undelivered) else { return end != End::Gone };
        if end != End::Unanswered {
            self.unanswered = None;
        }
        match end {
            End::Expired => {}
            End::Bytes if has_come => {}
            // The bound is the consumer's own: nobody can be given this message, however little is held.
            End::Bytes if request.bytes == self.largest => self.paused = Some(now + PAUSE),
            End::Bytes => self.too_large_beside = Some(held_bytes),
            End::TooMany(most) => self.batch = most.clamp(1, (self.batch / 2).max(1)),
            End::TooLong(longest) => self.expires = longest.min(self.expires / 2),
            End::TooLarge(most) => self.largest = Some(most),
            End::Busy => self.paused = Some(now + PAUSE),
            End::Unanswered => {
                let since = *self.unanswered.get_or_insert(now);
                self.paused = Some(now + PAUSE);
                return now.saturating_duration_since(since) < self.patience;
            }
            End::Gone => return false,
        }
        true
    }

    /// There is no connection: what is asked for now would be asked for again and again, all at once.
    pub(super) fn put_off(&mut self, now: Instant) {
        if self.out.is_empty() {
            self.paused = Some(now + PAUSE);
        }
    }

    /// Gives up requests whose end is not heard. Answers whether messages were to come.
    pub(super) fn give_up_unheard(&mut self, now: Instant) -> bool {
        self.out.give_up(now)
    }

    /// The next request, if it is time for one. Small ones wait until there are more, unless there is nothing else to do.
    pub(super) fn next(&mut self, now: Instant, room: Room) -> Option<Demand> {
        self.paused = self.paused.filter(|&until| now < until);
        if self.paused.is_some() || !self.out.has_place() {
            return None;
        }
        let items = room.window.min(room.server).saturating_sub(self.out.left()).min(self.batch);
        let is_large = items >= self.batch.min(self.window / 4);
        if items == 0 || !(is_large || room.is_wanted && self.out.is_empty()) {
            return None;
        }
        let (items, bytes) = self.within_bytes(items, room)?;
        let number = self.next_number;
        self.next_number += 1;
        self.out.send(Request { number, items, bytes, unheard_at: now + self.expires + GRACE });
        Some(Demand { number, items, bytes, expires: self.expires })
    }

    /// How many messages of how many bytes. A message that does not fit beside what is held waits until less is; one that does
    /// not fit beside nothing is asked for alone, without a bound.
    fn within_bytes(&mut self, items: usize, room: Room) -> Option<(usize, Option<usize>)> {
        let Some(most) = self.window_bytes else { return Some((items, self.largest)) };
        if let Some(beside) = self.too_large_beside {
            if room.is_empty {
                self.too_large_beside = None;
                return Some((1, self.largest));
            }
            if room.bytes >= beside {
                return None;
            }
            self.too_large_beside = None;
        }
        let free = most.saturating_sub(room.bytes);
        (free > 0).then_some((items, Some(free.min(self.largest.unwrap_or(usize::MAX)))))
    }
}
