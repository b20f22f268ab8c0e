//! Changing batches that are in use.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use backpressure_core::{BatchConfig, ConfigError};
use backpressure_rt::Mailbox;

/// Changes the batches of a stream that is in use. Made by the `handle` of a [`MicroBatch`](crate::MicroBatch), a
/// [`TryMicroBatch`](crate::TryMicroBatch) or a [`MicroBatchBy`](crate::MicroBatchBy) before it is used; clone it freely.
///
/// Such a stream belongs to one task, and nothing is locked in it. So the handle leaves the configuration for it, wakes its
/// task, and the stream takes it as a whole when it is polled next. Of several that were left meanwhile the latest counts.
/// If the stream is gone nothing comes of it.
#[derive(Clone)]
pub struct MicroBatchHandle {
    mailbox: Arc<Mailbox<Setting>>,
}

#[derive(Clone, Copy)]
struct Setting {
    config: BatchConfig,
    learned: Learned,
}

/// What the stream learns from its consumer, instead of what is configured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Learned {
    pub(crate) linger: bool,
    pub(crate) max_items: bool,
}

impl MicroBatchHandle {
    pub(crate) fn new(config: BatchConfig, learned: Learned) -> Self {
        Self { mailbox: Arc::new(Mailbox::new(Setting { config, learned })) }
    }

    /// Leaves a configuration for the stream: most items, most weight, linger and quiet time.
    ///
    /// An open batch goes on waiting since its first item, for as long as the new linger says. It is yielded at once, as it
    /// is, if that has passed, or if it has as much as a batch may have now: so one batch, of each key if there are keys, may
    /// have more than the new bounds allow. All that open afterwards are within them.
    ///
    /// # Errors
    ///
    /// Another `linger` or `max_items` than before where the stream
    /// [learns](crate::MicroBatch::adapt_linger) [it](crate::MicroBatch::adapt_size). Nothing changes then. What no
    /// configuration may be, such as `max_items` of 0, its builder refuses.
    pub fn reconfigure(&self, config: BatchConfig) -> Result<(), ConfigError> {
        let Setting { config: before, learned } = self.mailbox.latest();
        let bound = |value: &dyn fmt::Debug| format!("{value:?}, as it was, since another one is learned");
        if learned.linger && config.linger() != before.linger() {
            return Err(ConfigError::new("linger", format_args!("{:?}", config.linger()), bound(&before.linger())));
        }
        if learned.max_items && config.max_items() != before.max_items() {
            return Err(ConfigError::new("max_items", config.max_items(), bound(&before.max_items())));
        }
        self.mailbox.put(Setting { config, learned });
        Ok(())
    }

    /// The configuration that was accepted last.
    pub fn config(&self) -> BatchConfig {
        self.mailbox.latest().config
    }

    /// The stream learns this from now on.
    pub(crate) fn learns(&self, learned: Learned) {
        self.mailbox.put(Setting { learned, ..self.mailbox.latest() });
    }

    /// The configuration that was left and not taken, if there is one.
    pub(crate) fn take(&self) -> Option<BatchConfig> {
        self.mailbox.take().map(|setting| setting.config)
    }

    /// The task is going to wait. `false` if there is something to [take](Self::take).
    pub(crate) fn wait(&self, waker: &Waker) -> bool {
        self.mailbox.wait(waker)
    }
}

impl fmt::Debug for MicroBatchHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MicroBatchHandle").field("config", &self.config()).finish()
    }
}
