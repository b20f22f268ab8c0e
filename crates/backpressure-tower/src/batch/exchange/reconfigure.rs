//! Other numbers for a batcher that is in use.

use std::mem;

use backpressure_core::{BackpressureConfig, ConfigError};

use super::Exchange;
use super::effects::Effects;
use super::state::State;
use crate::batch::plan::{BatcherConfig, Linger};

impl<Req, Resp, E> Exchange<Req, Resp, E> {
    /// The configuration that was accepted last.
    pub(in crate::batch) fn config(&self) -> BatcherConfig {
        self.lock_uncollected().config
    }

    /// Takes another configuration, which the runner adopts at the worker's next turn.
    pub(in crate::batch) fn reconfigure(&self, config: BatcherConfig) -> Result<(), ConfigError> {
        let buffer = self.settings.accept(&config)?;
        let is_timed = self.settings.linger(&config) != Linger::Never;
        self.update(|state, effects| state.reconfigure(config, &buffer, is_timed, effects));
        Ok(())
    }
}

impl<O, Req, Resp, E> State<O, Req, Resp, E> {
    fn reconfigure(
        &mut self,
        config: BatcherConfig,
        buffer: &BackpressureConfig,
        is_timed: bool,
        effects: &mut Effects,
    ) {
        if self.is_ending() && self.pending == 0 {
            return;
        }
        // The shards were opened under the old bounds.
        self.collect_shards(true);
        self.permits.release(self.shards.collect_permits());
        self.permits.set_capacity(buffer.capacity());
        let accepted = self.queue.reconfigure(buffer);
        debug_assert!(accepted.is_ok(), "it neither weighs nor ages");
        effects.changed |= self.recorder.reconfigured(&self.queue, buffer) | mem::take(&mut self.is_changed);
        self.is_timed = is_timed;
        (self.config, self.is_reconfigured) = (config, true);
        self.serve(effects);
        effects.worker = self.take_worker();
    }

    /// A configuration that the runner does not know yet.
    #[inline]
    pub(crate) fn take_config(&mut self) -> Option<BatcherConfig> {
        mem::take(&mut self.is_reconfigured).then_some(self.config)
    }
}
