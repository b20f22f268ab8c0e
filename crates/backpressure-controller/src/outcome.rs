//! The outcome of a flush.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use backpressure_core::BoxedError;

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
///
/// The text tells the flush target's own error, so `{error}` in a log is enough. The error itself is [`inner`](Self::inner); it
/// is not the source a second time. This is an [`Error`] if `E` is one. Around a `Box<dyn Error + Send + Sync>`, or anything else
/// that converts into one, it is after [`into_boxed`](Self::into_boxed).
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
    /// The flush target's own error, if there is one.
    pub const fn inner(&self) -> Option<&E> {
        match self {
            Self::Item(error) | Self::Batch(error) | Self::RetryAfter(error, _) | Self::Final(error) => Some(error),
            Self::Unavailable(error) => error.as_ref(),
            Self::Panicked => None,
        }
    }

    /// The same error around another one.
    pub fn map<F>(self, change: impl FnOnce(E) -> F) -> FlushError<F> {
        match self {
            Self::Item(error) => FlushError::Item(change(error)),
            Self::Batch(error) => FlushError::Batch(change(error)),
            Self::RetryAfter(error, wait) => FlushError::RetryAfter(change(error), wait),
            Self::Final(error) => FlushError::Final(change(error)),
            Self::Panicked => FlushError::Panicked,
            Self::Unavailable(error) => FlushError::Unavailable(error.map(change)),
        }
    }

    /// The same error around a boxed one, which is an [`Error`] whatever `E` is.
    pub fn into_boxed(self) -> FlushError<BoxedError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.map(BoxedError::new)
    }

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

impl<E: fmt::Display> fmt::Display for FlushError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(error) => write!(f, "item failed: {error}"),
            Self::Batch(error) => write!(f, "flush failed: {error}"),
            Self::RetryAfter(error, wait) => {
                write!(f, "flush failed with no retry left, the target asked for one in {wait:?}: {error}")
            }
            Self::Final(error) => write!(f, "flush failed permanently: {error}"),
            Self::Panicked => f.write_str("flush panicked"),
            Self::Unavailable(Some(error)) => write!(f, "flush target is unavailable: {error}"),
            Self::Unavailable(None) => f.write_str("flush target is unavailable"),
        }
    }
}

/// The inner error is part of the message, so the source is that error's.
impl<E: Error> Error for FlushError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner().and_then(Error::source)
    }
}
