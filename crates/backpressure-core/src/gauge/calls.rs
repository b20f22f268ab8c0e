//! A part that holds no buffer.

use std::fmt;

use crate::ledger::Counts;

/// What is known of the calls in a part that holds no buffer.
pub(crate) trait Calls: fmt::Debug + Send + Sync {
    fn counts(&self) -> Counts;
    /// Most calls in flight.
    fn capacity(&self) -> usize;
    /// Calls in flight.
    fn in_flight(&self) -> usize;
    /// The share of those that are in flight.
    fn utilization(&self) -> f64;
    /// Answers that are streams and still open.
    fn streams(&self) -> usize;
}
