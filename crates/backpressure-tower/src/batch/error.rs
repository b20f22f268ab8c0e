//! The errors of a batched call.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use backpressure_core::{Refusal, Refused};

/// Why a call through a [`Batch`](crate::Batch) was not answered. `E` is the error of the inner service.
///
/// The inner service fails once for all the callers of a batch, so they share its error. `E` need be neither `Clone` nor an
/// [`Error`]: tower's `BoxError` will do.
#[derive(Debug)]
#[non_exhaustive]
pub enum BatchError<E> {
    /// The inner service failed this request and answered for the others of its batch.
    Request(Arc<E>),
    /// The inner service failed the whole batch.
    Batch(Arc<E>),
    /// The inner service, the key or the answers panicked over the batch. The next batch is called as if nothing had been.
    Panicked,
    /// The inner service gave more or fewer answers than the batch had requests, so that nobody can tell which is whose.
    WrongLength {
        /// Requests in the batch.
        expected: usize,
        /// Answers to it.
        got: usize,
    },
    /// The request could not have been answered by its [deadline](crate::BatchLayerBuilder::deadline), and was not sent.
    DeadlineExceeded,
    /// The inner service failed to become ready, and is not used any more.
    Unavailable(Arc<E>),
    /// The service was called without having been ready. The request was not sent.
    NotReady,
    /// The batcher has shut down before the request was answered.
    Closed,
}

impl<E> BatchError<E> {
    /// The error of the inner service, if it is one.
    pub fn inner(&self) -> Option<&E> {
        match self {
            Self::Request(error) | Self::Batch(error) | Self::Unavailable(error) => Some(error),
            Self::Panicked | Self::WrongLength { .. } | Self::DeadlineExceeded | Self::NotReady | Self::Closed => None,
        }
    }

    /// Whether the inner service was certainly never given the request, so that calling again repeats nothing.
    pub const fn is_unsent(&self) -> bool {
        matches!(self, Self::DeadlineExceeded | Self::Unavailable(_) | Self::NotReady)
    }
}

impl<E> Clone for BatchError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Request(error) => Self::Request(Arc::clone(error)),
            Self::Batch(error) => Self::Batch(Arc::clone(error)),
            Self::Panicked => Self::Panicked,
            &Self::WrongLength { expected, got } => Self::WrongLength { expected, got },
            Self::DeadlineExceeded => Self::DeadlineExceeded,
            Self::Unavailable(error) => Self::Unavailable(Arc::clone(error)),
            Self::NotReady => Self::NotReady,
            Self::Closed => Self::Closed,
        }
    }
}

impl<E: fmt::Display> fmt::Display for BatchError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => write!(f, "request failed: {error}"),
            Self::Batch(error) => write!(f, "batch failed: {error}"),
            Self::Panicked => f.write_str("batch panicked"),
            Self::WrongLength { expected, got } => write!(f, "batch of {expected} requests got {got} answers"),
            Self::DeadlineExceeded => f.write_str("deadline exceeded before the request was sent"),
            Self::Unavailable(error) => write!(f, "batch service is unavailable: {error}"),
            Self::NotReady => f.write_str("called before the service was ready"),
            Self::Closed => f.write_str("batcher has shut down"),
        }
    }
}

/// The inner error is part of the message and not a `source`, because `BoxError`, which many of tower's layers fail with, is
/// not an [`Error`] itself. [`BatchError::inner`] gives it.
impl<E: fmt::Debug + fmt::Display> Error for BatchError<E> {}

impl<E: fmt::Display> Refused for BatchError<E> {
    fn refusal(&self) -> Refusal {
        match self {
            Self::DeadlineExceeded => Refusal::TooLate,
            Self::Unavailable(_) | Self::Closed => Refusal::CLOSED,
            Self::Request(_) | Self::Batch(_) | Self::Panicked | Self::WrongLength { .. } | Self::NotReady => {
                Refusal::Failed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [BatchError<&'static str>; 8] {
        let error = || Arc::new("disk full");
        [
            BatchError::Request(error()),
            BatchError::Batch(error()),
            BatchError::Panicked,
            BatchError::WrongLength { expected: 3, got: 2 },
            BatchError::DeadlineExceeded,
            BatchError::Unavailable(error()),
            BatchError::NotReady,
            BatchError::Closed,
        ]
    }

    #[test]
    fn a_copy_says_the_same() {
        for error in all() {
            assert_eq!(format!("{:?}", error.clone()), format!("{error:?}"));
        }
    }

    #[test]
    fn the_message_tells_the_inner_error_where_there_is_one() {
        for error in all() {
            assert_eq!(error.to_string().contains("disk full"), error.inner().is_some(), "{error}");
        }
    }

    #[test]
    fn it_goes_into_a_box_error_even_around_one() {
        type BoxError = Box<dyn Error + Send + Sync>;
        let inner: BoxError = "timed out".into();
        let outer: BoxError = BatchError::Batch(Arc::new(inner)).into();
        assert_eq!(outer.to_string(), "batch failed: timed out");
        assert!(outer.downcast_ref::<BatchError<BoxError>>().is_some_and(|error| error.inner().is_some()));
    }
}
