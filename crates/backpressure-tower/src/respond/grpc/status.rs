//! The status of a call that is refused.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::details;
use crate::overloaded::Overloaded;
use crate::respond::{PUSHBACK, wait};

/// The end of a stream for which there is no place, after its head.
pub(in crate::respond) fn trailers(overloaded: &Overloaded) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(4);
    state(&mut trailers, overloaded, wait::pushback(overloaded.retry_after(), wait::random()));
    trailers
}

/// The head of a trailers-only answer.
pub(super) fn refuse(headers: &mut HeaderMap, overloaded: &Overloaded, wait: Duration) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    state(headers, overloaded, wait);
}

/// Code, message, pushback and details. What an [`Overloaded`] says of itself needs no escaping.
fn state(headers: &mut HeaderMap, overloaded: &Overloaded, wait: Duration) {
    let (code, digits) = if overloaded.is_draining() { (14, "14") } else { (8, "8") };
    let message = overloaded.to_string();
    let details = details::encode(code, &message, wait);
    headers.insert("grpc-status", HeaderValue::from_static(digits));
    headers.insert(PUSHBACK, HeaderValue::from(milliseconds(wait)));
    for (name, text) in [("grpc-message", message), ("grpc-status-details-bin", details)] {
        headers.extend(HeaderValue::try_from(text).map(|value| (HeaderName::from_static(name), value)));
    }
}

fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).min(i32::MAX as u64)
}

/// The same for a handler that answers by itself.
#[cfg(feature = "tonic")]
pub(in crate::respond) fn status(code: tonic::Code, message: String, wait: Duration) -> tonic::Status {
    let details = details::status(code as u8, &message, wait);
    let mut metadata = tonic::metadata::MetadataMap::with_capacity(1);
    metadata.insert(PUSHBACK, milliseconds(wait).into());
    tonic::Status::with_details_and_metadata(code, message, details.into(), metadata)
}
