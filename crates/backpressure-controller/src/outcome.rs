//! What a flush answers.

use std::error::Error;
use std::fmt;

use crate::careful::Careful;

/// The answer of a flush that ran: everything was delivered but these.
///
/// A flush target that delivers all or nothing answers `()`, which converts into "everything was delivered".
///
/// ```
/// use backpressure_controller::FlushOutcome;
///
/// let outcome = FlushOutcome::partial(vec![("bad row", "constraint violated")]);
/// assert_eq!(outcome.failed.len(), 1);
/// assert!(FlushOutcome::<&str, &str>::from(()).failed.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushOutcome<T, E> {
    /// The items of the batch that were not delivered, each with its error. They are retried if there is a retry policy.
    pub failed: Vec<(T, E)>,
}

impl<T, E> FlushOutcome<T, E> {
    /// The whole batch was delivered.
    pub const fn delivered() -> Self {
        Self { failed: Vec::new() }
    }

    /// The batch was delivered, except for these items.
    pub const fn partial(failed: Vec<(T, E)>) -> Self {
        Self { failed }
    }
}

impl<T, E> From<()> for FlushOutcome<T, E> {
    fn from((): ()) -> Self {
        Self::delivered()
    }
}

/// What a flush came to. The items and their errors are kept apart, so that each is dropped by itself.
pub(crate) enum Answer<T, E> {
    /// Everything was delivered but these items, which have the errors in the same places.
    Partly {
        items: Careful<Vec<T>>,
        errors: Careful<Vec<E>>,
    },
    Failed(Failure<E>),
}

/// Why items failed, on its way to who is told.
pub(crate) type Failure<E> = Careful<Option<FlushError<E>>>;

impl<T, E> Answer<T, E> {
    pub(crate) const PANICKED: Self = Self::Failed(Careful::new(Some(FlushError::Panicked)));
}

impl<T, E, R: Into<FlushOutcome<T, E>>> From<Result<R, E>> for Answer<T, E> {
    fn from(answer: Result<R, E>) -> Self {
        match answer {
            Ok(outcome) => {
                let (items, errors) = outcome.into().failed.into_iter().unzip();
                Self::Partly { items: Careful::new(items), errors: Careful::new(errors) }
            }
            Err(error) => Self::Failed(FlushError::Batch(error).into()),
        }
    }
}

impl<E> From<FlushError<E>> for Failure<E> {
    fn from(error: FlushError<E>) -> Self {
        Self::new(Some(error))
    }
}

/// Why items failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushError<E> {
    /// The flush delivered other items of the batch, but not this one.
    Item(E),
    /// The flush failed as a whole.
    Batch(E),
    /// The flush panicked.
    Panicked,
    /// The flush target failed to become ready, with this error the first time, and is not used any more; the controller
    /// has closed its intake.
    Unavailable(Option<E>),
}

impl<E> fmt::Display for FlushError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Item(_) => "an item of the batch failed",
            Self::Batch(_) => "the flush failed",
            Self::Panicked => "the flush panicked",
            Self::Unavailable(_) => "the flush target is gone",
        })
    }
}

impl<E: Error + 'static> Error for FlushError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Item(error) | Self::Batch(error) | Self::Unavailable(Some(error)) => Some(error),
            Self::Panicked | Self::Unavailable(None) => None,
        }
    }
}
