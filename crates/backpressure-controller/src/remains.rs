//! The items left when a controller ends.

use crate::careful::Careful;
use crate::drain::Ending;

/// What was accepted and has neither been delivered nor failed.
pub(crate) struct Remains<T> {
    /// As far as they are not in flight, or copies of them were kept; oldest first.
    pub(crate) items: Careful<Vec<T>>,
    /// How many are in flight without a copy.
    pub(crate) unanswered: usize,
}

impl<T> Remains<T> {
    pub(crate) fn ending(&self) -> Ending {
        Ending { lost: self.items.len() as u64, unanswered: self.unanswered, still_running: 0 }
    }
}

impl<T> Default for Remains<T> {
    fn default() -> Self {
        Self { items: Careful::default(), unanswered: 0 }
    }
}
