//! What a caller gets: an error of the throttle, or an answer in the service's own protocol.

use super::error::ThrottleError;

/// What the caller of a [`Throttle`](crate::Throttle) gets, given what the service answers.
///
/// There are [`AsError`], which is the default, and [`ThrottledHttp`](crate::ThrottledHttp) and
/// [`ThrottledGrpc`](crate::ThrottledGrpc), which answer a call that was not made in HTTP and in gRPC.
pub trait Answer<T, E> {
    /// The response of the throttled service.
    type Response;
    /// Its error.
    type Error;

    /// A call that was not made, and the probability with which calls were rejected at that moment.
    ///
    /// # Errors
    ///
    /// Where the protocol has no such answer.
    fn throttled(rejection: f64) -> Result<Self::Response, Self::Error>;

    /// The service's own answer.
    ///
    /// # Errors
    ///
    /// The service's own error.
    fn answered(outcome: Result<T, E>) -> Result<Self::Response, Self::Error>;

    /// The service's own error.
    fn failed(error: E) -> Self::Error;
}

/// A call that was not made is a [`ThrottleError`].
#[derive(Debug, Clone, Copy, Default)]
pub struct AsError;

impl<T, E> Answer<T, E> for AsError {
    type Response = T;
    type Error = ThrottleError<E>;

    fn throttled(rejection: f64) -> Result<T, ThrottleError<E>> {
        Err(ThrottleError::Throttled { rejection })
    }

    fn answered(outcome: Result<T, E>) -> Result<T, ThrottleError<E>> {
        outcome.map_err(ThrottleError::Inner)
    }

    fn failed(error: E) -> ThrottleError<E> {
        ThrottleError::Inner(error)
    }
}
