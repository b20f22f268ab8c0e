//! The adoption of other numbers while the engine is in use.

use std::time::Instant;

use tower_service::Service;

use super::engine::Engine;
use super::gather::{Gather, gather, limits};
use crate::batch::plan::BatcherConfig;

impl<S, Req, Resp> Engine<S, Req, Resp>
where
    S: Service<Vec<Req>>,
{
    /// Adopts a configuration that it does not know yet.
    #[inline(never)]
    pub(super) fn adopt(&mut self, config: &BatcherConfig, now: Instant) {
        self.tuning.reconfigure(config);
        let settings = &self.exchange.settings;
        let limits = limits(settings, config, &self.tuning);
        (self.linger, self.max_weight) = (settings.linger(config), limits.max_weight);
        self.gather_next = gather(settings, &limits, self.linger);
        self.exchange.reporter.paced(limits.linger, limits.max_items);
        self.lanes.reconfigure(limits, now);
        self.settle_gather();
        self.tell_activity();
    }

    /// Calls gather where the configuration wants it, once nothing is left in the lanes that would go there no more.
    #[inline]
    pub(super) fn settle_gather(&mut self) {
        if self.gather != self.gather_next {
            let waits = self.gather_next == Gather::Inbox && !self.lanes.is_empty();
            self.gather = if waits { Gather::LanesAtOnce } else { self.gather_next };
        }
    }
}
