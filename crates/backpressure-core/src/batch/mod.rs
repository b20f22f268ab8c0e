//! Batches: many items in, few batches out.
//!
//! [`BatchAccumulator`] decides where one batch ends and the next begins. It is given items, and now and then the time;
//! it gives back whole batches, each with the reason why it was closed.

mod accumulator;
mod config;
#[cfg(test)]
mod expiry_properties;
#[cfg(test)]
mod properties;

use std::fmt;
use std::iter::FusedIterator;

pub use accumulator::BatchAccumulator;
pub use config::{BatchConfig, BatchConfigBuilder};

/// A run of consecutive items, closed and ready to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<T> {
    /// The items in the order of their arrival; at least one.
    pub items: Vec<T>,
    /// The sum of the items' weights, at most `usize::MAX`.
    pub weight: usize,
    /// Why the batch was closed.
    pub reason: FlushReason,
}

/// Why a batch was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FlushReason {
    /// It has as many items as a batch may have.
    Full,
    /// It has as much weight as a batch may have, or the next item would have brought too much.
    Weight,
    /// Its first item has waited for the longest time that it may.
    Linger,
    /// Nothing has arrived for a while.
    Quiet,
    /// Someone asked for it.
    Flush,
    /// The input has ended.
    End,
}

impl FlushReason {
    /// Every reason.
    pub const ALL: [FlushReason; 6] = [
        FlushReason::Full,
        FlushReason::Weight,
        FlushReason::Linger,
        FlushReason::Quiet,
        FlushReason::Flush,
        FlushReason::End,
    ];

    /// The reason's name in snake case, as [`Display`](fmt::Display) writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            FlushReason::Full => "full",
            FlushReason::Weight => "weight",
            FlushReason::Linger => "linger",
            FlushReason::Quiet => "quiet",
            FlushReason::Flush => "flush",
            FlushReason::End => "end",
        }
    }
}

impl fmt::Display for FlushReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The batches that one [`push`](BatchAccumulator::push) closed, in order: almost always none, often one, at most two.
///
/// An item can close the batch before it, which it would have made too heavy, and then its own, which it fills.
#[derive(Debug, Clone)]
#[must_use = "a closed batch is held nowhere else"]
pub struct ClosedBatches<T> {
    /// One test tells the hot path that nothing was closed.
    left: Option<(Batch<T>, Option<Batch<T>>)>,
}

impl<T> ClosedBatches<T> {
    /// Adds a batch, of which there may be two.
    fn add(&mut self, batch: Batch<T>) {
        match &mut self.left {
            None => self.left = Some((batch, None)),
            Some((_, rest)) => *rest = Some(batch),
        }
    }

    /// Whether no batch is left.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.left.is_none()
    }
}

impl<T> Default for ClosedBatches<T> {
    #[inline]
    fn default() -> Self {
        Self { left: None }
    }
}

impl<T> Iterator for ClosedBatches<T> {
    type Item = Batch<T>;

    #[inline]
    fn next(&mut self) -> Option<Batch<T>> {
        let (batch, rest) = self.left.take()?;
        self.left = rest.map(|batch| (batch, None));
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.left.as_ref().map_or(0, |(_, rest)| 1 + usize::from(rest.is_some()));
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for ClosedBatches<T> {}

impl<T> FusedIterator for ClosedBatches<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_named_in_snake_case() {
        for reason in FlushReason::ALL {
            assert_eq!(reason.to_string(), format!("{reason:?}").to_lowercase());
        }
    }
}
