//! What the user says about the items of a sink.

use std::time::Instant;

use backpressure_core::{DropReason, Priority, Weigh};

use crate::sink::BackpressureSink;
use crate::way::Way;

impl<Si, T> BackpressureSink<Si, T> {
    /// Weighs each item, once, as it is offered. Counts where the configuration bounds the weight; without this every item
    /// weighs 1.
    pub fn weigh_by(mut self, weigh: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        self.queue.hooks.weigh_by(weigh);
        self.way.block(Way::Open);
        self
    }

    /// Weighs each item by its own [`Weigh`]: strings and buffers by their length, so that
    /// [`max_weight`](backpressure_core::BackpressureConfigBuilder::max_weight) is in bytes.
    pub fn weigh_bytes(mut self) -> Self
    where
        T: Weigh,
    {
        self.queue.hooks.weigh_bytes();
        self.way.block(Way::Open);
        self
    }

    /// Ranks each item, once, as it is offered: higher priorities are delivered first. What is queued already ranks
    /// [`NORMAL`](Priority::NORMAL).
    pub fn rank_by(mut self, rank: impl Fn(&T) -> Priority + Send + Sync + 'static) -> Self {
        self.queue.hooks.rank_by(rank);
        self.queue.prioritize();
        self.way.block(Way::Open);
        self
    }

    /// Asks each item, once, as it is offered, for its deadline: an [`Instant`], or `None` if it does not expire. An item that is
    /// still queued then is not delivered, but lost for [`DropReason::Expired`]. What is queued already has no deadline.
    pub fn expires_by<D: Into<Option<Instant>>>(mut self, deadline: impl Fn(&T) -> D + Send + Sync + 'static) -> Self {
        self.queue.expires_by(deadline);
        self.way.block(Way::Open);
        self
    }

    /// Gets each lost item, once, by value, with the reason. It may panic: the panic goes to whoever caused the loss, the
    /// sink is none the worse.
    pub fn on_drop(mut self, hook: impl Fn(T, DropReason) + Send + Sync + 'static) -> Self {
        self.queue.hooks.on_drop(hook);
        self
    }
}
