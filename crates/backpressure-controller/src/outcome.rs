//! What a flush answers.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::verdict::Verdict;

/// The answer of a flush that ran: everything was delivered but these.
///
/// A flush target that delivers all or nothing answers `()`, which converts into "everything was delivered".
///
/// ```
/// use std::time::Duration;
/// use backpressure_controller::{FlushOutcome, Verdict};
///
/// let mut outcome = FlushOutcome::partial(vec![("a row", "deadlock")]);
/// outcome.fail("bad row", "constraint violated", Verdict::Final);
/// outcome.fail("good row", "quota exceeded", Verdict::RetryAfter(Duration::from_secs(5)));
/// assert_eq!(outcome.failed.len(), 3);
/// assert!(FlushOutcome::<&str, &str>::from(()).failed.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushOutcome<T, E> {
    /// The items of the batch that were not delivered.
    pub failed: Vec<FailedItem<T, E>>,
}

/// An item that a flush did not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedItem<T, E> {
    /// The item.
    pub item: T,
    /// Why it was not delivered.
    pub error: E,
    /// Whether another try is of use; `None` leaves that to [`judge_by`](crate::FlushBuilder::judge_by).
    pub verdict: Option<Verdict>,
}

impl<T, E> FlushOutcome<T, E> {
    /// The whole batch was delivered.
    pub const fn delivered() -> Self {
        Self { failed: Vec::new() }
    }

    /// The batch was delivered, except for these items. They are retried if there is a retry policy, unless
    /// [`judge_by`](crate::FlushBuilder::judge_by) says otherwise of their errors.
    pub fn partial(failed: Vec<(T, E)>) -> Self {
        Self { failed: failed.into_iter().map(FailedItem::from).collect() }
    }

    /// This item was not delivered either, and that is what is to become of it.
    pub fn fail(&mut self, item: T, error: E, verdict: Verdict) {
        self.failed.push(FailedItem { item, error, verdict: Some(verdict) });
    }

    /// The same outcome with other errors, for a layer that changes their type.
    pub fn map_err<F>(self, mut change: impl FnMut(E) -> F) -> FlushOutcome<T, F> {
        let change = |FailedItem { item, error, verdict }| FailedItem { item, error: change(error), verdict };
        FlushOutcome { failed: self.failed.into_iter().map(change).collect() }
    }
}

impl<T, E> From<(T, E)> for FailedItem<T, E> {
    fn from((item, error): (T, E)) -> Self {
        Self { item, error, verdict: None }
    }
}

impl<T, E> From<()> for FlushOutcome<T, E> {
    fn from((): ()) -> Self {
        Self::delivered()
    }
}

/// Why items failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushError<E> {
    /// The flush delivered other items of the batch, but not this one, and no retry is left.
    Item(E),
    /// The flush failed as a whole, and no retry is left.
    Batch(E),
    /// The flush target asks for another try, of an item or of the whole batch, after this time, and no retry is left.
    RetryAfter(E, Duration),
    /// The flush target says of an item, or of the whole batch, that another try is of no use.
    Final(E),
    /// The flush panicked.
    Panicked,
    /// The flush target failed to become ready, with this error the first time, and is not used any more; the controller
    /// has closed its intake.
    Unavailable(Option<E>),
}

impl<E> FlushError<E> {
    /// What the flush target said about another try; [`Verdict::Retry`] where it said nothing. A wait is no longer than the
    /// [cap](crate::FlushBuilder::cap_retry_after).
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::RetryAfter(_, wait) => Verdict::RetryAfter(*wait),
            Self::Final(_) => Verdict::Final,
            Self::Item(_) | Self::Batch(_) | Self::Panicked | Self::Unavailable(_) => Verdict::Retry,
        }
    }

    /// The same error with what the flush target said about it.
    pub(crate) fn judged(self, verdict: Verdict) -> Self {
        match (self, verdict) {
            (Self::Item(error) | Self::Batch(error), Verdict::RetryAfter(wait)) => Self::RetryAfter(error, wait),
            (Self::Item(error) | Self::Batch(error), Verdict::Final) => Self::Final(error),
            (unjudged, _) => unjudged,
        }
    }
}

impl<E> fmt::Display for FlushError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Item(_) => "an item of the batch failed",
            Self::Batch(_) => "the flush failed",
            Self::RetryAfter(..) => "the flush failed, and is not tried again as late as it asks",
            Self::Final(_) => "the flush failed for good",
            Self::Panicked => "the flush panicked",
            Self::Unavailable(_) => "the flush target is gone",
        })
    }
}

impl<E: Error + 'static> Error for FlushError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Item(error)
            | Self::Batch(error)
            | Self::RetryAfter(error, _)
            | Self::Final(error)
            | Self::Unavailable(Some(error)) => Some(error),
            Self::Panicked | Self::Unavailable(None) => None,
        }
    }
}
