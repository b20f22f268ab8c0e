//! The report of a part that was drained, as a shutdown reads it.

use std::fmt;
use std::sync::Arc;

/// What a drain came to, in words and in one bit: the reports of a `ShedLayer`, a controller and a batcher are such.
///
/// A shutdown that drains several parts gathers their words into one report, and is complete if all of them are.
///
/// ```
/// use std::fmt;
/// use backpressure_core::Drained;
///
/// struct Files { left: usize }
///
/// impl fmt::Display for Files {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         write!(f, "{} files left", self.left)
///     }
/// }
///
/// impl Drained for Files {
///     fn is_complete(&self) -> bool {
///         self.left == 0
///     }
/// }
///
/// assert!(!Files { left: 2 }.is_complete());
/// ```
pub trait Drained: fmt::Display {
    /// Whether nothing that had been accepted was abandoned.
    fn is_complete(&self) -> bool;
}

/// For a report that somebody else wants to read, too.
impl<D: Drained + ?Sized> Drained for Arc<D> {
    fn is_complete(&self) -> bool {
        (**self).is_complete()
    }
}
