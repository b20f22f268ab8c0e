//! Changing a part that belongs to one task.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use backpressure_rt::Mailbox;

use crate::{BackpressureConfig, ConfigError, Gauge};

/// Changes the buffer of a stream or a sink that is in use. Made by the `handle` of either before it is used; clone it freely.
///
/// Such a part belongs to one task, and nothing is locked in it. So the handle leaves the configuration for it, wakes its
/// task, and the part takes it as a whole when it is polled next; the gauge shows it from then on. Of several that were left
/// meanwhile the latest counts. If the part is gone nothing comes of it.
#[derive(Clone)]
pub struct BufferHandle {
    mailbox: Arc<Mailbox<BackpressureConfig>>,
    gauge: Gauge,
}

impl BufferHandle {
    /// For a part that has this configuration.
    #[doc(hidden)]
    pub fn new(config: BackpressureConfig, gauge: Gauge) -> Self {
        Self { mailbox: Arc::new(Mailbox::new(config)), gauge }
    }

    /// Leaves a configuration for the part: capacity, weight bound, watermarks and strategy.
    ///
    /// * A larger bound wakes who waits for room.
    /// * A smaller one evicts nothing. While more is held than it allows nothing is admitted, and the state is
    ///   [`Blocked`](crate::State::Blocked); under a strategy that evicts, the next offer makes all the room that the new
    ///   bound asks for.
    /// * A strategy holds from the next offer on.
    ///
    /// # Errors
    ///
    /// `max_weight` or `max_age` set where the part was built without, or the other way round: whether items are weighed, and
    /// whether they age, is decided when it is built. Nothing changes then.
    pub fn reconfigure(&self, config: BackpressureConfig) -> Result<(), ConfigError> {
        let latest = self.mailbox.latest();
        config.check_fixed(latest.max_weight().is_some(), latest.max_age().is_some())?;
        self.mailbox.put(config);
        Ok(())
    }

    /// The configuration that was accepted last.
    pub fn config(&self) -> BackpressureConfig {
        self.mailbox.latest()
    }

    /// How full the buffer is, and what has happened in it.
    pub fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    /// The configuration that was left, for the part, if there is one that it has not taken.
    #[doc(hidden)]
    #[inline]
    pub fn take(&self) -> Option<BackpressureConfig> {
        self.mailbox.take()
    }

    /// The part's task is going to wait. `false` if there is something to [take](Self::take).
    #[doc(hidden)]
    #[must_use = "a configuration that is there wakes nobody"]
    pub fn wait(&self, waker: &Waker) -> bool {
        self.mailbox.wait(waker)
    }
}

impl fmt::Debug for BufferHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferHandle").field("config", &self.config()).finish_non_exhaustive()
    }
}
