//! Refusals in gRPC.

use std::time::Duration;

use http::{HeaderMap, Response};

use super::http::HttpRefusals;
use super::verdict::{Judge, Verdict};
use crate::respond::PUSHBACK;

/// Judges gRPC statuses, and honours `grpc-retry-pushback-ms`.
///
/// * `UNAVAILABLE` and `RESOURCE_EXHAUSTED` are refusals, which may be tried again after the pushback. One that is negative or
///   malformed means: not at all (gRPC proposal A6).
/// * After `DEADLINE_EXCEEDED`, and errors of the transport, nobody knows whether the request took effect: refused, but not
///   to be tried again.
/// * A proxy that knows no gRPC answers without a status: what it says is judged by [`HttpRefusals`].
/// * Everything else is served.
///
/// As a [`Judge`] it sees HTTP responses, and so only a status that is in their head, where those of refused calls are. For a
/// client that answers with statuses of its own there is [`status`](Self::status):
///
/// ```
/// use backpressure_tower::{Verdict, GrpcRefusals, RetryBudget, RetryLayer};
/// use tonic::Status;
///
/// let retry = RetryLayer::new(RetryBudget::default()).judge(|outcome: &Result<u64, Status>| match outcome {
///     Ok(_) => Verdict::Served,
///     Err(status) => GrpcRefusals.status(status.code() as i32, status.metadata().as_ref()),
/// });
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct GrpcRefusals;

impl GrpcRefusals {
    /// What a status with this code and this metadata says.
    pub fn status(&self, code: i32, metadata: &HeaderMap) -> Verdict {
        match code {
            // RESOURCE_EXHAUSTED, UNAVAILABLE
            8 | 14 => match metadata.get(PUSHBACK).map(|value| pushback(value.as_bytes())) {
                None => Verdict::Refused { retry_after: None },
                Some(Some(wait)) => Verdict::Refused { retry_after: Some(wait) },
                Some(None) => Verdict::RefusedForGood,
            },
            // DEADLINE_EXCEEDED
            4 => Verdict::RefusedForGood,
            _ => Verdict::Served,
        }
    }
}

impl<B, E> Judge<Response<B>, E> for GrpcRefusals {
    fn judge(&self, outcome: &Result<Response<B>, E>) -> Verdict {
        let Ok(response) = outcome else { return Verdict::RefusedForGood };
        let Some(code) = response.headers().get("grpc-status") else { return HttpRefusals.judge(outcome) };
        let code = code.to_str().ok().and_then(|code| code.parse().ok());
        self.status(code.unwrap_or(0), response.headers())
    }
}

fn pushback(value: &[u8]) -> Option<Duration> {
    let millis: u32 = std::str::from_utf8(value).ok()?.parse().ok()?;
    Some(Duration::from_millis(u64::from(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(headers: &[(&str, &str)]) -> Verdict {
        let response =
            headers.iter().fold(Response::builder(), |response, (name, value)| response.header(*name, *value));
        GrpcRefusals.judge(&Ok::<_, ()>(response.body(()).unwrap()))
    }

    #[test]
    fn a_refusal_may_be_tried_again_when_it_says_so() {
        for code in ["8", "14"] {
            let status = ("grpc-status", code);
            assert_eq!(judged(&[status]), Verdict::Refused { retry_after: None });
            let wait = Verdict::Refused { retry_after: Some(Duration::from_millis(250)) };
            assert_eq!(judged(&[status, (PUSHBACK, "250")]), wait);
            for never in ["-1", "", "soon"] {
                assert_eq!(judged(&[status, (PUSHBACK, never)]), Verdict::RefusedForGood, "{never:?}");
            }
        }
    }

    #[test]
    fn a_proxy_that_knows_no_grpc_refuses_in_http() {
        let judged = |status: u16, headers: &[(&str, &str)]| {
            let response = headers
                .iter()
                .fold(Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
            GrpcRefusals.judge(&Ok::<_, ()>(response.body(()).unwrap()))
        };
        let after = |retry_after| Verdict::Refused { retry_after };
        assert_eq!(judged(503, &[]), after(None));
        assert_eq!(judged(429, &[("retry-after", "2")]), after(Some(Duration::from_secs(2))));
        assert_eq!(judged(504, &[]), Verdict::RefusedForGood);
        assert_eq!(judged(503, &[("grpc-status", "0")]), Verdict::Served, "the status that there is counts");
    }

    #[test]
    fn what_is_no_refusal_is_served() {
        for code in ["0", "3", "5", "13", "what"] {
            assert_eq!(judged(&[("grpc-status", code), (PUSHBACK, "250")]), Verdict::Served);
        }
        assert_eq!(judged(&[]), Verdict::Served);
        assert_eq!(judged(&[("grpc-status", "4")]), Verdict::RefusedForGood);
        assert_eq!(GrpcRefusals.judge(&Err::<Response<()>, _>("reset")), Verdict::RefusedForGood);
    }
}
