//! The errors of a handler as answers in HTTP and gRPC.

use std::time::Duration;

use backpressure_core::{Refusal, Refused};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use super::wait;

/// Turns the errors of this workspace into answers, for handlers that push, send or call.
///
/// | the error says | HTTP | gRPC |
/// |---|---|---|
/// | full, timed out, shed, throttled | 503 and `Retry-After` | `RESOURCE_EXHAUSTED` and a pushback |
/// | closed, draining | 503 and `Retry-After` | `UNAVAILABLE` and a pushback |
/// | deadline exceeded | 504 | `DEADLINE_EXCEEDED` |
/// | anything else | 500 | `INTERNAL` |
///
/// Only an answer of the first kind tells the text of the error. The others might tell of what lies behind the server.
///
/// ```
/// use backpressure_channel::{SendError, channel};
/// use backpressure_core::{BackpressureConfig, Strategy};
/// use backpressure_tower::RefusedExt;
/// use http::{Response, StatusCode};
///
/// # fn main() -> Result<(), backpressure_core::ConfigError> {
/// let config = BackpressureConfig::builder().capacity(1).batch_items(1).strategy(Strategy::Reject).build()?;
/// let (tx, _rx) = channel(config);
/// let handler = |event: u8| -> Result<StatusCode, Response<String>> {
///     tx.try_send(event).map_err(|error| error.to_http())?;
///     Ok(StatusCode::ACCEPTED)
/// };
/// assert_eq!(handler(1).unwrap(), StatusCode::ACCEPTED);
/// let refused = handler(2).unwrap_err();
/// assert_eq!((refused.status(), &**refused.body()), (StatusCode::SERVICE_UNAVAILABLE, "the buffer is full\n"));
/// assert!(refused.headers().contains_key("retry-after"));
/// # Ok(())
/// # }
/// ```
pub trait RefusedExt: Refused {
    /// The answer in HTTP: a status, a line of text and, where it may be tried again, `Retry-After` in whole seconds. Under
    /// axum `B` is `axum::body::Body`, and a handler returns it as an error.
    fn to_http<B: From<String>>(&self) -> Response<B> {
        let refusal = self.refusal();
        let (status, text) = match refusal {
            Refusal::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, format!("{self}\n")),
            Refusal::Closed { .. } => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".into()),
            Refusal::TooLate => (StatusCode::GATEWAY_TIMEOUT, "deadline exceeded\n".into()),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n".into()),
        };
        let mut response = Response::new(B::from(text));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if let Some(retry_after) = retry_after(refusal) {
            let seconds = wait::seconds(retry_after, wait::random());
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// The answer in gRPC: a status of tonic. Where it may be tried again, `grpc-retry-pushback-ms` and a
    /// `google.rpc.RetryInfo` say when.
    ///
    /// ```
    /// use backpressure_channel::SendError;
    /// use backpressure_tower::RefusedExt;
    /// use tonic::Code;
    ///
    /// let status = SendError::TimedOut("an event").to_grpc();
    /// assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "timed out waiting for room: the buffer stayed full"));
    /// ```
    #[cfg(feature = "tonic")]
    fn to_grpc(&self) -> tonic::Status {
        let refusal = self.refusal();
        let (code, text) = match refusal {
            Refusal::Busy { .. } => (tonic::Code::ResourceExhausted, self.to_string()),
            Refusal::Closed { .. } => (tonic::Code::Unavailable, "shutting down".into()),
            Refusal::TooLate => (tonic::Code::DeadlineExceeded, "deadline exceeded".into()),
            _ => (tonic::Code::Internal, "internal error".into()),
        };
        match retry_after(refusal) {
            Some(retry_after) => super::grpc::status(code, text, wait::pushback(retry_after, wait::random())),
            None => tonic::Status::new(code, text),
        }
    }
}

impl<R: Refused + ?Sized> RefusedExt for R {}

/// When it may be tried again, if it may.
const fn retry_after(refusal: Refusal) -> Option<Duration> {
    match refusal {
        Refusal::Busy { retry_after } | Refusal::Closed { retry_after } => Some(retry_after),
        _ => None,
    }
}
