//! A refusal: what a caller is told when its item or call was not accepted.

use std::fmt;
use std::time::Duration;

/// What the caller of a service is told when an item or a call inside it was not taken, in terms of any protocol.
///
/// The crate `backpressure-tower` turns it into an answer in HTTP or gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is too much to do. It may be tried again after this time; zero if it is not known.
    Busy {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The part takes nothing any more. It may be tried elsewhere, or here after a restart.
    Closed {
        /// When it is worth trying again; zero if it is not known.
        retry_after: Duration,
    },
    /// The caller's deadline cannot be met.
    TooLate,
    /// Something is broken. It has nothing to do with the load.
    Failed,
}

impl Refusal {
    /// Too much to do, for who knows how long.
    pub const BUSY: Self = Self::Busy { retry_after: Duration::ZERO };

    /// Nothing is taken any more.
    pub const CLOSED: Self = Self::Closed { retry_after: Duration::ZERO };
}

/// An error that says what the caller of a service is to be told.
///
/// ```
/// use backpressure_core::{Refusal, Refused};
///
/// #[derive(Debug)]
/// struct DiskFull;
///
/// impl std::fmt::Display for DiskFull {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         f.write_str("disk full")
///     }
/// }
///
/// impl Refused for DiskFull {
///     fn refusal(&self) -> Refusal {
///         Refusal::Failed
///     }
/// }
/// ```
pub trait Refused: fmt::Display {
    /// What the caller is told. The text of the error goes to the caller only with [`Refusal::Busy`].
    fn refusal(&self) -> Refusal;
}
