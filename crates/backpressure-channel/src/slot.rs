//! The slot of a sender that is used as a sink.

use crate::claim::Claim;
use crate::place::Place;

/// What a sink that is ready holds: a slot for an item of unknown weight.
pub(crate) const READY: Claim = Claim::kept(0);

/// What this sender, as a sink, holds of the channel.
#[derive(Debug)]
pub(crate) enum Slot {
    Waiting {
        place: Place,
        claim: Claim,
    },
    Reserved,
    /// The sink is closed.
    Closed,
}

impl Slot {
    pub(crate) const NONE: Self = Self::Waiting { place: Place::Nowhere, claim: READY };

    /// Whether it has a place in the queue.
    pub(crate) const fn is_in_line(&self) -> bool {
        matches!(self, Self::Waiting { place: Place::Queued { .. }, .. })
    }
}
