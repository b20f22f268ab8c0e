//! Answers in gRPC.

mod details;
#[cfg(feature = "tonic")]
mod named;
mod status;
mod timeout;

use std::time::Duration;

use backpressure_core::State;
use backpressure_core::limit::Outcome;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body;

use super::body::HeldBody;
use super::hold::Hold;
use super::http::outcome as outcome_of_status;
use super::{PUSHBACK, wait};
use crate::limiter::Permit;
use crate::overloaded::Overloaded;
use crate::shed::{Plain, Responder, ShedLayer};

#[cfg(feature = "tonic")]
pub(super) use status::status;
pub(super) use status::trailers;
pub(crate) use timeout::timeout;
#[cfg(all(feature = "client", feature = "tonic"))]
pub(crate) use timeout::timeout_value;

/// Answers a shed request with `RESOURCE_EXHAUSTED` or `UNAVAILABLE`. See [`ShedLayer::into_grpc`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Grpc;

impl<C> ShedLayer<C, Plain> {
    /// Answers shed requests in gRPC, rather than with an error: the service's error type stays what it was.
    ///
    /// * A shed request gets `RESOURCE_EXHAUSTED`, or `UNAVAILABLE` while draining, so that clients try elsewhere. It is
    ///   a trailers-only answer: the status is in the head, and there is no body. How long to wait, computed and jittered,
    ///   is in `grpc-retry-pushback-ms` and in a `google.rpc.RetryInfo` among the details. The
    ///   [`Overloaded`](crate::Overloaded) is among the extensions of the response, for layers outside that log or count.
    /// * A request occupies its slot to the end of the response's [body](HeldBody). Server streaming gives the slot back as soon
    ///   as it is seen to be that, and is one of the [`max_streams`](crate::ShedLayerBuilder::max_streams) to its last message.
    /// * For an adaptive limit `UNAVAILABLE`, `DEADLINE_EXCEEDED`, and `RESOURCE_EXHAUSTED` with a pushback are signs of
    ///   overload, and so are errors that are [known](crate::is_timeout) to be timeouts and calls that are dropped when their
    ///   `grpc-timeout`, or the [`timeout`](crate::ShedLayerBuilder::timeout), is over. Without a pushback `RESOURCE_EXHAUSTED` is a caller's own quota, an answer like any. Only statuses in the
    ///   head are seen, which is where those of failed unary calls are.
    ///
    /// A request that waits is shed as soon as it cannot meet its `grpc-timeout`. With the feature `tonic` a service that is wrapped keeps its `NamedService`.
    ///
    /// ```
    /// use backpressure_tower::{RequestHeaders, ShedLayer};
    /// use tonic::transport::Server;
    ///
    /// let shed = ShedLayer::adaptive();
    /// let handle = shed.handle(); // to drain it, and to see what it does
    /// let classes = RequestHeaders::new().exempt("/grpc.health.v1.Health");
    /// let server = Server::builder().layer(shed.classify(classes).into_grpc());
    /// # let _ = (handle, server);
    /// ```
    pub fn into_grpc(self) -> ShedLayer<C, Grpc> {
        self.respond_with(Grpc)
    }
}

impl<A, B: Body, E> Responder<Request<A>, Response<B>, E> for Grpc {
    type Call = ();
    type Response = Response<HeldBody<B>>;
    type Error = E;

    const HOLDS: bool = true;

    fn begin(&self, _: &Request<A>) {}

    fn wait_timeout(&self, request: &Request<A>) -> Option<Duration> {
        timeout(request.headers())
    }

    fn failed(&self, error: E) -> E {
        error
    }

    fn outcome(&self, result: &Result<Response<B>, E>) -> Outcome {
        let Ok(response) = result else { return Outcome::Ignored };
        match response.headers().get("grpc-status") {
            Some(code) => outcome(code, response.headers()),
            None => outcome_of_status(response.status()),
        }
    }

    fn answer(
        &self,
        (): (),
        result: Result<Response<B>, E>,
        permit: Option<Permit>,
        _: State,
    ) -> Result<Self::Response, E> {
        result.map(|response| {
            response.map(|body| {
                let hold = Hold::of_grpc(&body, permit);
                HeldBody::new(body, hold)
            })
        })
    }

    fn shed(&self, (): (), overloaded: Overloaded) -> Result<Self::Response, E> {
        let mut response = Response::new(HeldBody::empty());
        let wait = wait::pushback(overloaded.retry_after(), wait::random());
        status::refuse(response.headers_mut(), &overloaded, wait);
        response.extensions_mut().insert(overloaded);
        Ok(response)
    }
}

/// What a status in the head says about load.
fn outcome(code: &HeaderValue, headers: &HeaderMap) -> Outcome {
    match code.as_bytes() {
        // UNAVAILABLE
        b"14" => Outcome::Overload,
        // DEADLINE_EXCEEDED
        b"4" => Outcome::TimedOut,
        // RESOURCE_EXHAUSTED
        b"8" if headers.contains_key(PUSHBACK) => Outcome::Overload,
        // CANCELLED, UNKNOWN, INTERNAL, DATA_LOSS
        b"1" | b"2" | b"13" | b"15" => Outcome::Ignored,
        _ => Outcome::Success,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::Empty;
    use prost::Message;
    use tonic::{Code, Status};
    use tonic_types::StatusExt;

    use super::*;
    use crate::overloaded::ShedReason;

    fn refused(reason: ShedReason, wait: Duration) -> Status {
        let mut headers = HeaderMap::new();
        status::refuse(&mut headers, &Overloaded::new(State::Blocked, reason, wait), wait);
        Status::from_header_map(&headers).unwrap()
    }

    #[test]
    fn s3_tonic_reads_the_code_the_pushback_and_the_details() {
        let wait = Duration::from_millis(1250);
        for reason in ShedReason::ALL {
            let status = refused(reason, wait);
            let is_draining = reason == ShedReason::Draining;
            assert_eq!(status.code(), if is_draining { Code::Unavailable } else { Code::ResourceExhausted });
            assert_eq!(status.message(), Overloaded::new(State::Blocked, reason, wait).to_string());
            assert_eq!(status.metadata().get(PUSHBACK).unwrap(), "1250");
            assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(wait));
            let details = tonic_types::Status::decode(status.details()).unwrap();
            assert_eq!((details.code, &*details.message), (status.code() as i32, status.message()));
            assert_eq!(status.get_error_details().retry_info().unwrap().retry_delay, Some(wait));
        }
    }

    #[test]
    fn d6_the_longest_wait_is_one_that_every_client_can_read() {
        let status = refused(ShedReason::Limit, Duration::MAX);
        assert_eq!(status.metadata().get(PUSHBACK).unwrap(), &i32::MAX.to_string());
        assert!(status.get_details_retry_info().is_some());
    }

    fn outcome_of(status: Status) -> Outcome {
        let response: Result<Response<Empty<&[u8]>>, Infallible> = Ok(status.into_http());
        Responder::<Request<()>, _, _>::outcome(&Grpc, &response)
    }

    #[test]
    fn errors_of_the_application_are_answers_and_a_quota_is_one_of_them() {
        let codes = |codes: &[Code]| codes.iter().map(|code| outcome_of(Status::new(*code, ""))).collect::<Vec<_>>();
        let answers = [Code::NotFound, Code::InvalidArgument, Code::PermissionDenied, Code::ResourceExhausted];
        assert_eq!(codes(&answers), [Outcome::Success; 4]);
        assert_eq!(codes(&[Code::Unavailable, Code::DeadlineExceeded]), [Outcome::Overload, Outcome::TimedOut]);
        assert_eq!(codes(&[Code::Internal, Code::Unknown, Code::Cancelled]), [Outcome::Ignored; 3]);
        let mut shed = Status::resource_exhausted("");
        shed.metadata_mut().insert(PUSHBACK, "100".parse().unwrap());
        assert_eq!(outcome_of(shed), Outcome::Overload);
    }
}
