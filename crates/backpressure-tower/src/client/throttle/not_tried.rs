//! The marker of a call that was not sent.

use std::error::Error;
use std::fmt;

/// A call was not made, so it is safe to be made again: the source of [`ThrottleError::Throttled`](crate::ThrottleError), and an
/// extension of the response where a throttle answers in HTTP or gRPC.
///
/// ```
/// use backpressure_tower::{NotTried, ThrottleError};
///
/// let throttled = ThrottleError::<std::io::Error>::Throttled { rejection: 0.9 };
/// assert!(NotTried::is_in(&throttled));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotTried;

impl NotTried {
    #[cfg(feature = "grpc")]
    pub(super) const MESSAGE: &str = "call not sent: the server refuses too many, so some are held back";

    /// Whether it is this error, or among its sources. A `tonic::Status` keeps what it was made of as its source.
    pub fn is_in(error: &(dyn Error + 'static)) -> bool {
        std::iter::successors(Some(error), |&error| error.source()).any(|error| error.is::<Self>())
    }
}

impl fmt::Display for NotTried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the call was not sent")
    }
}

impl Error for NotTried {
    #[cfg(feature = "tonic")]
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*UNAVAILABLE)
    }
}

/// Tonic takes code and message from the first status among the sources of an error.
#[cfg(feature = "tonic")]
static UNAVAILABLE: std::sync::LazyLock<tonic::Status> =
    std::sync::LazyLock::new(|| tonic::Status::unavailable(NotTried::MESSAGE));
