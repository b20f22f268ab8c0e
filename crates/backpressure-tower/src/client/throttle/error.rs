//! The errors of a throttled call.

use std::error::Error;
use std::fmt;

use backpressure_core::{BoxedError, Refusal, Refused};

use super::not_tried::NotTried;

/// Why a call through a [`Throttle`](crate::Throttle) failed.
///
/// The source of a throttled call is [`NotTried`], by which it is known wherever the error went. With the feature `tonic` it makes
/// the call `UNAVAILABLE` for a tonic client, with this error as the source of the status, rather than `UNKNOWN`.
///
/// It is an [`Error`] if `E` is one. Around a `Box<dyn Error + Send + Sync>`, or anything else that converts into one, it is after
/// [`into_boxed`](Self::into_boxed).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ThrottleError<E> {
    /// The call was not made. Another may be, with the odds of 1 less the `rejection`.
    Throttled {
        /// The probability with which calls were rejected at that moment.
        rejection: f64,
    },
    /// The service's own error.
    Inner(E),
}

impl<E> ThrottleError<E> {
    /// Whether the call was not made.
    pub const fn is_throttled(&self) -> bool {
        matches!(self, Self::Throttled { .. })
    }

    /// The service's own error, if it was called.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Throttled { .. } => None,
            Self::Inner(error) => Some(error),
        }
    }

    /// The same error around a boxed one, which is an [`Error`] whatever `E` is.
    pub fn into_boxed(self) -> ThrottleError<BoxedError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        match self {
            Self::Throttled { rejection } => ThrottleError::Throttled { rejection },
            Self::Inner(error) => ThrottleError::Inner(BoxedError::new(error)),
        }
    }
}

impl<E> Refused for ThrottleError<E> {
    fn refusal(&self) -> Refusal {
        match self {
            Self::Throttled { .. } => Refusal::BUSY,
            Self::Inner(_) => Refusal::Failed,
        }
    }
}

impl<E> fmt::Display for ThrottleError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttled { rejection } => {
                write!(f, "call not sent: the server refuses too many, so {:.0} % are held back", rejection * 100.0)
            }
            Self::Inner(_) => f.write_str("call failed"),
        }
    }
}

impl<E: Error + 'static> Error for ThrottleError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Throttled { .. } => Some(&NotTried),
            Self::Inner(error) => Some(BoxedError::open(error)),
        }
    }
}
