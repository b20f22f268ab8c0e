//! The verdict on a gRPC status code.

use std::time::Duration;

use http::HeaderMap;

use super::advice;
use super::verdict::Verdict;
use crate::respond::PUSHBACK;

/// With the delay that the status details ask for.
pub(super) fn verdict(code: i32, metadata: &HeaderMap, retry_delay: impl FnOnce() -> Option<Duration>) -> Verdict {
    match code {
        // RESOURCE_EXHAUSTED, UNAVAILABLE
        8 | 14 => match metadata.get(PUSHBACK).map(|value| advice::pushback(value.as_bytes())) {
            Some(None) => Verdict::RefusedForGood,
            pushback => Verdict::Refused { retry_after: pushback.flatten().max(retry_delay()) },
        },
        // CANCELLED, which a caller that waits for an answer can only have from the other side, such as tonic's timeout, and
        // DEADLINE_EXCEEDED
        1 | 4 => Verdict::RefusedForGood,
        _ => Verdict::Served,
    }
}
