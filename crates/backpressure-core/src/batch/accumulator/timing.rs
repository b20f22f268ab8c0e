//! When an open batch is due.

use std::time::Instant;

use crate::{BatchConfig, FlushReason};

#[derive(Debug)]
pub(super) struct Timing {
    /// The first look.
    since: Instant,
    quiet: Option<Instant>,
    /// How many items the last look saw; more of them now means that something has arrived.
    seen: usize,
}

impl Timing {
    pub(super) const fn since(now: Instant) -> Self {
        Self { since: now, quiet: None, seen: 0 }
    }

    /// The clock saw so many items.
    pub(super) fn saw(&mut self, items: usize, now: Instant, config: &BatchConfig) {
        if items > self.seen {
            self.seen = items;
            self.quiet = config.quiet().and_then(|quiet| now.checked_add(quiet));
        }
    }

    pub(super) const fn seen(&self) -> usize {
        self.seen
    }

    /// So many of the items that were seen are gone.
    pub(super) const fn forget(&mut self, items: usize) {
        self.seen -= items;
    }

    /// The next look counts as one that saw something new.
    pub(super) const fn stir(&mut self) {
        (self.quiet, self.seen) = (None, 0);
    }

    /// The earlier of the two deadlines, linger if they coincide.
    pub(super) fn next(&self, config: &BatchConfig) -> Option<(Instant, FlushReason)> {
        match (self.since.checked_add(config.linger()), self.quiet) {
            (Some(linger), Some(quiet)) if quiet < linger => Some((quiet, FlushReason::Quiet)),
            (Some(linger), _) => Some((linger, FlushReason::Linger)),
            (None, quiet) => quiet.map(|quiet| (quiet, FlushReason::Quiet)),
        }
    }
}
