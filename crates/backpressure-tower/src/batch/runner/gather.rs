//! Where calls gather for their batch, and until when, by the numbers of the batcher.

use crate::batch::plan::{BatcherConfig, Limits, Linger, Settings, Tuning};

/// Where calls gather for their batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gather {
    /// In the inbox, from which batches are taken. This is the usual case.
    Inbox,
    /// In lanes. Only an arrival that fills a lane is of interest at once.
    Lanes,
    /// In lanes, and every arrival is of interest at once, while batches can leave.
    LanesAtOnce,
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
