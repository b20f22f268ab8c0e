//! What becomes of items that are lost.

use std::time::{Duration, Instant};

use backpressure_core::{DropReason, Hooks};

pub(super) struct Losses<T> {
    /// The deadline of an item, and what is told about lost ones.
    pub(super) hooks: Hooks<T>,
    pub(super) max_age: Option<Duration>,
    /// How many items have expired.
    pub(super) expired: u64,
    /// When the batch expires that was closed together with the one before it: it is one item.
    pub(super) due: Option<Instant>,
    /// Whether this poll has closed a batch.
    pub(super) has_closed_one: bool,
}

impl<T> Losses<T> {
    /// Counts items that have expired, and gives them to the hook.
    pub(super) fn expire(&mut self, items: Vec<T>) {
        self.expired += items.len() as u64;
        self.hooks.dispose(items, DropReason::Expired);
    }
}

impl<T> Default for Losses<T> {
    fn default() -> Self {
        Self { hooks: Hooks::NONE, max_age: None, expired: 0, due: None, has_closed_one: false }
    }
}
