//! Refusals in gRPC.

use std::error::Error;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Response};

use super::chain::BoxError;
use super::verdict::{Judge, Verdict};
use super::{code, details, http};
use crate::respond::PUSHBACK;

const STATUS: &str = "grpc-status";

/// Judges gRPC statuses, and honours `grpc-retry-pushback-ms` and `RetryInfo`.
///
/// * `UNAVAILABLE` and `RESOURCE_EXHAUSTED` are refusals, which may be tried again after the pushback, or after the delay in the
///   `google.rpc.RetryInfo` of the status details, whichever is longer. A pushback that is negative or malformed means: not at
///   all (gRPC proposal A6). A delay that is, is none.
/// * After `DEADLINE_EXCEEDED`, and `CANCELLED` (which tonic makes of its timeouts), nobody knows whether the request took effect:
///   refused, but not to be tried again.
/// * A proxy that knows no gRPC answers without a status: what it says is judged by [`HttpRefusals`](crate::HttpRefusals), and so are errors of the
///   transport. A call that was never processed may be tried again. A broken connection is no refusal of the server, even if the
///   client calls it `RESOURCE_EXHAUSTED`.
/// * Everything else is served.
///
/// # Where to put it
///
/// *Below* the generated client and above the `Channel`, where HTTP responses and the transport's errors are still what they are.
/// [`RetryLayer::into_grpc`](crate::RetryLayer::into_grpc) and [`ThrottleLayer::into_grpc`](crate::ThrottleLayer::into_grpc) are
/// made for that place and judge by this. Of a status they see only one that is in the head of the response, where those of refused
/// calls are.
///
/// *Above* the client it judges statuses, with the feature `tonic` those of `tonic::Response` and `tonic::Status`, too. It sees the
/// transport's errors, which are the sources of a status. It cannot see the HTTP status: a proxy's 503 with a body is `INTERNAL`
/// there, as a bug of the server would be. [`name_status`](Self::name_status) below the client tells them apart.
///
/// For another client that answers with statuses of its own there is [`status`](Self::status):
///
/// ```
/// use backpressure_tower::{Verdict, GrpcRefusals, RetryBudget, RetryLayer};
/// use tonic::Status;
///
/// let retry = RetryLayer::new(RetryBudget::default()).judge(|outcome: &Result<u64, Status>| match outcome {
///     Ok(_) => Verdict::Served,
///     Err(status) => {
///         GrpcRefusals.status_with_details(status.code() as i32, status.metadata().as_ref(), status.details())
///     }
/// });
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct GrpcRefusals;

impl GrpcRefusals {
    /// What a status with this code and this metadata says. The details are those of a `grpc-status-details-bin` among the
    /// metadata.
    pub fn status(&self, code: i32, metadata: &HeaderMap) -> Verdict {
        code::verdict(code, metadata, || details::in_header(metadata.get("grpc-status-details-bin")?.as_bytes()))
    }

    /// What a status with this code, this metadata and these details says, for clients like tonic's, which take the details out
    /// of the metadata. They are a `google.rpc.Status` as protobuf writes it.
    pub fn status_with_details(&self, code: i32, metadata: &HeaderMap, details: &[u8]) -> Verdict {
        code::verdict(code, metadata, || details::retry_delay(details))
    }

    /// The judge of a service whose error is a box, which is no error of its own to Rust.
    pub fn boxed<B>(outcome: &Result<Response<B>, BoxError>) -> Verdict {
        judge(outcome.as_ref().map_err(|error| &**error as _))
    }

    /// Gives a proxy's refusal a gRPC status, so that it survives a client that knows nothing but statuses: a 503 or 429 without
    /// one becomes `UNAVAILABLE`, with what its `Retry-After` asks for as the pushback. A 408, 502 or 504 without one becomes
    /// `UNAVAILABLE` with a pushback of -1, which means not to try again: a client would call it `UNAVAILABLE` just like a 503,
    /// but it may have taken effect. Other responses stay what they are.
    ///
    /// For tower's `map_response`, below the client.
    pub fn name_status<B>(mut response: Response<B>) -> Response<B> {
        if response.headers().contains_key(STATUS) {
            return response;
        }
        let pushback = match http::judge(Ok(&response)) {
            Verdict::Served => return response,
            Verdict::Refused { retry_after } => retry_after.map(millis),
            Verdict::RefusedForGood => Some(-1),
        };
        let message = HeaderValue::from_static("refused by a proxy");
        let headers = response.headers_mut();
        headers.insert(STATUS, HeaderValue::from_static("14"));
        headers.insert("grpc-message", message);
        if let Some(pushback) = pushback {
            headers.insert(PUSHBACK, HeaderValue::from(pushback));
        }
        response
    }
}

impl<B, E: Error + 'static> Judge<Response<B>, E> for GrpcRefusals {
    fn judge(&self, outcome: &Result<Response<B>, E>) -> Verdict {
        judge(outcome.as_ref().map_err(|error| error as _))
    }
}

fn judge<B>(outcome: Result<&Response<B>, &(dyn Error + 'static)>) -> Verdict {
    match outcome.map(|response| (response.headers(), response.headers().get(STATUS))) {
        Ok((headers, Some(code))) => {
            let code = code.to_str().ok().and_then(|code| code.parse().ok());
            GrpcRefusals.status(code.unwrap_or(0), headers)
        }
        _ => http::judge(outcome),
    }
}

/// Rounded up, and at most what 32 bits hold.
fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::fmt;

    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    fn judged(headers: &[(&str, &str)]) -> Verdict {
        let response =
            headers.iter().fold(Response::builder(), |response, (name, value)| response.header(*name, *value));
        GrpcRefusals.judge(&Ok::<_, Infallible>(response.body(()).unwrap()))
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
    fn the_longer_of_pushback_and_retry_info_counts() {
        let header = |delay| {
            let errors = ErrorDetails::with_retry_info(Some(Duration::from_secs(delay)));
            let status = Status::with_error_details(Code::Unavailable, "", errors).into_http::<()>();
            status.headers()["grpc-status-details-bin"].to_str().unwrap().to_owned()
        };
        let details = header(30);
        let unavailable = [("grpc-status", "14"), ("grpc-status-details-bin", &*details)];
        let after = |seconds| Verdict::Refused { retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!(judged(&unavailable), after(30));
        let with = |pushback| judged(&[unavailable[0], unavailable[1], (PUSHBACK, pushback)]);
        assert_eq!([with("250"), with("31000"), with("-1")], [after(30), after(31), Verdict::RefusedForGood]);
        assert_eq!(
            judged(&[unavailable[0], ("grpc-status-details-bin", "????")]),
            Verdict::Refused { retry_after: None }
        );
        assert_eq!(judged(&[("grpc-status", "5"), unavailable[1]]), Verdict::Served);
    }

    #[test]
    fn a_proxy_that_knows_no_grpc_refuses_in_http() {
        let judged = |status: u16, headers: &[(&str, &str)]| {
            let response = headers
                .iter()
                .fold(Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
            GrpcRefusals.judge(&Ok::<_, Infallible>(response.body(()).unwrap()))
        };
        let after = |retry_after| Verdict::Refused { retry_after };
        assert_eq!(judged(503, &[]), after(None));
        assert_eq!(judged(429, &[("retry-after", "2")]), after(Some(Duration::from_secs(2))));
        for status in [408, 502, 504] {
            assert_eq!(judged(status, &[]), Verdict::RefusedForGood);
            let response = Response::builder().status(status).body(()).unwrap();
            let named = GrpcRefusals::name_status(response);
            assert!(named.headers().contains_key("grpc-status"));
            assert_eq!(GrpcRefusals.judge(&Ok::<_, Infallible>(named)), Verdict::RefusedForGood, "with a name, too");
        }
        assert_eq!(judged(503, &[("grpc-status", "0")]), Verdict::Served, "the status that there is counts");
    }

    #[test]
    fn what_is_no_refusal_is_served() {
        for code in ["0", "3", "5", "13", "what"] {
            assert_eq!(judged(&[("grpc-status", code), (PUSHBACK, "250")]), Verdict::Served);
        }
        assert_eq!(judged(&[]), Verdict::Served);
        for code in ["1", "4"] {
            assert_eq!(judged(&[("grpc-status", code)]), Verdict::RefusedForGood, "it may have taken effect");
        }
        assert_eq!(GrpcRefusals.judge(&Err::<Response<()>, _>(fmt::Error)), Verdict::RefusedForGood);
    }
}
