//! What has expired, and when a queue looks for it.

use std::time::Duration;

use backpressure_core::{DropReason, Hooks, Reporter};
use backpressure_rt::{CoarseClock, Relay};

/// When a queue looks at the clock.
#[derive(Debug)]
pub(crate) struct Looks {
    pub(crate) clock: CoarseClock,
    /// How many items may go before the next look.
    pub(crate) takes: usize,
}

impl Looks {
    pub(crate) fn new(max_age: Option<Duration>) -> Box<Self> {
        Box::new(Self { clock: CoarseClock::for_ages(max_age), takes: 0 })
    }
}

/// What has expired, to be disposed of once whatever guards the queue is released.
#[must_use = "items are in here"]
pub(crate) struct Expired<T> {
    pub(crate) items: Vec<T>,
    pub(crate) changed: bool,
}

impl<T> Expired<T> {
    pub(crate) const NOTHING: Self = Self { items: Vec::new(), changed: false };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Tells watchers, and gives the items to the hook.
    #[inline]
    pub(crate) fn conclude(self, hooks: &Hooks<T>, reporter: &Reporter) {
        if !self.is_empty() {
            self.conclude_all(hooks, reporter);
        }
    }

    #[inline(never)]
    fn conclude_all(self, hooks: &Hooks<T>, reporter: &Reporter) {
        let mut relay = Relay::new();
        if self.changed {
            relay.call(|| reporter.notify());
        }
        relay.call(|| hooks.dispose(self.items, DropReason::Expired));
        relay.resume();
    }
}
