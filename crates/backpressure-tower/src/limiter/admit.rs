//! Admitting a call at once.

use std::sync::Arc;

use backpressure_core::AdmissionState;
use backpressure_core::limit::Level;

use super::levels::is_first_class;
use super::permit::Permit;
use super::shared::Shared;
use crate::overloaded::ShedReason;

impl Shared {
    /// Admits a call at once, if all calls are alike and none waits. The short way.
    #[inline]
    pub(super) fn try_admit(self: &Arc<Self>) -> Option<Permit> {
        if self.levels.are_unused() { Some(self.permit(self.signal.try_take()?)) } else { None }
    }

    /// Admits a call at once or not at all.
    #[inline]
    pub(super) fn admit(self: &Arc<Self>, level: Level) -> Result<Permit, (AdmissionState, ShedReason)> {
        self.levels.offered(level);
        let taken = self.signal.take(ShedReason::Limit, |seen| {
            self.levels.permits(level, seen)?;
            if seen.has_waiters() && !is_first_class(level) { Err(ShedReason::Limit) } else { Ok(()) }
        })?;
        Ok(self.permit(taken))
    }

    /// The permit of a call that has just taken a slot.
    #[inline]
    pub(super) fn permit(self: &Arc<Self>, taken: AdmissionState) -> Permit {
        Permit::new(Arc::clone(self), taken)
    }
}
