//! The adoption of other numbers while the engine is in use.

use std::time::Instant;

use tower_service::Service;

use super::engine::{Engine, Gather};
use crate::batch::plan::{BatcherConfig, Limits, Linger, Settings, Tuning};

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

/// When lanes are due.
pub(super) fn limits<Req, Resp>(settings: &Settings<Req, Resp>, config: &BatcherConfig, tuning: &Tuning) -> Limits {
    Limits {
        max_items: tuning.max_items,
        max_weight: config.max_weight,
        linger: tuning.linger,
        quiet: config.quiet.filter(|_| settings.linger(config) != Linger::Never),
        max_lanes: settings.max_keys,
    }
}

/// Where calls gather.
pub(super) fn gather<Req, Resp>(settings: &Settings<Req, Resp>, limits: &Limits, linger: Linger) -> Gather {
    let by_request = settings.hooks.sorting.is_some() || settings.hooks.inspector.deadline.is_some();
    match (by_request || limits.quiet.is_some(), linger) {
        (true, _) => Gather::LanesAtOnce,
        (false, Linger::Never) => Gather::Inbox,
        (false, Linger::WhileBusy | Linger::Always) => Gather::Lanes,
    }
}
